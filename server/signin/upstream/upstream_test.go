package upstream_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/mock"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
)

type fixture struct {
	store    *store.Store
	up       *mock.Upstream
	registry *upstream.Registry
	row      *store.Connector
	now      time.Time
	user     *store.User
	settings *runtimesettings.Settings
	config   upstream.Config
}

func jane(groups ...string) mock.Person {
	return mock.Person{Password: "pw", Identity: connectors.Identity{Subject: "1", Username: "jane", Groups: groups}}
}

func setup(t *testing.T) *fixture {
	t.Helper()
	b := &fixture{store: storetest.SQLite(t), up: mock.NewUpstream(), settings: runtimesettings.New(runtimesettings.Values{}), now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return b.now }
	logger := slog.New(slog.DiscardHandler)
	b.config = upstream.Config{
		Store: b.store, Audit: audit.NewLog(now, logger, b.store), Logger: logger, Now: now, RuntimeSettings: b.settings,
		CallbackURL: func(id string) string { return "http://127.0.0.1/callback/" + id },
		Types:       map[string]connectors.Type{"mock": mock.Type(b.up)},
	}
	b.registry = upstream.New(b.config)
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
	odd := jane("dev")
	odd.Identity.Username = "system:admin"
	b.up.Set(odd)
	if _, err := b.registry.Login(t.Context(), b.row, "system:admin", "pw"); !errs.Is(err, errs.Denied) {
		t.Errorf("reserved user name: %v", err)
	}
	b.up.Set(jane("dev"))
	b.up.Break(errors.New("connection refused"))
	if _, err := b.registry.Login(t.Context(), b.row, "jane", "pw"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("upstream down: %v", err)
	}
}

// TestTypedNamesHarmNoConnector: no name that someone enters makes a connector fail.
func TestTypedNamesHarmNoConnector(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.up.Break(errors.New("what a database says about NUL"))
	for _, name := range []string{"nul\x00", "\xff", "new\nline", strings.Repeat("x", 2000)} {
		if _, err := b.registry.Login(t.Context(), b.row, name, "pw"); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, fault := b.registry.Fault("corp"); fault != nil {
		t.Errorf("the connector fails: %v", fault)
	}
}

func TestFreshAsksWhenTheWordIsOld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	asked := b.up.Calls()
	b.up.Set(jane("ops"))
	fresh := func() *store.User {
		t.Helper()
		u, err := b.registry.RecheckUserByID(t.Context(), b.user.ID)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if fresh().GroupNames[0] != "corp:dev" || b.up.Calls() != asked {
		t.Error("a young word must be used")
	}
	b.now = b.now.Add(6 * time.Minute)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if u, err := b.registry.RecheckUserByID(t.Context(), b.user.ID); err != nil || u.GroupNames[0] != "corp:ops" {
				t.Errorf("user %+v, error %v", u, err)
			}
		})
	}
	wg.Wait()
	if got := b.up.Calls() - asked; got != 1 {
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
	if _, err := b.registry.RecheckUserByID(t.Context(), b.user.ID); !errs.Is(err, errs.Denied) {
		t.Errorf("error %v, want denied", err)
	}
	events, err := b.store.AuditEvents(t.Context(), audit.UpstreamRefused, 10)
	if err != nil || len(events) != 1 {
		t.Errorf("events %+v, error %v", events, err)
	}
}

