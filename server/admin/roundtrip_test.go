package admin_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// variety returns an entry of each kind, and a connector of each type that Dex has too.
func variety(t *testing.T) settings.Docs {
	t.Helper()
	text, err := os.ReadFile("settings/testdata/dex.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := settings.ReadImport([]byte(strings.ReplaceAll(string(text), "@PEM@", "")), settings.FormatDex, nil)
	if err != nil {
		t.Fatal(err)
	}
	docs := file.Docs
	docs[settings.Connectors] = slices.DeleteFunc(docs[settings.Connectors], func(e settings.Entry) bool { return e.Doc.Text("type") == "saml" })
	add := func(kind string, doc form.Doc) {
		k, _ := settings.KindOf(kind)
		docs[kind] = append(docs[kind], settings.Entry{ID: doc.Text(k.IDKey), Doc: doc})
	}
	add(settings.Clusters, form.Doc{"id": "one", "server": "https://one.test", "labels": map[string]any{"env": "prod", "canary": "", "ha": "false", "tier": "0"}})
	add(settings.Clusters, form.Doc{"id": "two", "name": "0", "server": "https://two.test", "mode": "direct", "tokenLife": "15m", "tokenFile": "1h", "description": "false"})
	add(settings.Rules, adminRule("corp:ops"))
	add(settings.Rules, form.Doc{
		"id": "devs", "who": map[string]any{"groups": []any{"g", "0"}, "connectors": []any{"corp-ldap"}}, "clusters": map[string]any{"labels": map[string]any{"env": "prod", "canary": ""}},
	})
	add(settings.Issuers, form.Doc{"id": "ci", "url": "https://ci.test", "audience": "https://login.test"})
	add(settings.Workloads, form.Doc{"id": "deploy", "issuer": "ci", "claims": map[string]any{"protected": []any{"false", "true"}, "ref": []any{"main"}}, "groups": []any{"g"}})
	add(settings.Workloads, form.Doc{"id": "pulls", "issuer": "ci", "claims": map[string]any{"ref": []any{"0"}}})
	add(settings.General, form.Doc{"id": settings.Sessions, "idle": "8h", "withoutRefresh": "signInAgain"})
	add(settings.General, form.Doc{"id": settings.Branding, "brand": "0", "notice": "false"})
	return docs
}

// stocked returns a configuration with everything that variety has.
func stocked(t *testing.T, s *store.Store) *bundle {
	t.Helper()
	b := setup(t, s)
	docs := variety(t)
	for _, k := range settings.Kinds() {
		for _, e := range docs[k.Name] {
			b.apply(shell(), k.Name, e.Doc)
		}
	}
	b.apply(shell(), settings.Connectors, change(t, b, settings.Connectors, "corp-ldap", "userPrefix", ""))
	b.apply(shell(), settings.Connectors, change(t, b, settings.Connectors, "github", "groupPrefix", "gh:"))
	return b
}

func change(t *testing.T, b *bundle, kind, id, key string, value any) form.Doc {
	t.Helper()
	item, err := b.Entry(t.Context(), shell(), kind, id)
	if err != nil {
		t.Fatal(err)
	}
	doc := item.Doc.Clone()
	doc[key] = value
	return doc
}

// asRead are the ways in which a document goes out and comes back.
func asRead() map[string]func(t *testing.T, kind string, doc form.Doc) form.Doc {
	return map[string]func(t *testing.T, kind string, doc form.Doc) form.Doc{
		"JSON": func(t *testing.T, _ string, doc form.Doc) form.Doc {
			t.Helper()
			return through(t, doc, json.Marshal, json.Unmarshal)
		},
		"YAML": func(t *testing.T, _ string, doc form.Doc) form.Doc {
			t.Helper()
			return through(t, doc, yaml.Marshal, yaml.Unmarshal)
		},
		"a page": throughForm,
	}
}

// through encodes and decodes a document.
func through(t *testing.T, doc form.Doc, encode func(any) ([]byte, error), decode func([]byte, any) error) form.Doc {
	t.Helper()
	text, err := encode(map[string]any(doc))
	if err != nil {
		t.Fatal(err)
	}
	var back form.Doc
	if err := decode(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// throughForm draws the form of a document and reads it, as a browser sends it.
func throughForm(t *testing.T, kind string, doc form.Doc) form.Doc {
	t.Helper()
	fields, values := settings.Fields(kind, all.Types(password.NewHasher()), doc), url.Values{}
	var collect func(inputs []form.Input)
	collect = func(inputs []form.Input) {
		for _, in := range inputs {
			for _, line := range in.Lines {
				collect(line)
			}
			switch {
			case in.Kind == form.Bool && in.On:
				values.Set(in.Name, "true")
				values.Set(in.Name+".confirm", "yes")
			case in.Kind != form.Bool && in.Kind != form.Rows && in.Kind != form.Secret:
				values.Set(in.Name, in.Value)
			}
		}
	}
	for _, s := range (form.Drawing{Fields: fields, Doc: doc, Stored: doc}).Sections() {
		collect(s.Inputs)
		collect(s.Advanced)
	}
	back, problems := form.Parse(fields, values)
	if len(problems) > 0 {
		t.Fatalf("%s: %v", kind, problems)
	}
	if doc["type"] != nil {
		back["type"] = doc["type"]
	}
	return back
}

// whole returns the whole configuration.
func whole(t *testing.T, b *bundle) store.Settings {
	t.Helper()
	set, err := b.store.AllSettings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestWhatIsReadAndWrittenBackChangesNothing reads each entry and saves it as it was read, in each way.
func TestWhatIsReadAndWrittenBackChangesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := stocked(t, s)
		want := whole(t, b)
		for way, back := range asRead() {
			for kind, entries := range settings.Documents(want) {
				for _, e := range entries {
					item, err := b.Entry(t.Context(), shell(), kind, e.ID)
					if err != nil {
						t.Fatal(err)
					}
					_, err = b.Apply(t.Context(), shell(), admin.Draft{Kind: kind, ID: e.ID, Doc: back(t, kind, item.Doc), Version: item.Version})
					if err != nil {
						t.Errorf("%s as %s: %v", e.ID, way, err)
					}
				}
			}
			if diff := cmp.Diff(want, whole(t, b)); diff != "" {
				t.Errorf("as %s (-want +got):\n%s", way, diff)
			}
		}
	})
}

// TestAnyValueSurvives sets fields to odd values. Each value that validation accepts must survive reading and writing back.
func TestAnyValueSurvives(t *testing.T) {
	t.Parallel()
	b := stocked(t, storetest.SQLite(t))
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	accepted := 0
	for range 200 {
		kinds := settings.Kinds()
		kind := kinds[random.IntN(len(kinds))].Name
		entries := settings.Documents(whole(t, b))[kind]
		id := entries[random.IntN(len(entries))].ID
		item, err := b.Entry(t.Context(), shell(), kind, id)
		if err != nil {
			t.Fatal(err)
		}
		fields := settings.Fields(kind, b.Types, item.Doc)
		f := fields[random.IntN(len(fields))]
		if f.Fixed || f.Kind == form.Secret {
			continue
		}
		doc := item.Doc.Clone()
		doc.Set(f.Key, odd(f, random))
		if _, err := b.Apply(t.Context(), shell(), admin.Draft{Kind: kind, ID: id, Doc: doc, Version: item.Version}); err != nil {
			if !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.Denied) {
				t.Fatalf("%s %s, %s = %v: %v", kind, id, f.Key, doc.Get(f.Key), err)
			}
			continue
		}
		accepted++
		want := whole(t, b)
		for way, back := range asRead() {
			item, err := b.Entry(t.Context(), shell(), kind, id)
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.Apply(t.Context(), shell(), admin.Draft{Kind: kind, ID: id, Doc: back(t, kind, item.Doc), Version: item.Version})
			if diff := cmp.Diff(want, whole(t, b)); diff != "" || err != nil {
				t.Fatalf("%s %s, %s = %#v, as %s: %v (-want +got):\n%s", kind, id, f.Key, doc.Get(f.Key), way, err, diff)
			}
		}
	}
	if accepted < 20 {
		t.Errorf("only %d values were accepted", accepted)
	}
}

