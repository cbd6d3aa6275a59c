package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
)

// bundle is an Admin with a database of its own.
type bundle struct {
	*admin.Admin
	store *store.Store
	t     testing.TB
	mu    sync.Mutex
	at    time.Time
}

func (b *bundle) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *bundle) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = b.at.Add(d)
}

func setup(t testing.TB, s *store.Store) *bundle {
	t.Helper()
	b := &bundle{store: s, t: t, at: time.Now().Truncate(time.Second)}
	logger, hasher := slog.New(slog.DiscardHandler), password.NewHasher()
	log := audit.NewLog(b.now, logger, s)
	b.Admin = admin.New(admin.Config{
		Store: s, Audit: log, Logger: logger, Now: b.now, Types: all.Types(hasher), Hasher: hasher, URL: "https://login.test",
		Limit: &ratelimit.Limiter{Store: s, Now: b.now, Window: time.Hour},
		Upstream: upstream.New(upstream.Config{
			Store: s, Audit: log, Logger: logger, Now: b.now, Types: all.Types(hasher), CallbackURL: func(id string) string { return "https://login.test/callback/" + id },
		}),
	})
	return b
}

func shell() admin.Caller { return admin.Caller{Shell: "shell:test"} }

// person creates a user with a session and returns the caller.
func (b *bundle) person(connector, login string, groups ...string) admin.Caller {
	b.t.Helper()
	u, _, err := b.store.SignInUser(b.t.Context(), store.ResolvedIdentity{
		ConnectorID: connector, KubeName: connector + ":" + login, Identity: connectors.Identity{Subject: "id-" + login, Username: login, Groups: groups},
	}, b.now())
	if err != nil {
		b.t.Fatal(err)
	}
	return admin.Caller{User: u, SignIn: &store.SignIn{ID: "sid_" + login, UserID: u.ID, ConnectorID: connector, Authenticated: store.At(b.now())}, Address: "192.0.2.1"}
}

func (b *bundle) apply(c admin.Caller, kind string, doc form.Doc) *store.Revision {
	b.t.Helper()
	r, err := b.Apply(b.t.Context(), c, b.draft(kind, doc))
	if err != nil {
		b.t.Fatalf("%s: %v", kind, err)
	}
	return r
}

// draft returns a draft that changes the entry with the document's id, or creates it.
func (b *bundle) draft(kind string, doc form.Doc) admin.Draft {
	b.t.Helper()
	k, _ := settings.KindOf(kind)
	d := admin.Draft{Kind: kind, Doc: doc}
	if item, err := b.Entry(b.t.Context(), shell(), kind, doc.Text(k.IDKey)); err == nil {
		d.ID, d.Version = item.ID, item.Version
	}
	return d
}

const canary = "canary-bind-secret"

func ldap(host string) form.Doc {
	return form.Doc{"id": "corp", "type": "ldap", "name": "Corp", "config": map[string]any{
		"hosts": []any{host}, "bindDN": "cn=x,dc=test", "bindPassword": canary, "userSearch": map[string]any{"baseDN": "dc=test"},
	}}
}

func cluster(id string) form.Doc {
	return form.Doc{"id": id, "server": "https://" + id + ".test", "labels": map[string]any{"env": "test"}}
}

func adminRule(groups ...any) form.Doc {
	return form.Doc{"id": "admins", "admin": true, "who": map[string]any{"groups": groups}}
}

// furnished returns a configuration with a connector, clusters, an admin rule, and the admin jane.
func furnished(t *testing.T, s *store.Store) (*bundle, admin.Caller) {
	t.Helper()
	b := setup(t, s)
	b.apply(shell(), settings.Connectors, ldap("ldap.test"))
	if _, err := b.Enable(t.Context(), shell(), "corp", true, "a test"); err != nil {
		t.Fatal(err)
	}
	b.apply(shell(), settings.Clusters, cluster("one"))
	b.apply(shell(), settings.Rules, adminRule("corp:ops"))
	return b, b.person("corp", "jane", "corp:ops")
}

