package session_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signin/session"
)

type fixture struct {
	*session.Manager
	now  time.Time
	user *store.User
}

func setup(t *testing.T) *fixture {
	t.Helper()
	s := storetest.SQLite(t)
	b := &fixture{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return b.now }
	b.Manager = &session.Manager{
		Store: s, Audit: audit.NewLog(now, slog.New(slog.DiscardHandler), s), Now: now, Secure: true,
		RuntimeSettings: runtimesettings.New(runtimesettings.Values{IdleTimeout: time.Hour}),
	}
	user, _, err := s.SignInUser(t.Context(), store.ResolvedIdentity{
		ConnectorID: "corp", KubeName: "corp:jane", Identity: connectors.Identity{Subject: "1", Username: "jane"},
	}, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.user = user
	return b
}

func requestWith(cookie *http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	return r
}

func (b *fixture) begin(t *testing.T, r *http.Request) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	if _, err := b.Begin(w, r, session.Authentication{User: b.user, Address: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	return w.Result().Cookies()[0]
}

func (b *fixture) signedIn(t *testing.T, cookie *http.Cookie) bool {
	t.Helper()
	current, err := b.Current(requestWith(cookie))
	if err != nil {
		t.Fatal(err)
	}
	return current != nil && current.User.ID == b.user.ID
}

func TestBeginReplacesWhatWasThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.begin(t, requestWith(nil))
	if first.Name != "__Host-fairlead" || !first.Secure || !first.HttpOnly || first.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie %+v", first)
	}
	second := b.begin(t, requestWith(first))
	if first.Value == second.Value {
		t.Error("each sign-in must have a new cookie")
	}
	if b.signedIn(t, first) || !b.signedIn(t, second) {
		t.Error("the old cookie must be dead and the new one alive")
	}
	if b.signedIn(t, &http.Cookie{Name: first.Name, Value: "made-up"}) || b.signedIn(t, nil) {
		t.Error("nobody else is signed in")
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cookie := b.begin(t, requestWith(nil))
	for range 10 { // used often enough, it lives on
		b.now = b.now.Add(50 * time.Minute)
		if !b.signedIn(t, cookie) {
			t.Fatal("ended while in use")
		}
	}
	b.now = b.now.Add(time.Hour)
	if b.signedIn(t, cookie) {
		t.Error("must end when idle")
	}
	cookie = b.begin(t, requestWith(nil))
	for range 24 * 8 {
		b.now = b.now.Add(59 * time.Minute)
		b.signedIn(t, cookie)
	}
	if b.signedIn(t, cookie) {
		t.Error("must end after the absolute limit")
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cookie := b.begin(t, requestWith(nil))
	current, err := b.Current(requestWith(cookie))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := b.End(w, requestWith(cookie), current); err != nil {
		t.Fatal(err)
	}
	if b.signedIn(t, cookie) || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Error("the sign-in must be over and the cookie gone")
	}
	events, err := b.Store.AuditEvents(t.Context(), audit.SignInEnded, 10)
	if err != nil || len(events) != 1 {
		t.Errorf("events %+v, error %v", events, err)
	}
}
