package admin

import (
	"context"
	"slices"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// HasOrder reports whether the order of the entries of a kind matters: connectors on the sign-in page, rules for the
// reason that users see, workloads because the first that matches a token decides.
func HasOrder(kind string) bool {
	return kind == settings.Connectors || kind == settings.Rules || kind == settings.Workloads
}

// Move moves an entry one place up or down. The revision is nil if the entry is first or last already.
func (a *Admin) Move(ctx context.Context, c Caller, kind, id string, up bool) (*store.Revision, error) {
	if err := a.authorizeWrite(ctx, c, "move "+kind+" "+id); err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	entries := settings.Documents(set)[kind]
	at := slices.IndexFunc(entries, func(e settings.Entry) bool { return e.ID == id })
	to := at + 1
	if up {
		to = at - 1
	}
	if at < 0 || to < 0 || to >= len(entries) {
		return nil, nil
	}
	return a.apply(ctx, c, Draft{Kind: kind, ID: id, Version: Version(entries[at].Doc), Position: to + 1})
}

// movePlan plans a move of an entry to Draft.Position. The document of the entry stays as it is.
func (a *Admin) movePlan(set store.Settings, k settings.Kind, d Draft) (*plan, error) {
	entries := settings.Documents(set)[k.Name]
	at := slices.IndexFunc(entries, func(e settings.Entry) bool { return e.ID == d.ID })
	switch {
	case !HasOrder(k.Name):
		return nil, errs.New(errs.Invalid, "The order of %s has no meaning, so they can’t be moved. Move connectors, rules or workloads.", k.Name)
	case at < 0:
		return nil, errUnknownEntry(k, d.ID)
	}
	if err := a.changeable(k, entries[at], d.Version); err != nil {
		return nil, err
	}
	to := min(d.Position, len(entries)) - 1
	return &plan{
		kind: k, id: d.ID, action: store.ActionMove, before: place(k, d.ID, at), after: place(k, d.ID, to), from: set, to: moved(set, k.Name, at, to),
	}, nil
}

// place is the document of a move in the history. Positions count from 1.
func place(k settings.Kind, id string, at int) form.Doc {
	return form.Doc{k.IDKey: id, "position": at + 1}
}

// moved returns the configuration after a move.
func moved(set store.Settings, kind string, from, to int) store.Settings {
	switch kind {
	case settings.Connectors:
		set.Connectors = reordered(set.Connectors, from, to, func(r *store.Connector) *int { return &r.Position })
	case settings.Rules:
		set.Rules = reordered(set.Rules, from, to, func(r *store.AccessRule) *int { return &r.Position })
	case settings.Workloads:
		set.Workloads = reordered(set.Workloads, from, to, func(r *store.WorkloadRule) *int { return &r.Position })
	}
	return set
}

func reordered[T any](rows []T, from, to int, position func(*T) *int) []T {
	list, row := slices.Clone(rows), rows[from]
	list = slices.Insert(slices.Delete(list, from, from+1), to, row)
	for i := range list {
		*position(&list[i]) = i
	}
	return list
}

// writePositions writes the positions that a move changes.
func writePositions(tx *store.SettingsTx, p *plan) error {
	table := map[string]any{settings.Connectors: &store.Connector{}, settings.Rules: &store.AccessRule{}, settings.Workloads: &store.WorkloadRule{}}[p.kind.Name]
	before := positions(p.from, p.kind.Name)
	for id, position := range positions(p.to, p.kind.Name) {
		if before[id] == position {
			continue
		}
		if err := tx.SetPosition(table, id, position); err != nil {
			return err
		}
	}
	return nil
}

// positions returns the position of each entry of a kind.
func positions(set store.Settings, kind string) map[string]int {
	list := map[string]int{}
	switch kind {
	case settings.Connectors:
		for _, r := range set.Connectors {
			list[r.ID] = r.Position
		}
	case settings.Rules:
		for _, r := range set.Rules {
			list[r.ID] = r.Position
		}
	case settings.Workloads:
		for _, r := range set.Workloads {
			list[r.ID] = r.Position
		}
	}
	return list
}

// keepPositions gives entries the positions that they had before a change, and puts new ones last.
func keepPositions(from, to store.Settings) {
	keep := func(kind string, n int, row func(i int) (id string, position *int)) {
		before := positions(from, kind)
		last := -1
		for _, position := range before {
			last = max(last, position)
		}
		for i := range n {
			id, position := row(i)
			old, known := before[id]
			if !known {
				last++
				old = last
			}
			*position = old
		}
	}
	keep(settings.Connectors, len(to.Connectors), func(i int) (string, *int) { return to.Connectors[i].ID, &to.Connectors[i].Position })
	keep(settings.Rules, len(to.Rules), func(i int) (string, *int) { return to.Rules[i].ID, &to.Rules[i].Position })
	keep(settings.Workloads, len(to.Workloads), func(i int) (string, *int) { return to.Workloads[i].ID, &to.Workloads[i].Position })
}