func TestChangesAreRevisions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		changed := cluster("one")
		changed["description"] = "new"
		d := b.draft(settings.Clusters, changed)
		d.Reason = "why not"
		first, err := b.Apply(t.Context(), jane, d)
		if err != nil {
			t.Fatal(err)
		}
		// A second save of the same version is refused, shows the current content, and changes nothing.
		_, err = b.Apply(t.Context(), jane, d)
		outdated, ok := errors.AsType[*admin.OutdatedError](err)
		if !ok || outdated.Current.Text("description") != "new" || !errs.Is(err, errs.Conflict) {
			t.Fatalf("second save: %v", err)
		}
		change, err := b.Revision(t.Context(), jane, first.ID)
		if err != nil || change.AuthorName != "corp:jane" || change.Reason != "why not" || len(change.Diff) != 1 || change.Diff[0].After != "new" {
			t.Errorf("revision %+v, %v", change, err)
		}
		seen := "an older version"
		if _, err := b.Restore(t.Context(), jane, admin.Restoration{RevisionID: first.ID, Expected: &seen}); !errs.Is(err, errs.Conflict) {
			t.Errorf("restoring over a change that was not seen: %v, want a conflict", err)
		}
		preview, err := b.PreviewRestore(t.Context(), jane, admin.Restoration{RevisionID: first.ID})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Restore(t.Context(), jane, admin.Restoration{RevisionID: first.ID, Reason: "back", Expected: &preview.Current}); err != nil {
			t.Fatal(err)
		}
		if item, err := b.Entry(t.Context(), jane, settings.Clusters, "one"); err != nil || item.Doc.Text("description") != "" {
			t.Errorf("restored: %+v %v", item.Doc, err)
		}
		// A deleted entry can be restored as well.
		item, err := b.Entry(t.Context(), jane, settings.Clusters, "one")
		if err != nil {
			t.Fatal(err)
		}
		gone, err := b.Apply(t.Context(), jane, admin.Draft{Kind: settings.Clusters, ID: "one", Version: item.Version})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Restore(t.Context(), jane, admin.Restoration{RevisionID: gone.ID}); err != nil {
			t.Fatal(err)
		}
		again, err := b.Entry(t.Context(), jane, settings.Clusters, "one")
		if err != nil || again.Version != item.Version {
			t.Errorf("came back as %+v, %v", again, err)
		}
	})
}

// TestOneOfTwoSavesWins: two admins save the same version at the same time.
func TestOneOfTwoSavesWins(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		d := b.draft(settings.Clusters, cluster("one"))
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for _, name := range []string{"a", "b", "c", "d"} {
			wg.Go(func() {
				mine := d
				mine.Doc = d.Doc.Clone()
				mine.Doc["description"] = name
				_, err := b.Apply(context.WithoutCancel(t.Context()), jane, mine)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errs.Is(err, errs.Conflict) {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d saves won, want 1", won)
		}
	})
}

func TestWhatIsWrongIsSaidByField(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	_, err := b.Apply(t.Context(), jane, admin.Draft{Kind: settings.Clusters, Doc: form.Doc{"id": "Bad Id", "server": "http://x.test", "audience": "k8s-one"}})
	refused, ok := errors.AsType[*admin.RefusedError](err)
	if !ok || len(refused.Problems) != 3 || !errs.Is(err, errs.Invalid) {
		t.Fatalf("%v", err)
	}
	// An entry that others refer to cannot be deleted, and the error names them.
	b.apply(jane, settings.Rules, form.Doc{"id": "devs", "who": map[string]any{"everyone": true}, "clusters": map[string]any{"ids": []any{"one"}}})
	item, err := b.Entry(t.Context(), jane, settings.Clusters, "one")
	if err != nil {
		t.Fatal(err)
	}
	d := admin.Draft{Kind: settings.Clusters, ID: "one", Version: item.Version}
	preview, err := b.Preview(t.Context(), jane, d)
	if err != nil || preview.Refused == "" || len(preview.Uses) != 1 || !strings.Contains(preview.Uses[0], "access rule devs") {
		t.Errorf("preview %+v, %v", preview, err)
	}
	if _, err := b.Apply(t.Context(), jane, d); !errs.Is(err, errs.Invalid) {
		t.Errorf("deleted: %v", err)
	}
}

func TestPreviewCountsPeople(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	for _, name := range []string{"a", "b", "c"} {
		b.person("corp", name, "corp:dev")
	}
	preview, err := b.Preview(t.Context(), jane, admin.Draft{Kind: settings.Rules, Doc: form.Doc{
		"id": "devs", "who": map[string]any{"groups": []any{"corp:dev"}}, "clusters": map[string]any{"labels": map[string]any{"env": "test"}},
	}})
	if err != nil || len(preview.Sentences) != 1 || preview.Sentences[0] != "3 people would gain one." {
		t.Errorf("%+v %v", preview, err)
	}
}

// TestExportImport: an export that is imported elsewhere has the same content, except for secrets, which the import
// asks for.
func TestExportImport(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	text, err := b.Export(t.Context(), jane)
	if err != nil || strings.Contains(string(text), canary) || !strings.Contains(string(text), "CORP_BIND_PASSWORD") {
		t.Fatalf("%v\n%s", err, text)
	}
	other := setup(t, storetest.SQLite(t))
	plan, err := other.PlanImport(t.Context(), shell(), admin.Source{Text: text, Reason: "moved"})
	if err != nil || plan.Problems() != 1 {
		t.Errorf("without the secret: %+v %v", plan, err)
	}
	source := admin.Source{Text: text, Resolve: func(string) (string, error) { return canary, nil }, Reason: "moved"}
	if plan, err = other.Import(t.Context(), shell(), source); err != nil || plan.Problems() != 0 {
		t.Fatalf("%+v %v", plan, err)
	}
	again, err := other.Export(t.Context(), shell())
	if err != nil || string(again) != string(text) {
		t.Errorf("%v\n%s\nwant\n%s", err, again, text)
	}
	if plan, err = other.PlanImport(t.Context(), shell(), source); err != nil {
		t.Fatal(err)
	}
	for _, e := range plan.Entries {
		if e.Action != "same" {
			t.Errorf("a second import would %s %s: %+v", e.Action, e.ID, e.Diff)
		}
	}
}
