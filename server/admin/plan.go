package admin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Draft is a proposed change of an entry.
type Draft struct {
	Kind string
	// ID is the id of the entry. Empty creates a new one.
	ID string
	// Doc is the new content. A secret that is left out stays unchanged. Nil deletes the entry.
	Doc form.Doc
	// Version is the version that the change is based on. It is empty for a new entry.
	Version string
	// Position, counting from 1, moves the entry and leaves its content as it is. Zero changes the content.
	Position int
	// Reason is stored in the history.
	Reason string
	// asIs takes the "enabled" field of a connector as the document has it, because a restored connector may have been
	// enabled before.
	asIs bool
}

// RefusedError lists the faults of a draft. Its kind is Invalid.
type RefusedError struct {
	Problems []form.Problem
	// Elsewhere are faults that the change would cause in other entries.
	Elsewhere []string
}

// Unwrap returns an error with the kind.
func (r *RefusedError) Unwrap() error {
	return errs.New(errs.Invalid, "The change was not saved: some values are not valid. Correct them: %s.", r.Error())
}

// Error implements error.
func (r *RefusedError) Error() string {
	var lines []string
	for _, p := range r.Problems {
		lines = append(lines, p.Field+": "+p.Message)
	}
	return strings.Join(append(lines, r.Elsewhere...), "; ")
}

// OutdatedError is the error for a draft that is not based on the current version. Its kind is Conflict.
type OutdatedError struct {
	// Current is the current content without secrets. It is nil if the entry was deleted. Version is its version.
	Current form.Doc
	Version string
}

// Unwrap returns an error with the kind.
func (o *OutdatedError) Unwrap() error {
	return errs.New(errs.Conflict, "The change was not saved: another admin changed this entry in the meantime. Read the entry again and repeat the change.")
}

// Error implements error.
func (o *OutdatedError) Error() string {
	return "another admin changed this entry in the meantime"
}

// plan is a validated change, with the configuration before and after.
type plan struct {
	kind          settings.Kind
	id, action    string
	before, after form.Doc
	// from and to are the whole configuration before and after.
	from, to store.Settings
	// stored is the row of the changed entry, if it was looked up already.
	stored any
}

// makePlan validates a draft against the current configuration. The error is a RefusedError, an OutdatedError, or has a
// kind.
func (a *Admin) makePlan(set store.Settings, d Draft) (*plan, error) {
	k, known := settings.KindOf(d.Kind)
	if !known {
		return nil, unknownKind(d.Kind)
	}
	if d.Position > 0 {
		return a.movePlan(set, k, d)
	}
	docs := settings.Documents(set)
	p := &plan{kind: k, id: d.ID, from: set}
	index := slices.IndexFunc(docs[k.Name], func(e settings.Entry) bool { return e.ID == d.ID })
	var problems []form.Problem
	switch {
	case k.Name == settings.General && (d.ID == "" || d.Doc == nil):
		return nil, errs.New(errs.Invalid, "General settings can’t be created or deleted: they always exist. Change them instead.")
	case d.ID == "":
		p.action, p.id, p.after = store.ActionCreate, d.Doc.Text(k.IDKey), d.Doc.Clone()
		if k.Name == settings.Connectors && !d.asIs {
			p.after["enabled"] = false // a new connector starts disabled
		}
		problems = form.Merge(a.fields(k.Name, p.after), p.after, nil)
		docs[k.Name] = append(docs[k.Name], settings.Entry{ID: p.id, Doc: p.after, Origin: store.Origin{Origin: store.OriginPage}})
		index = len(docs[k.Name]) - 1
	case index < 0:
		return nil, errUnknownEntry(k, d.ID)
	default:
		old := docs[k.Name][index]
		if err := a.changeable(k, old, d.Version); err != nil {
			return nil, err
		}
		p.before = old.Doc
		if d.Doc == nil {
			p.action = store.ActionDelete
			docs[k.Name] = slices.Delete(slices.Clone(docs[k.Name]), index, index+1)
			index = -1
			break
		}
		p.action, p.after = store.ActionUpdate, d.Doc.Clone()
		problems = a.addHiddenFields(k, p, d.asIs)
		docs[k.Name][index].Doc = p.after
	}
	problems = append(problems, form.EmptyEntries(a.fields(k.Name, p.after), p.after)...)
	to, err := a.check(set, docs, fmt.Sprintf("%s[%d]", k.Name, index), problems)
	p.to = keepStates(set, to)
	if p.after != nil {
		// Read the document back with its defaults. Otherwise the next diff would list them as changes.
		canonical, _ := find(settings.Documents(p.to)[k.Name], p.id)
		p.after = canonical.Doc
	}
	return p, err
}

// addHiddenFields adds the fields that a form leaves out.
func (a *Admin) addHiddenFields(k settings.Kind, p *plan, asIs bool) []form.Problem {
	p.after.Set(k.IDKey, p.before.Get(k.IDKey))
	if k.Name == settings.Connectors {
		p.after["type"] = p.before["type"]
		if !asIs && p.after["enabled"] == nil && p.before["enabled"] != nil {
			p.after["enabled"] = p.before["enabled"]
		}
	}
	if k.Name == settings.Clients && p.after["secretHashes"] == nil {
		p.after.Set("secretNotes", p.before.Get("secretNotes"))
	}
	return form.Merge(a.fields(k.Name, p.after), p.after, p.before)
}