// TestARefusalIsRemembered: an outage right after a refusal gives nothing back, and a later confirmation does.
func TestARefusalIsRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.now = b.now.Add(6 * time.Minute)
	gone := jane()
	gone.Denied = true
	b.up.Set(gone)
	before, err := b.store.FeedPosition(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	refused := func(when string) {
		t.Helper()
		if _, err := b.registry.RecheckUserByID(t.Context(), b.user.ID); !errs.Is(err, errs.Denied) {
			t.Errorf("%s: %v, want denied", when, err)
		}
		if u, err := b.store.User(t.Context(), b.user.ID); err != nil || !u.Blocked() {
			t.Errorf("%s: %+v, %v", when, u, err)
		}
	}
	refused("the upstream refuses")
	b.up.Break(errors.New("connection refused"))
	refused("the upstream is unreachable a moment later")
	b.now = b.now.Add(time.Second)
	refused("and a second later")
	if after, err := b.store.FeedPosition(t.Context()); err != nil || after.Seq != before.Seq+1 {
		t.Errorf("%d revocations, %v, want 1", after.Seq-before.Seq, err)
	}
	b.up.Break(connectors.Unconfirmed())
	refused("the upstream can't be asked without a sign-in")
	if events, err := b.store.AuditEvents(t.Context(), audit.UpstreamRefused, 10); err != nil || len(events) != 4 {
		t.Errorf("%d events, %v, want one for each refusal", len(events), err)
	}
	b.up.Break(nil)
	b.up.Set(jane("dev"))
	if u, err := b.registry.RecheckUserByID(t.Context(), b.user.ID); err != nil || u.Blocked() {
		t.Errorf("confirmed again: %+v, %v", u, err)
	}
	// The next refusal revokes what was given in between, however soon it comes.
	b.now = b.now.Add(6 * time.Minute)
	b.up.Set(gone)
	refused("refused once more")
	if after, err := b.store.FeedPosition(t.Context()); err != nil || after.Seq != before.Seq+2 {
		t.Errorf("%d revocations, %v, want 2", after.Seq-before.Seq, err)
	}
}

// TestNewDataIsKeptWithARefusal: the upstream may have replaced its refresh token before
// the user is refused, because the name belongs to another account or the user name can't
// be used.
func TestNewDataIsKeptWithARefusal(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bob", "system:masters"} {
		b := setup(t)
		bob := store.ResolvedIdentity{ConnectorID: "corp", KubeName: "corp:bob", Identity: connectors.Identity{Subject: "2", Username: "bob"}}
		if _, _, err := b.store.SignInUser(t.Context(), bob, b.now); err != nil {
			t.Fatal(err)
		}
		renamed := jane("dev")
		renamed.Identity.Username, renamed.Identity.Data = name, []byte("the next token")
		b.up.Set(renamed)
		b.now = b.now.Add(6 * time.Minute)
		_, _ = b.registry.RecheckUserByID(t.Context(), b.user.ID)
		kept, err := b.store.User(t.Context(), b.user.ID)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := b.store.Identity(kept); err != nil || string(id.Data) != "the next token" || id.Username != "jane" {
			t.Errorf("%s: kept %+v, %v", name, id, err)
		}
	}
}

