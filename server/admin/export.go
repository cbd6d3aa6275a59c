package admin

import (
	"context"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Export returns the entries of the pages in the format of the configuration file. Secrets become references to
// environment variables, which a comment at the top lists.
func (a *Admin) Export(ctx context.Context, c Caller) ([]byte, error) {
	if err := a.authorize(ctx, c, ReadSettings, "export"); err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	event := c.event(audit.AdminRead)
	event.Reason = "export"
	a.Audit.Record(ctx, event)
	var secrets []string
	root := &yaml.Node{Kind: yaml.MappingNode}
	docs := settings.Documents(set)
	for _, k := range settings.Kinds() {
		list, names := a.exported(k, docs[k.Name])
		secrets = append(secrets, names...)
		if len(list) == 0 {
			continue
		}
		var value yaml.Node
		if err := value.Encode(list); err != nil {
			return nil, fmt.Errorf("encoding export: %w", err)
		}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: k.Name}, &value)
	}
	text, err := yaml.Marshal(root)
	if err != nil {
		return nil, fmt.Errorf("encoding export: %w", err)
	}
	head := "# What the admin pages of " + a.URL + " own.\n"
	if len(secrets) > 0 {
		head += "# Set these environment variables; secrets are not in an export:\n#   " + strings.Join(secrets, "\n#   ") + "\n"
	}
	if len(root.Content) == 0 {
		return []byte(head + "# Nothing yet.\n"), nil
	}
	return append([]byte(head), text...), nil
}

// exported returns the documents of the pages, with references in place of secrets.
func (a *Admin) exported(k settings.Kind, entries []settings.Entry) (list []any, secrets []string) {
	for _, e := range entries {
		if e.Origin.Origin != store.OriginPage || len(e.Doc) <= 1 {
			continue
		}
		doc := e.Doc.Clone()
		for _, f := range settings.Fields(k.Name, a.Types, doc) {
			if f.Kind == form.Secret && doc.Get(f.Key) != nil {
				name := variable(e.ID, f.Key)
				secrets = append(secrets, name)
				doc.Set(f.Key, "env:"+name)
			}
		}
		list = append(list, map[string]any(doc))
	}
	return list, secrets
}

// variable returns the environment variable for a secret, such as GITHUB_CLIENT_SECRET.
func variable(id, key string) string {
	key = key[strings.LastIndexByte(key, '.')+1:]
	var b strings.Builder
	for i, r := range id + "_" + key {
		switch {
		case r >= 'A' && r <= 'Z':
			if i > 0 {
				b.WriteByte('_')
			}
			b.WriteRune(r)
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	return strings.ToUpper(b.String())
}
