package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
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

// ImportEntry is an entry of an import, with the effect of importing it.
type ImportEntry struct {
	Kind, ID, Action string
	Diff             []form.Change
	Problems         []string
	draft            Draft
}

// ImportPlan describes the effect of an import.
type ImportPlan struct {
	Entries []ImportEntry
	// Notes list what the import ignores, and what an admin must still do.
	Notes []string
	// Prune lists entries of the pages that are not in the import.
	Prune []ImportEntry
}

// Problems counts the entries that cannot be imported.
func (p *ImportPlan) Problems() int {
	n := 0
	for _, e := range p.Entries {
		if len(e.Problems) > 0 {
			n++
		}
	}
	return n
}

// Source is a text to import.
type Source struct {
	// Format is "fairlead", "dex" or "gangway".
	Format string
	Text   []byte
	// Resolve returns the value of a reference such as "env:NAME". Nil, for pages, makes references a problem.
	Resolve func(text string) (string, error)
	// Reason is stored in the history. With a reason, connectors may be enabled without a test sign-in.
	Reason string
	// Prune also deletes the entries of the pages that the text does not contain.
	Prune bool
}

// maxImport bounds the text, in bytes.
const maxImport = 1 << 20

// PlanImport reads a text and returns the effect of importing it.
func (a *Admin) PlanImport(ctx context.Context, c Caller, s Source) (*ImportPlan, error) {
	if err := a.authorize(ctx, c, WriteSettings, "plan an import"); err != nil {
		return nil, err
	}
	return a.planImport(ctx, s)
}

func (a *Admin) planImport(ctx context.Context, s Source) (*ImportPlan, error) {
	if len(s.Text) > maxImport {
		return nil, errs.New(errs.Invalid, "The text is too long: an import takes at most 1 MiB. Import it in several parts.")
	}
	docs, notes, err := readSource(s)
	if err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	plan := &ImportPlan{Notes: notes}
	for _, k := range settings.Kinds() {
		for _, e := range docs[k.Name] {
			faults := a.resolve(s, k, e.Doc)
			entry := a.importEntry(&set, k, e, s.Format == "fairlead" || s.Format == "")
			entry.Problems = append(faults, entry.Problems...)
			plan.Entries = append(plan.Entries, entry)
		}
		if s.Prune {
			plan.Prune = append(plan.Prune, prune(set, docs, k)...)
		}
	}
	return plan, nil
}

// resolve replaces references to secrets with their values.
func (a *Admin) resolve(s Source, k settings.Kind, doc form.Doc) (faults []string) {
	for _, f := range settings.Fields(k.Name, a.Types, doc) {
		text := doc.Text(f.Key)
		if f.Kind != form.Secret || !settings.IsReference(text) {
			continue
		}
		if s.Resolve == nil {
			faults = append(faults, f.Label+": "+text+" is a reference, which only the command line can read. Run `fairlead admin import`, or enter the secret itself.")
			continue
		}
		value, err := s.Resolve(text)
		if err != nil {
			faults = append(faults, f.Label+": "+err.Error())
		}
		doc.Set(f.Key, value)
	}
	return faults
}

// importEntry plans one entry and adds it to the configuration of the next ones, so that a rule can name a cluster
// of the same import.
func (a *Admin) importEntry(set *store.Settings, k settings.Kind, e settings.Entry, asIs bool) ImportEntry {
	entry := ImportEntry{Kind: k.Name, ID: e.ID, Action: store.ActionCreate}
	entry.draft = Draft{Kind: k.Name, Doc: e.Doc, Reason: "import", asIs: asIs}
	if old, found := find(settings.Documents(*set)[k.Name], e.ID); found {
		entry.Action, entry.draft.ID, entry.draft.Version = store.ActionUpdate, e.ID, Version(old.Doc)
	}
	p, err := a.makePlan(*set, entry.draft)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		for _, problem := range refused.Problems {
			entry.Problems = append(entry.Problems, problem.Field+": "+problem.Message)
		}
		entry.Problems = append(entry.Problems, refused.Elsewhere...)
		return entry
	}
	if err != nil {
		entry.Problems = append(entry.Problems, errs.Message(err))
		return entry
	}
	entry.Diff = form.Diff(a.fields(k.Name, p.after), p.before, p.after)
	if len(entry.Diff) == 0 {
		entry.Action = "same"
	}
	*set = p.to
	return entry
}

