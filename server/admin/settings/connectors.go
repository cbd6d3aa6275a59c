package settings

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/workload"
)

// noPrefix is what an admin enters in a form for an empty prefix.
const noPrefix = "none"

func (r *Reader) connectorRows() []store.Connector {
	var rows []store.Connector
	seen := ids{r: r}
	for i, e := range r.in.Connectors {
		path := fmt.Sprintf("connectors[%d]", i)
		seen.check(path+".id", e.ID)
		if e.ID == workload.ConnectorID || e.ID == workload.ServiceConnectorID || e.ID == store.RecoveryConnectorID {
			r.Doc.Add(path+".id", "must not be %q, which Fairlead uses itself. Choose another", e.ID)
		}
		row := store.Connector{
			ID: e.ID, Type: e.Type, Name: orElse(e.Name, e.ID), Position: i, Hidden: e.Hidden, Note: e.Note, SecondFactor: e.SecondFactor, Enabled: e.Enabled == nil || *e.Enabled,
			UserPrefix: e.ID + ":", GroupPrefix: e.ID + ":", Origin: r.Origin(path),
		}
		for prefix, given := range map[*string]*string{&row.UserPrefix: e.UserPrefix, &row.GroupPrefix: e.GroupPrefix} {
			if given != nil {
				*prefix = *given
			}
			if *prefix == noPrefix {
				r.Doc.Add(path, "must not have the prefix %q, which stands for no prefix in a form. Enter an empty text for no prefix", noPrefix)
			}
			if *prefix != "" && kubenames.Check(*prefix+"x") != nil {
				r.Doc.Add(path, "must not have the prefix %q: it makes names that clusters must not see", *prefix)
			}
		}
		kind, known := r.Types[e.Type]
		if !known {
			r.Doc.Add(path+".type", "must be one of %s, not %q", strings.Join(sortedKeys(r.Types), ", "), e.Type)
			continue
		}
		row.Config = r.connectorConfig(&r.in.Connectors[i], kind, path+".config")
		rows = append(rows, row)
	}
	return rows
}

// connectorConfig validates a connector's own settings and returns them as JSON, with their secrets.
func (r *Reader) connectorConfig(e *Connector, kind connectors.Type, path string) string {
	cfg := kind.Config()
	if !r.Doc.Sub(&e.Config, path, cfg) {
		return ""
	}
	r.reveal(reflect.ValueOf(cfg).Elem(), kind, path)
	// Encode before Validate adds defaults, so that the stored settings equal the written ones.
	body, err := json.Marshal(inClear(reflect.ValueOf(cfg).Elem()))
	if err != nil {
		r.Doc.Add(path, "%v", err)
	}
	for _, p := range cfg.Validate() {
		r.Doc.Add(path+"."+p.Field, "%s", p.Message)
	}
	return string(body)
}

// reveal resolves the references in secrets and certificates.
func (r *Reader) reveal(v reflect.Value, kind connectors.Type, path string) {
	for f := range v.Type().Fields() {
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		field := v.FieldByIndex(f.Index)
		switch value := field.Interface().(type) {
		case secret.Value:
			r.refuseInClear(path+"."+name, value.Reveal())
			field.Set(reflect.ValueOf(secret.NewValue(r.resolve(path+"."+name, value.Reveal()))))
		case string:
			if isPEM(kind, name) {
				field.SetString(r.resolve(path+"."+name, value))
			}
		}
	}
}

func isPEM(kind connectors.Type, key string) bool {
	return slices.ContainsFunc(kind.Fields, func(f connectors.Field) bool { return f.Key == key && f.Kind == form.PEM })
}

// inClear returns a struct as a map with unmasked secrets, which the caller must encrypt.
func inClear(v reflect.Value) map[string]any {
	out := map[string]any{}
	for f := range v.Type().Fields() {
		if name := f.Tag.Get("json"); name != "" {
			out[name] = v.FieldByIndex(f.Index).Interface()
			if s, ok := out[name].(secret.Value); ok {
				out[name] = s.Reveal()
			}
		}
	}
	return out
}
