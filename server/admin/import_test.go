package admin_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// TestPruneDeletesOnlyWhatTheTextCanHold: a misspelt kind, an entry with a fault and a kind that the text does not name
// must not cost an entry.
func TestPruneDeletesOnlyWhatTheTextCanHold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := stocked(t, s)
		want := whole(t, b)
		for name, text := range map[string]string{
			"a misspelt kind":       "rule: [{id: admins, admin: true, who: {groups: [x]}}]\nclusters: []",
			"an entry without id":   "clusters: [{name: one, server: 'https://one.test'}]",
			"an entry with a fault": "clusters: [{id: one, server: 'ftp://one.test'}]",
			"a list that is none":   "clusters: {id: one}",
			"a used entry":          "trustedIssuers: []",
		} {
			plan, err := b.Import(t.Context(), shell(), admin.Source{Text: []byte(text), Prune: true})
			if err != nil || len(plan.Refused) == 0 {
				t.Errorf("%s: %+v %v, want a refusal", name, plan, err)
			}
			if diff := cmp.Diff(want, whole(t, b)); diff != "" {
				t.Errorf("%s changed something (-want +got):\n%s", name, diff)
			}
		}
		dex := []byte("connectors: [{type: ldap, id: corp-ldap, name: x, config: {host: ldap.test, userSearch: {baseDN: dc=test}}}]\nstaticClients: []\nstorage: {type: memory}")
		if plan, err := b.Import(t.Context(), shell(), admin.Source{Format: "dex", Text: dex, Prune: true}); err != nil || len(plan.Refused) == 0 {
			t.Errorf("storage of Dex: %+v %v", plan, err)
		}
		if plan, err := b.Import(t.Context(), shell(), admin.Source{Text: []byte("workloads: [{id: deploy, issuer: ci, claims: {ref: [main]}}]"), Prune: true}); err != nil || len(plan.Refused) > 0 {
			t.Fatalf("%+v %v", plan, err)
		}
		got := whole(t, b)
		if len(got.Workloads) != 1 || len(got.Clusters) != len(want.Clusters) || len(got.Rules) != len(want.Rules) || len(got.Clients) != len(want.Clients) {
			t.Errorf("%d workloads, %d clusters, %d rules, %d clients left", len(got.Workloads), len(got.Clusters), len(got.Rules), len(got.Clients))
		}
	})
}

// TestAnImportIsOneChange: with a refusal nothing is written, and every entry becomes a revision of its own.
func TestAnImportIsOneChange(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		text := []byte("clusters: [{id: two, server: 'https://two.test'}, {id: bad, server: 'http://x'}]\n" +
			"rules: [{id: more, who: {groups: [g]}, clusters: {ids: [two]}}, {id: admins, admin: true, who: {groups: [others]}}, {id: lost, who: {groups: [g]}, clusters: {ids: [bad]}}]")
		before := whole(t, b)
		plan, err := b.Import(t.Context(), jane, admin.Source{Text: text})
		if err == nil && len(plan.Refused) == 0 {
			t.Errorf("an import by which its author loses the right: %+v", plan)
		}
		if diff := cmp.Diff(before, whole(t, b)); diff != "" {
			t.Errorf("something was written (-want +got):\n%s", diff)
		}
		text = []byte(strings.Replace(string(text), "others", "corp:ops, others", 1))
		if plan, err = b.Import(t.Context(), jane, admin.Source{Text: text, Reason: "moving"}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range plan.Entries {
			got = append(got, fmt.Sprintf("%s %s %s %t", e.Action, e.Kind, e.ID, len(e.Problems) > 0))
		}
		want := []string{
			"create clusters two false", "create clusters bad true",
			"create rules more false", "update rules admins false", "create rules lost true",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		changes, err := b.History(t.Context(), jane, store.RevisionQuery{Limit: 3})
		if err != nil || len(changes) != 3 || changes[0].Number == changes[1].Number || changes[0].Reason != "moving" {
			t.Errorf("%+v %v", changes, err)
		}
	})
}

// TestEqualIDsAreRefused: two entries of one text with the same id are refused, whichever of them would win.
func TestEqualIDsAreRefused(t *testing.T) {
	t.Parallel()
	b := stocked(t, storetest.SQLite(t))
	want := whole(t, b)
	for name, s := range map[string]admin.Source{
		"clusters":   {Text: []byte("clusters: [{id: x, server: 'https://a.test'}, {id: x, server: 'https://b.test'}]")},
		"users":      {Text: []byte("localUsers: [{login: ann}, {login: ANN}]")},
		"connectors": {Format: "dex", Text: []byte("connectors: [{type: linkedin, id: My Corp, config: {clientID: x, clientSecret: y}}, {type: linkedin, id: my-corp, config: {clientID: x, clientSecret: y}}]")},
		"passwords":  {Format: "dex", Text: []byte("staticPasswords: [{email: a@x.test, username: ann}, {email: b@x.test, username: Ann}]")},
	} {
		if plan, err := b.Import(t.Context(), shell(), s); err != nil || len(plan.Refused) == 0 {
			t.Errorf("%s: %+v %v", name, plan, err)
		}
	}
	if diff := cmp.Diff(want, whole(t, b)); diff != "" {
		t.Errorf("something was written (-want +got):\n%s", diff)
	}
}