func prune(set store.Settings, docs settings.Docs, k settings.Kind) []ImportEntry {
	var list []ImportEntry
	for _, old := range settings.Documents(set)[k.Name] {
		if _, kept := find(docs[k.Name], old.ID); !kept && old.Origin.Origin == store.OriginPage {
			list = append(list, ImportEntry{Kind: k.Name, ID: old.ID, Action: store.ActionDelete, draft: Draft{Kind: k.Name, ID: old.ID, Reason: "import"}})
		}
	}
	return list
}

// Import makes the changes of PlanImport. Each entry becomes a revision. Entries with problems are skipped, and the
// returned plan lists them.
func (a *Admin) Import(ctx context.Context, c Caller, s Source) (*ImportPlan, error) {
	if err := a.authorizeWrite(ctx, c, "import"); err != nil {
		return nil, err
	}
	plan, err := a.planImport(ctx, s)
	if err != nil {
		return nil, err
	}
	for i := range plan.Entries {
		e := &plan.Entries[i]
		if len(e.Problems) > 0 || e.Action == "same" {
			continue
		}
		a.importOne(ctx, c, e)
	}
	for i := len(plan.Prune) - 1; i >= 0; i-- { // delete entries that refer to others first
		a.importOne(ctx, c, &plan.Prune[i])
	}
	return plan, nil
}

func (a *Admin) importOne(ctx context.Context, c Caller, e *ImportEntry) {
	set, err := a.Store.AllSettings(ctx)
	if err == nil {
		if old, found := find(settings.Documents(set)[e.Kind], e.ID); found {
			e.draft.ID, e.draft.Version = e.ID, Version(old.Doc)
		}
		_, err = a.apply(ctx, c, e.draft)
	}
	if err == nil {
		return
	}
	text := errs.Message(err)
	if text == "" {
		text = "The entry was not saved because of an internal error. Look for the reason in the log of the server."
		a.Logger.ErrorContext(ctx, "import failed", "kind", e.Kind, "id", e.ID, "error", err)
	}
	e.Problems = append(e.Problems, text)
}

// readSource reads a text in one of the formats.
func readSource(s Source) (settings.Docs, []string, error) {
	var root map[string]any
	if err := yaml.Unmarshal(s.Text, &root); err != nil {
		return nil, nil, errs.Wrap(errs.Invalid, err, "The text is not valid YAML: %s. Correct it and import again.", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(root) == 0 {
		return nil, nil, errs.New(errs.Invalid, "The text is empty. Paste a configuration of Fairlead, Dex or Gangway.")
	}
	switch s.Format {
	case "dex":
		docs, notes := settings.FromDex(root)
		return docs, notes, nil
	case "gangway":
		docs, notes := settings.FromGangway(root)
		return docs, notes, nil
	case "fairlead", "":
		return fromFile(root)
	}
	return nil, nil, errs.New(errs.Invalid, "The format %q is not known. Use fairlead, dex or gangway.", s.Format)
}

// fromFile returns the entries of a configuration file. The import ignores its other settings, which belong to the
// process.
func fromFile(root map[string]any) (settings.Docs, []string, error) {
	docs, notes := settings.Docs{}, []string(nil)
	for key, value := range root {
		k, known := settings.KindOf(key)
		list, isList := value.([]any)
		if !known || k.Name != key || !isList {
			notes = append(notes, key+": left out, because it is not a list of entries")
			continue
		}
		for _, item := range list {
			doc, ok := item.(map[string]any)
			id, named := doc[k.IDKey].(string)
			if !ok || !named {
				notes = append(notes, key+": left out an entry without "+k.IDKey)
				continue
			}
			docs[k.Name] = append(docs[k.Name], settings.Entry{ID: id, Doc: doc, Origin: store.Origin{Origin: store.OriginPage}})
		}
	}
	return docs, notes, nil
}
