package admin_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// ranked returns a configuration with three entries of each kind that has an order. The first of each was deleted,
// so that positions and places differ.
func ranked(t *testing.T, s *store.Store) *bundle {
	t.Helper()
	b := setup(t, s)
	b.apply(shell(), settings.Issuers, form.Doc{"id": "ci", "url": "https://ci.test", "audience": "https://login.test"})
	b.apply(shell(), settings.Rules, form.Doc{"id": "first", "admin": true, "who": map[string]any{"users": []any{"x"}}})
	b.apply(shell(), settings.Clusters, cluster("one"))
	make := map[string]func(id string) form.Doc{
		settings.Connectors: func(id string) form.Doc {
			return form.Doc{"id": id, "type": "github", "config": map[string]any{"clientID": "x", "clientSecret": "y", "orgs": []any{map[string]any{"name": "acme"}}}}
		},
		settings.Rules: func(id string) form.Doc {
			return form.Doc{"id": id, "who": map[string]any{"everyone": true}, "clusters": map[string]any{"ids": []any{"*"}}}
		},
		settings.Workloads: func(id string) form.Doc {
			return form.Doc{"id": id, "issuer": "ci", "claims": map[string]any{"ref": []any{"x"}}}
		},
	}
	for kind, doc := range make {
		for _, id := range []string{"gone", "z-second", "m-third", "a-fourth"} {
			b.apply(shell(), kind, doc(id))
		}
		item, err := b.Entry(t.Context(), shell(), kind, "gone")
		if err == nil {
			_, err = b.Apply(t.Context(), shell(), admin.Draft{Kind: kind, ID: "gone", Version: item.Version})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// order returns the ids of a kind in order, without the admin rule.
func order(t *testing.T, b *bundle, kind string) []string {
	t.Helper()
	var ids []string
	for _, e := range settings.Documents(whole(t, b))[kind] {
		ids = append(ids, e.ID)
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "first" })
}

func orderedKinds() []string {
	return []string{settings.Connectors, settings.Rules, settings.Workloads}
}

// TestSavingADescriptionMovesNothing: only a move changes the order. The first workload that matches a token is the one
// that it becomes.
func TestSavingADescriptionMovesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := ranked(t, s)
		for _, kind := range orderedKinds() {
			want := order(t, b, kind)
			for _, id := range []string{"a-fourth", "m-third", "z-second"} {
				key := map[string]string{settings.Connectors: "note"}[kind]
				if key == "" {
					key = "description"
				}
				b.apply(shell(), kind, change(t, b, kind, id, key, "changed"))
				if diff := cmp.Diff(want, order(t, b, kind)); diff != "" {
					t.Errorf("%s after saving %s (-want +got):\n%s", kind, id, diff)
				}
			}
		}
	})
}

// TestAMoveIsAChangeOfItsOwn: the preview, the revision and its undoing show the position.
func TestAMoveIsAChangeOfItsOwn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := ranked(t, s)
		for _, kind := range orderedKinds() {
			want := order(t, b, kind)
			item, err := b.Entry(t.Context(), shell(), kind, "a-fourth")
			if err != nil {
				t.Fatal(err)
			}
			first := map[string]int{settings.Rules: 2}[kind] // the admin rule is before them
			d := admin.Draft{Kind: kind, ID: "a-fourth", Version: item.Version, Position: max(first, 1), Reason: "why not"}
			preview, err := b.Preview(t.Context(), shell(), d)
			if err != nil || preview.Action != store.ActionMove || len(preview.Diff) != 1 || preview.Diff[0].Label != "Position" {
				t.Fatalf("%s: preview %+v, %v", kind, preview, err)
			}
			r, err := b.Apply(t.Context(), shell(), d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"a-fourth", "z-second", "m-third"}, order(t, b, kind)); diff != "" {
				t.Errorf("%s moved (-want +got):\n%s", kind, diff)
			}
			again, err := b.Entry(t.Context(), shell(), kind, "a-fourth")
			if err != nil || again.Version != item.Version {
				t.Errorf("%s: the content changed: %+v %v", kind, again, err)
			}
			if change, err := b.Revision(t.Context(), shell(), r.ID); err != nil || !cmp.Equal(change.Diff, preview.Diff) {
				t.Errorf("%s: history %+v, want %+v; %v", kind, change.Diff, preview.Diff, err)
			}
			if _, err := b.Restore(t.Context(), shell(), admin.Restoration{RevisionID: r.ID}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, order(t, b, kind)); diff != "" {
				t.Errorf("%s restored (-want +got):\n%s", kind, diff)
			}
			if _, err := b.Move(t.Context(), shell(), kind, "a-fourth", false); err != nil {
				t.Errorf("%s: moving the last one down: %v", kind, err)
			}
		}
		d := b.draft(settings.Clusters, cluster("one"))
		d.Position = 1
		if _, err := b.Apply(t.Context(), shell(), d); !errs.Is(err, errs.Invalid) {
			t.Errorf("moving a cluster: %v", err)
		}
	})
}