// manyClients is a text with clients.
func manyClients(n int) []byte {
	var text strings.Builder
	text.WriteString("clients:\n")
	for i := range n {
		fmt.Fprintf(&text, "- {id: client-%d, name: Client %d, redirectURIs: ['https://client-%d.example.com/callback'], secretHashes: [%s]}\n", i, i, i, strings.Repeat("a", 52))
	}
	return []byte(text.String())
}

// BenchmarkPlanImport plans imports of 400 clients and of one MiB.
func BenchmarkPlanImport(b *testing.B) { benchmarkImport(b, (*admin.Admin).PlanImport) }

// BenchmarkImport makes the same imports, each into an empty database.
func BenchmarkImport(b *testing.B) { benchmarkImport(b, (*admin.Admin).Import) }

// importing is a way to call the import.
type importing func(a *admin.Admin, ctx context.Context, c admin.Caller, s admin.Source) (*admin.ImportPlan, error)

func benchmarkImport(b *testing.B, work importing) {
	for _, n := range []int{400, 5800} {
		text := manyClients(n)
		b.Run(fmt.Sprintf("%d-clients-%d-KiB", n, len(text)>>10), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w := setup(b, storetest.SQLite(b))
				b.StartTimer()
				plan, err := work(w.Admin, b.Context(), shell(), admin.Source{Text: text})
				if err != nil || len(plan.Entries) != n || plan.Problems() > 0 {
					b.Fatal(err)
				}
			}
		})
	}
}

// kindsOf returns the kinds of the entries of a plan.
func kindsOf(plan *admin.ImportPlan) []string {
	var kinds []string
	for _, e := range plan.Entries {
		if !slices.Contains(kinds, e.Kind) {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

// TestKindsInOrder: entries are planned after those that they refer to, in whatever order the text has them.
func TestKindsInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	text := []byte("rules: [{id: r, who: {everyone: true}, clusters: {ids: [one]}}]\nworkloads: [{id: w, issuer: i, claims: {a: [b]}}]\n" +
		"trustedIssuers: [{id: i, url: 'https://i.test', audience: x}]\nclusters: [{id: one, server: 'https://one.test'}]")
	plan, err := b.Import(t.Context(), shell(), admin.Source{Text: text})
	if err != nil || plan.Problems() > 0 {
		t.Fatalf("%+v %v", plan, err)
	}
	if diff := cmp.Diff([]string{settings.Clusters, settings.Rules, settings.Issuers, settings.Workloads}, kindsOf(plan)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnImportCanBeLeft: an import goes on when its caller leaves after it began.
func TestAnImportCanBeLeft(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	ctx, leave := context.WithCancel(t.Context())
	env := func(string) (string, bool) { leave(); return "canary", true }
	text := []byte("connectors: [{id: hub, type: github, config: {clientID: x, clientSecret: 'env:SECRET', orgs: [{name: acme}]}}]")
	plan, err := b.Import(ctx, shell(), admin.Source{Text: text, Env: env, Reason: "moved"})
	if err != nil || plan.Err() != nil || plan.Problems() > 0 {
		t.Fatalf("%+v %v", plan, err)
	}
	if set := whole(t, b); len(set.Connectors) != 1 {
		t.Errorf("%d connectors", len(set.Connectors))
	}
}

// TestVariablesAreAskedFor: a value such as $NAME comes from the environment of the import, and is never stored as a
// text.
func TestVariablesAreAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	for format, text := range map[string]string{
		"dex":      "connectors: [{type: linkedin, id: in, config: {clientID: x, clientSecret: $IN_SECRET}}]",
		"fairlead": "connectors: [{id: in, type: linkedin, enabled: false, config: {clientID: x, clientSecret: 'env:IN_SECRET'}}]",
	} {
		s := admin.Source{Format: format, Text: []byte(text)}
		plan, err := b.Import(t.Context(), shell(), s)
		if err != nil || plan.Problems() != 1 || plan.Err() == nil || !slices.Equal(plan.Variables, []string{"IN_SECRET"}) {
			t.Fatalf("%s: %+v %v", format, plan, err)
		}
		s.Env = func(name string) (string, bool) { return "secret of " + name, true }
		if plan, err = b.PlanImport(t.Context(), shell(), s); err != nil || plan.Problems() > 0 || plan.Err() != nil {
			t.Errorf("%s: %+v %v", format, plan, err)
		}
	}
}

// TestNothingImportedIsAnError: each way to import nothing is an error.
func TestNothingImportedIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	for name, s := range map[string]admin.Source{
		"no entries":     {Text: []byte("clusters: []")},
		"only faults":    {Text: []byte("clusters: [{id: one, server: 'http://one.test'}]")},
		"another format": {Text: []byte("{clusterName: one, apiServerURL: 'https://one.test'}")},
		"equal ids":      {Text: []byte("clusters: [{id: x, server: 'https://a.test'}, {id: x, server: 'https://b.test'}]")},
		"unknown type":   {Format: "dex", Text: []byte("connectors: [{type: mockCallback, id: mock}]")},
	} {
		plan, err := b.Import(t.Context(), shell(), s)
		if err != nil || !errs.Is(plan.Err(), errs.Invalid) {
			t.Errorf("%s: %+v %v", name, plan, err)
		}
	}
	if plan, err := b.Import(t.Context(), shell(), admin.Source{Text: manyClients(2)}); err != nil || plan.Err() != nil {
		t.Errorf("%+v %v", plan, err)
	}
	if plan, err := b.Import(t.Context(), shell(), admin.Source{Text: manyClients(2)}); err != nil || plan.Err() != nil {
		t.Errorf("the same again: %+v %v", plan, err)
	}
}
