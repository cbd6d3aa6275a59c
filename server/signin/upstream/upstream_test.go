package upstream_test

import (
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/mock"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
)

type bundle struct {
	store    *store.Store
	up       *mock.Upstream
	registry *upstream.Registry
	row      *store.Connector
	now      time.Time
	user     *store.User
}

func jane(groups ...string) mock.Person {
	return mock.Person{Password: "pw", Identity: connectors.Identity{Subject: "1", Username: "jane", Groups: groups}}
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{store: storetest.SQLite(t), up: mock.NewUpstream(), now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return b.now }
	logger := slog.New(slog.DiscardHandler)
	b.registry = upstream.New(upstream.Config{
		Store: b.store, Audit: audit.NewLog(now, logger, b.store), Logger: logger, Now: now,
		CallbackURL: func(id string) string { return "http://127.0.0.1/callback/" + id },
		Types:       map[string]connectors.Type{"mock": mock.Type(b.up)},
	})
	err := b.store.ApplyFile(t.Context(), store.Settings{Connectors: []store.Connector{{
		Enabled: true, ID: "corp", Type: "mock", Name: "Corp", GroupPrefix: "corp:", UserPrefix: "corp:", Config: "{}",
		Origin: store.Origin{Origin: store.OriginFile},
	}}}, b.now)
	if err != nil {
		t.Fatal(err)
	}
	if b.row, err = b.store.Connector(t.Context(), "corp"); err != nil {
		t.Fatal(err)
	}
	b.up.Set(jane("dev"))
	person, err := b.registry.Login(t.Context(), b.row, "jane", "pw")
	if err != nil {
		t.Fatal(err)
	}
	if b.user, _, err = b.store.SignInUser(t.Context(), person, b.now); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLoginErrorsHaveKinds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if b.user.KubeName != "corp:jane" || b.user.GroupNames[0] != "corp:dev" {
		t.Errorf("user %+v", b.user)
	}
	if _, err := b.registry.Login(t.Context(), b.row, "jane", "wrong"); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("wrong password: %v", err)
	}
	b.up.Set(jane("system:masters"))
	if _, err := b.registry.Login(t.Context(), b.row, "jane", "pw"); !errs.Is(err, errs.Denied) {
		t.Errorf("reserved group: %v", err)
	}
	b.up.Break(errors.New("connection refused"))
	if _, err := b.registry.Login(t.Context(), b.row, "jane", "pw"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("upstream down: %v", err)
	}
}

func TestFreshAsksWhenTheWordIsOld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	asked := b.up.Asked()
	b.up.Set(jane("ops"))
	fresh := func() *store.User {
		t.Helper()
		u, err := b.registry.Fresh(t.Context(), b.user.ID)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if fresh().GroupNames[0] != "corp:dev" || b.up.Asked() != asked {
		t.Error("a young word must be used")
	}
	b.now = b.now.Add(6 * time.Minute)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if u, err := b.registry.Fresh(t.Context(), b.user.ID); err != nil || u.GroupNames[0] != "corp:ops" {
				t.Errorf("user %+v, error %v", u, err)
			}
		})
	}
	wg.Wait()
	if got := b.up.Asked() - asked; got != 1 {
		t.Errorf("asked %d times, want once", got)
	}
	if fresh().GroupNames[0] != "corp:ops" {
		t.Error("the new word must be kept")
	}
}

func TestFreshRefusesLeavers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.now = b.now.Add(6 * time.Minute)
	gone := jane()
	gone.Denied = true
	b.up.Set(gone)
	if _, err := b.registry.Fresh(t.Context(), b.user.ID); !errs.Is(err, errs.Denied) {
		t.Errorf("error %v, want denied", err)
	}
	events, err := b.store.AuditEvents(t.Context(), audit.UpstreamRefused, 10)
	if err != nil || len(events) != 1 {
		t.Errorf("events %+v, error %v", events, err)
	}
}

func TestOutageBudget(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.up.Break(errors.New("connection refused"))
	b.now = b.now.Add(time.Hour)
	if u, err := b.registry.Fresh(t.Context(), b.user.ID); err != nil || u.GroupNames[0] != "corp:dev" {
		t.Errorf("inside the budget: %+v, %v", u, err)
	}
	b.now = b.now.Add(time.Second)
	if _, err := b.registry.Fresh(t.Context(), b.user.ID); !errs.Is(err, errs.Unavailable) {
		t.Errorf("after the budget: %v, want unavailable", err)
	}
	b.up.Break(nil)
	if _, err := b.registry.Fresh(t.Context(), b.user.ID); err != nil {
		t.Errorf("upstream back: %v", err)
	}
}
