package admin

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/strictyaml"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// importing is an import on top of one state of the configuration. It validates all entries together.
type importing struct {
	a      *Admin
	source Source
	plan   *ImportPlan
	// from and to are the whole configuration before and after.
	from, to store.Settings
	current  settings.Docs
	// entries are those of the plan by kind and id. pruned are the deletions.
	entries map[string]*ImportEntry
	pruned  map[string]bool
	rows    map[string]any
}

// planImport plans an import. It reads the whole configuration a few times, whatever the number of entries.
func (a *Admin) planImport(set store.Settings, s Source, file *settings.ImportFile) *importing {
	i := &importing{
		a: a, source: s, from: set, to: set, current: settings.Documents(set), entries: map[string]*ImportEntry{}, pruned: map[string]bool{},
		plan: &ImportPlan{Notes: file.Notes, Ignored: file.Ignored, Variables: file.Variables, Refused: slices.Clone(file.Refused)},
	}
	if len(file.Refused) > 0 {
		return i
	}
	i.collect(file)
	i.check()
	i.describe()
	i.checkPrune()
	return i
}

func (i *importing) refuse(format string, args ...any) {
	i.plan.Refused = append(i.plan.Refused, fmt.Sprintf(format, args...))
}

// collect makes the entries of the plan.
func (i *importing) collect(file *settings.ImportFile) {
	for _, k := range settings.Kinds() {
		stored := map[string]settings.Entry{}
		for _, e := range i.current[k.Name] {
			stored[e.ID] = e
		}
		for _, e := range file.Docs[k.Name] {
			old, known := stored[e.ID]
			entry := i.entry(k, e, old, known)
			entry.Problems = append(slices.Clone(file.Faults[settings.EntryKey(k.Name, e.ID)]), entry.Problems...)
			i.plan.Entries = append(i.plan.Entries, entry)
		}
		if _, named := file.Docs[k.Name]; i.source.Prune && named {
			i.prune(k, file.Docs[k.Name])
		}
	}
	for n := range i.plan.Entries {
		e := &i.plan.Entries[n]
		i.entries[settings.EntryKey(e.Kind, e.ID)] = e
	}
}

func (i *importing) entry(k settings.Kind, e, old settings.Entry, known bool) ImportEntry {
	entry := ImportEntry{Kind: k.Name, ID: e.ID, Action: store.ActionCreate, after: e.Doc.Clone()}
	fields := i.a.fields(k.Name, entry.after)
	var problems []form.Problem
	switch {
	case !known && k.Name == settings.General:
		entry.addProblem("There is no general setting %s.", e.ID)
	case !known:
		if k.Name == settings.Connectors && i.source.Format == settings.FormatDex {
			entry.after["enabled"] = false // Dex has no tests
		}
		problems = form.Merge(fields, entry.after, nil)
	default:
		if err := i.a.changeable(k, old, Version(old.Doc)); err != nil {
			entry.addProblem("%s", errs.Message(err))
		}
		if kind := entry.after["type"]; kind != nil && kind != old.Doc["type"] {
			entry.addProblem("type: must stay %v. Delete the connector first, or choose another ID", old.Doc["type"])
		}
		entry.Action, entry.before = store.ActionUpdate, old.Doc
		problems = i.a.addHiddenFields(k, &plan{before: old.Doc, after: entry.after}, false)
	}
	for _, p := range append(problems, form.EmptyEntries(fields, entry.after)...) {
		entry.addProblem("%s: %s", p.Field, p.Message)
	}
	return entry
}

// prune lists the entries of the pages that the text does not have.
func (i *importing) prune(k settings.Kind, kept []settings.Entry) {
	ids := map[string]bool{}
	for _, e := range kept {
		ids[e.ID] = true
	}
	for _, old := range slices.Backward(i.current[k.Name]) {
		if !ids[old.ID] && old.Origin.Origin == store.OriginPage && k.Name != settings.General {
			i.plan.Prune = append(i.plan.Prune, ImportEntry{Kind: k.Name, ID: old.ID, Action: store.ActionDelete, before: old.Doc})
			i.pruned[settings.EntryKey(k.Name, old.ID)] = true
		}
	}
}

// checkPrune refuses to delete anything if something of the text was not taken over as it is: it could hold what would
// be deleted.
func (i *importing) checkPrune() {
	if !i.source.Prune {
		return
	}
	for _, text := range slices.Concat(i.plan.Ignored, i.plan.Notes) {
		i.refuse("Nothing is deleted while the import has notes. Correct the text, or import without deleting: %s", text)
	}
	for _, e := range i.plan.Entries {
		if len(e.Problems) > 0 {
			i.refuse("Nothing is deleted while an entry cannot be imported. Correct it, or import without deleting: %s %s", e.Kind, e.ID)
		}
	}
}

// maxRounds bounds how often the configuration is read: each round leaves out the entries with faults, and the next finds
// those that refer to them.
const maxRounds = 12

// check validates the configuration with the import, without the entries that have faults.
func (i *importing) check() {
	for range maxRounds {
		docs, owners := i.merged()
		reader := settings.Reader{Types: i.a.Types, URL: i.a.URL}
		to, document := reader.Read(docs)
		found, others := i.assign(document.Faults(), owners)
		if !found {
			i.to = keepStates(i.from, to)
			found = i.checkTests()
		}
		if found {
			continue
		}
		i.refuseOthers(docs, others)
		return
	}
	i.refuse("The text has too many entries with faults that depend on each other. Correct the faults and import again.")
}

