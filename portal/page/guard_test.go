package page_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/signin/session"
)

// TestPagesThatChangeSomethingConfirmTheUser: the upstream is asked for each POST, except for those that end something.
func TestPagesThatChangeSomethingConfirmTheUser(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	sessions := &session.Manager{
		Store: s, Audit: audit.NewLog(time.Now, slog.New(slog.DiscardHandler)), Now: time.Now, RuntimeSettings: runtimesettings.New(runtimesettings.Values{}),
	}
	user, _, err := s.SignInUser(t.Context(), store.ResolvedIdentity{ConnectorID: "corp", KubeName: "jane", Identity: connectors.Identity{Subject: "1", Username: "jane"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	began := httptest.NewRecorder()
	if _, err := sessions.Begin(began, httptest.NewRequest(http.MethodGet, "/", nil), session.Authentication{User: user}); err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Config{URL: &url.URL{Scheme: "https", Host: "login.test"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	refused, down := errs.New(errs.Denied, "no"), errs.New(errs.Unavailable, "down")
	for name, c := range map[string]struct {
		method string
		ends   bool
		answer error
		want   string
	}{
		"a page":                     {http.MethodGet, false, refused, "shown"},
		"a change":                   {http.MethodPost, false, nil, "shown"},
		"a change, refused":          {http.MethodPost, false, refused, "sign in"},
		"a change, after the budget": {http.MethodPost, false, down, "error"},
		"an ending":                  {http.MethodPost, true, down, "shown"},
	} {
		guard := &page.Guard{
			Sessions: sessions, Site: site, IsAdmin: func(context.Context, *store.User) (bool, error) { return false, nil },
			Confirm: func(context.Context, *session.Current) error { return c.answer },
		}
		wrap := guard.For
		if c.ends {
			wrap = guard.ForEnding
		}
		got := "sign in"
		r := httptest.NewRequest(c.method, "/account", nil)
		r.AddCookie(began.Result().Cookies()[0])
		answer := httptest.NewRecorder()
		err := wrap(func(echo.Context, *session.Current) error { got = "shown"; return nil })(echo.New().NewContext(r, answer))
		if err != nil {
			got = "error"
		}
		if got != c.want || got == "sign in" && answer.Code != http.StatusSeeOther {
			t.Errorf("%s: %s with %d, want %s; error %v", name, got, answer.Code, c.want, err)
		}
	}
}