// odd returns a value for a field.
func odd(f form.Field, random *rand.Rand) any {
	texts := []string{"", "0", "false", "no", "none", "null", "~", "a: b", "#x", "é", "[x]", "10m", "example.com", "https://x.test", "a,b", "x=y"}
	text := func() string { return texts[random.IntN(len(texts))] }
	switch f.Kind {
	case form.Bool:
		return random.IntN(2) == 0
	case form.Number:
		return random.IntN(3)
	case form.Select:
		return f.Options[random.IntN(len(f.Options))].Value
	case form.List:
		return []any{text(), text()}
	case form.Pairs:
		return map[string]any{"a": text(), "b": text()}
	case form.Claims:
		return map[string]any{"a": []any{text(), text()}}
	case form.Rows, form.Secret, form.Text, form.Long, form.PEM, form.Date:
	}
	return text()
}

// TestTheMaskMeansAsItIs: the text that stands for a secret keeps the stored one, and is refused where there is none.
func TestTheMaskMeansAsItIs(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	item, err := b.Entry(t.Context(), jane, settings.Connectors, "corp")
	if err != nil || item.Doc.Text("config.bindPassword") != form.Masked {
		t.Fatalf("%+v %v", item.Doc, err)
	}
	doc := item.Doc.Clone()
	doc["note"] = "changed"
	b.apply(shell(), settings.Connectors, doc)
	if set := whole(t, b); !strings.Contains(set.Connectors[0].Config, canary) || set.Connectors[0].Note != "changed" {
		t.Errorf("stored %s", set.Connectors[0].Config)
	}
	copied := doc.Clone()
	copied["id"] = "copy"
	moved := change(t, b, settings.Connectors, "corp", "note", "moved")
	moved.Set("config.hosts", []any{"elsewhere.test"})
	client := form.Doc{"id": "web", "redirectURIs": []any{"https://web.test/"}, "secretHashes": form.Masked}
	user := form.Doc{"login": "bob", "passwordHash": form.Masked}
	b.apply(shell(), settings.Connectors, form.Doc{"id": "local", "type": "local"})
	for name, d := range map[string]admin.Draft{
		"a new connector": {Kind: settings.Connectors, Doc: copied}, "another host": b.draft(settings.Connectors, moved),
		"a new client": {Kind: settings.Clients, Doc: client}, "a new local user": {Kind: settings.LocalUsers, Doc: user},
	} {
		_, err := b.Apply(t.Context(), shell(), d)
		if !errs.Is(err, errs.Invalid) || strings.Contains(fmt.Sprint(err), "unmarshal") {
			t.Errorf("%s: %v", name, err)
		}
	}
	plan, err := b.PlanImport(t.Context(), shell(), admin.Source{Text: fmt.Appendf(nil, "connectors: [{id: new, type: github, config: {clientID: x, clientSecret: %q}}]", form.Masked)})
	if err != nil || plan.Problems() != 1 {
		t.Errorf("imported: %+v %v", plan, err)
	}
}