// TestTwoReplicasAskOnce: a rotating refresh token must not be used twice.
func TestTwoReplicasAskOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := upstream.New(b.config)
	b.now = b.now.Add(6 * time.Minute)
	asked := b.up.Calls()
	var wg sync.WaitGroup
	for _, replica := range []*upstream.Registry{b.registry, other, b.registry, other} {
		wg.Go(func() {
			if _, err := replica.RecheckUserByID(t.Context(), b.user.ID); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := b.up.Calls() - asked; n != 1 {
		t.Errorf("the upstream was asked %d times, want once", n)
	}
	// A refusal of what is no longer so changes nothing.
	if u, refused, err := b.store.RefuseUser(t.Context(), b.user, "upstream_denied", b.now); err != nil || refused || u.Blocked() {
		t.Errorf("an older refusal: %+v, %v, %v", u, refused, err)
	}
}

func TestOutageBudget(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.up.Break(errors.New("connection refused"))
	b.now = b.now.Add(time.Hour)
	if u, err := b.registry.RecheckUserByID(t.Context(), b.user.ID); err != nil || u.GroupNames[0] != "corp:dev" {
		t.Errorf("inside the budget: %+v, %v", u, err)
	}
	b.now = b.now.Add(time.Second)
	if _, err := b.registry.RecheckUserByID(t.Context(), b.user.ID); !errs.Is(err, errs.Unavailable) {
		t.Errorf("after the budget: %v, want unavailable", err)
	}
	b.up.Break(nil)
	if _, err := b.registry.RecheckUserByID(t.Context(), b.user.ID); err != nil {
		t.Errorf("upstream back: %v", err)
	}
}

// TestOutcomesAtRenewal holds what each outcome of a renewal ends, for the user and
// for the connector's health.
func TestOutcomesAtRenewal(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[connectors.Outcome]struct {
		kind                       errs.Kind
		revoked, failing, survives bool
	}{
		connectors.OutcomeDenied:           {kind: errs.Denied, revoked: true},
		connectors.OutcomeSignInAgain:      {kind: errs.Denied},
		connectors.OutcomeUnavailable:      {kind: errs.Unavailable, failing: true, survives: true},
		connectors.OutcomeMisconfigured:    {kind: errs.Unavailable, failing: true, survives: true},
		connectors.OutcomeUnusableIdentity: {kind: errs.Unavailable, survives: true},
		connectors.OutcomeUnconfirmed:      {survives: true},
	} {
		b := setup(t)
		before, err := b.store.FeedPosition(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.up.Break(connectors.NewError(outcome, nil, "The reason.", "The remedy."))
		b.now = b.now.Add(6 * time.Minute)
		_, err = b.registry.RecheckUserByID(t.Context(), b.user.ID)
		if (err == nil) != want.survives || err != nil && !errs.Is(err, want.kind) {
			t.Errorf("%s: %v, want %q", outcome, err, want.kind)
		}
		after, err := b.store.FeedPosition(t.Context())
		if err != nil || (after.Seq != before.Seq) != want.revoked {
			t.Errorf("%s: revoked = %v, want %v (%v)", outcome, after.Seq != before.Seq, want.revoked, err)
		}
		if _, fault := b.registry.Fault("corp"); (fault != nil) != want.failing {
			t.Errorf("%s: the connector's fault is %v", outcome, fault)
		}
		b.now = b.now.Add(time.Hour)
		if _, err := b.registry.RecheckUserByID(t.Context(), b.user.ID); want.kind == "" && err != nil || want.kind != "" && !errs.Is(err, want.kind) {
			t.Errorf("%s, after the outage budget: %v, want %q", outcome, err, want.kind)
		}
	}
}

// TestWithoutRefresh asks for a new sign-in, if the setting says so, when the upstream
// can't be asked again. It ends nothing that the user holds.
func TestWithoutRefresh(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.up.Break(connectors.Unconfirmed())
	b.now = b.now.Add(6 * time.Minute)
	for setting, kept := range map[string]bool{"": true, runtimesettings.KeepAccess: true, runtimesettings.SignInAgain: false} {
		b.settings.Set(runtimesettings.Values{WithoutRefresh: setting})
		before, err := b.store.FeedPosition(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.registry.RecheckUserByID(t.Context(), b.user.ID)
		if (err == nil) != kept || err != nil && !errs.Is(err, errs.Denied) {
			t.Errorf("%q: %v", setting, err)
		}
		if after, err := b.store.FeedPosition(t.Context()); err != nil || after.Seq != before.Seq {
			t.Errorf("%q: access was revoked (%v)", setting, err)
		}
	}
}

// TestOddGroupsLockNobodyOut: a group that no cluster can see is left out, recorded
// once, and known to the connector's page; the user signs in.
func TestOddGroupsLockNobodyOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	odd := []string{"system:masters", "SYSTEM : x", "", " edge", "edge ", "new\nline", "zero\u200bwidth", "\xff", strings.Repeat("x", 300), "nul\x00"}
	b.up.Set(jane(append(odd, "dev")...))
	for range 2 {
		person, err := b.registry.Login(t.Context(), b.row, "jane", "pw")
		if err != nil || len(person.Identity.Groups) != 1 || person.Identity.Groups[0] != "corp:dev" {
			t.Errorf("groups %q, %v", person.Identity.Groups, err)
		}
	}
	events, err := b.store.AuditEvents(t.Context(), audit.GroupLeftOut, 50)
	if left := b.registry.LeftOut("corp"); err != nil || len(events) != len(left) || len(left) < 8 {
		t.Errorf("%d events, %+v left out, %v", len(events), left, err)
	}
	if _, fault := b.registry.Fault("corp"); fault != nil {
		t.Errorf("the connector fails: %v", fault)
	}
}