func (a *Admin) changeable(k settings.Kind, e settings.Entry, version string) error {
	e.Origin = a.origin(k, e)
	if e.Origin.Origin == store.OriginFile {
		return errs.New(errs.Denied, "The change was refused: the configuration file manages the %s %s (%s). Change it in the file.", k.One, e.ID, e.Origin.OriginRef)
	}
	if version != Version(e.Doc) {
		return &OutdatedError{Current: form.Mask(a.fields(k.Name, e.Doc), e.Doc), Version: Version(e.Doc)}
	}
	return nil
}

// check validates the whole configuration. It ignores faults that existed before the change.
func (a *Admin) check(set store.Settings, docs settings.Docs, path string, problems []form.Problem) (store.Settings, error) {
	reader := settings.Reader{Types: a.Types, URL: a.URL}
	to, now := reader.Read(docs)
	if len(now.Faults()) == 0 && len(problems) == 0 {
		return to, nil
	}
	refused := &RefusedError{Problems: problems}
	var old []string
	earlier := settings.Reader{Types: a.Types, URL: a.URL}
	_, was := earlier.Read(settings.Documents(set))
	for _, f := range was.Faults() {
		old = append(old, f.Message)
	}
	for _, f := range now.Faults() {
		field, own := strings.CutPrefix(f.Path, path)
		field = strings.TrimPrefix(field, ".")
		switch {
		case own && !hasProblem(refused.Problems, field):
			refused.Problems = append(refused.Problems, form.Problem{Field: field, Message: f.Message})
		case !own && !slices.Contains(old, f.Message):
			refused.Elsewhere = append(refused.Elsewhere, a.entryAt(docs, f.Path)+": "+f.Message)
		}
	}
	if len(refused.Problems)+len(refused.Elsewhere) == 0 {
		return to, nil
	}
	return to, refused
}

func hasProblem(list []form.Problem, field string) bool {
	return slices.ContainsFunc(list, func(p form.Problem) bool { return p.Field == field })
}

// entryAt names the entry at a path, for messages.
func (a *Admin) entryAt(docs settings.Docs, path string) string {
	for _, k := range settings.Kinds() {
		for i, e := range docs[k.Name] {
			if rest, found := strings.CutPrefix(path, fmt.Sprintf("%s[%d]", k.Name, i)); found {
				return strings.TrimSuffix(k.One+" "+e.ID+" "+strings.TrimPrefix(rest, "."), " ")
			}
		}
	}
	return path
}

// keepStates keeps the columns that documents do not contain.
func keepStates(from, to store.Settings) store.Settings {
	tested := map[string]string{}
	for _, old := range from.Connectors {
		tested[old.ID] = old.Tested
	}
	for i := range to.Connectors {
		to.Connectors[i].Tested = tested[to.Connectors[i].ID]
	}
	keepPositions(from, to)
	return to
}

// row returns the row of the changed entry.
func (p *plan) row() any {
	if p.stored != nil {
		return p.stored
	}
	switch p.kind.Name {
	case settings.Connectors:
		return pick(p.to.Connectors, p.id, func(r *store.Connector) string { return r.ID })
	case settings.Clusters:
		return pick(p.to.Clusters, p.id, func(r *store.Cluster) string { return r.ID })
	case settings.Rules:
		return pick(p.to.Rules, p.id, func(r *store.AccessRule) string { return r.ID })
	case settings.Clients:
		return pick(p.to.Clients, p.id, func(r *store.Client) string { return r.ID })
	case settings.Issuers:
		return pick(p.to.Issuers, p.id, func(r *store.TrustedIssuer) string { return r.ID })
	case settings.General:
		return pick(p.to.Documents, p.id, func(r *store.Document) string { return r.ID })
	case settings.Workloads:
		return pick(p.to.Workloads, p.id, func(r *store.WorkloadRule) string { return r.ID })
	}
	return pick(p.to.LocalUsers, p.id, func(r *store.LocalUser) string { return r.Login })
}

func pick[T any](rows []T, id string, of func(*T) string) *T {
	for i := range rows {
		if of(&rows[i]) == id {
			return &rows[i]
		}
	}
	return nil
}

// remove deletes the row of an entry, and ends what it has given.
func remove(c *store.SettingsTx, kind, id string, now time.Time) error {
	switch kind {
	case settings.Connectors:
		return c.RemoveConnector(id, now)
	case settings.Clusters:
		return store.Remove[store.Cluster](c, "id", id)
	case settings.Rules:
		return store.Remove[store.AccessRule](c, "id", id)
	case settings.Clients:
		return c.RemoveClient(id, now)
	case settings.Issuers:
		return store.Remove[store.TrustedIssuer](c, "id", id)
	case settings.General:
		return store.Remove[store.Document](c, "id", id)
	case settings.Workloads:
		return store.Remove[store.WorkloadRule](c, "id", id)
	}
	return c.RemoveLocalUser(id, now)
}