// merged returns the configuration with the import, and the entry of the import at each path such as "clusters[3]".
func (i *importing) merged() (settings.Docs, map[string]*ImportEntry) {
	docs, owners := settings.Docs{}, map[string]*ImportEntry{}
	add := func(kind string, e settings.Entry, owner *ImportEntry) {
		if owner != nil {
			owners[fmt.Sprintf("%s[%d]", kind, len(docs[kind]))] = owner
			e.Doc = owner.after
		}
		docs[kind] = append(docs[kind], e)
	}
	for _, k := range settings.Kinds() {
		for _, old := range i.current[k.Name] {
			key := settings.EntryKey(k.Name, old.ID)
			owner := i.entries[key]
			if owner != nil && len(owner.Problems) > 0 {
				owner = nil
			}
			if !i.pruned[key] {
				add(k.Name, old, owner)
			}
		}
	}
	for n := range i.plan.Entries {
		e := &i.plan.Entries[n]
		if e.before == nil && len(e.Problems) == 0 {
			add(e.Kind, settings.Entry{ID: e.ID, Origin: store.Origin{Origin: store.OriginPage}}, e)
		}
	}
	return docs, owners
}

// entryPath splits the path of a fault into the entry and the field in it.
var entryPath = regexp.MustCompile(`^(\w+)(\[\d+\])?\.?(.*)$`)

// assign adds faults to the entries of the import that have them, and returns the others.
func (i *importing) assign(faults []strictyaml.Fault, owners map[string]*ImportEntry) (found bool, others []strictyaml.Fault) {
	for _, f := range faults {
		part := entryPath.FindStringSubmatch(f.Path)
		if part == nil {
			others = append(others, f)
			continue
		}
		owner, owned := owners[part[1]+part[2]]
		switch {
		case owned:
			owner.addProblem("%s: %s", part[3], f.Message)
		case part[2] == "" && i.blameKind(part[1], f.Message):
			owned = true
		default:
			others = append(others, f)
		}
		found = found || owned
	}
	return found, others
}

// blameKind adds a fault of a whole kind, such as a missing connector, to the new entries of that kind.
func (i *importing) blameKind(kind, message string) bool {
	found := false
	for n := range i.plan.Entries {
		if e := &i.plan.Entries[n]; e.Kind == kind && e.before == nil && len(e.Problems) == 0 {
			e.addProblem("%s", message)
			found = true
		}
	}
	return found
}

// checkTests finds connectors that would be enabled without a test.
func (i *importing) checkTests() bool {
	found := false
	for n := range i.plan.Entries {
		e := &i.plan.Entries[n]
		if e.Kind != settings.Connectors || len(e.Problems) > 0 {
			continue
		}
		if err := guardTest(i.planOf(e), i.source.Reason); err != nil {
			e.addProblem("enabled: %s", errs.Message(err))
			found = true
		}
	}
	return found
}

// refuseOthers refuses the import if entries that it does not contain would get faults that they do not have now.
func (i *importing) refuseOthers(docs settings.Docs, faults []strictyaml.Fault) {
	if len(faults) == 0 {
		return
	}
	reader := settings.Reader{Types: i.a.Types, URL: i.a.URL}
	_, before := reader.Read(i.current)
	var old []string
	for _, f := range before.Faults() {
		old = append(old, f.Message)
	}
	for _, f := range faults {
		if !slices.Contains(old, f.Message) {
			i.refuse("The import would break another entry: %s: %s", i.a.entryAt(docs, f.Path), f.Message)
		}
	}
}

// describe compares each entry with what is stored.
func (i *importing) describe() {
	after := settings.Documents(i.to)
	docs := map[string]form.Doc{}
	for _, k := range settings.Kinds() {
		for _, e := range after[k.Name] {
			docs[settings.EntryKey(k.Name, e.ID)] = e.Doc
		}
	}
	passwords := newPasswords(i.from, i.to)
	for n := range i.plan.Entries {
		e := &i.plan.Entries[n]
		if len(e.Problems) > 0 {
			continue
		}
		e.after = docs[settings.EntryKey(e.Kind, e.ID)]
		e.Diff = form.Diff(i.a.fields(e.Kind, e.after), e.before, e.after)
		if e.Kind == settings.LocalUsers && passwords[e.ID] {
			e.Diff = append(e.Diff, form.Change{Label: "Password", After: "set, new"})
		}
		if len(e.Diff) == 0 && e.Action == store.ActionUpdate {
			e.Action = actionSame
		}
	}
}

// newPasswords returns the local users who get a password hash that is not stored yet. Documents do not contain it.
func newPasswords(from, to store.Settings) map[string]bool {
	stored, fresh := map[string]string{}, map[string]bool{}
	for _, u := range from.LocalUsers {
		stored[u.Login] = u.FileHash
	}
	for _, u := range to.LocalUsers {
		fresh[u.Login] = u.FileHash != "" && u.FileHash != stored[u.Login]
	}
	return fresh
}

// changes returns the entries to write: first those of the text, then the deletions, entries that refer to others first.
func (i *importing) changes() []*ImportEntry {
	var list []*ImportEntry
	for n := range i.plan.Entries {
		if e := &i.plan.Entries[n]; e.Changes() {
			list = append(list, e)
		}
	}
	for n := range slices.Backward(i.plan.Prune) {
		list = append(list, &i.plan.Prune[n])
	}
	return list
}

// planOf returns the change of an entry.
func (i *importing) planOf(e *ImportEntry) *plan {
	k, _ := settings.KindOf(e.Kind)
	return &plan{kind: k, id: e.ID, action: e.Action, before: e.before, after: e.after, from: i.from, to: i.to, stored: i.row(e)}
}

// row returns the row of an entry. It is nil for a deletion.
func (i *importing) row(e *ImportEntry) any {
	if i.rows == nil {
		i.rows = rowsByKey(i.to)
	}
	return i.rows[settings.EntryKey(e.Kind, e.ID)]
}
