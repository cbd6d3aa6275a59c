package server_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func TestALeaverLosesAccessAtTheNextRenewal(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tokens := w.signIn(t)

	// 1. The user moves to another group: they lose the old cluster and gain the new one.
	w.upstream.Set(jane("ops"))
	w.clock.add(6 * time.Minute)
	refreshed := w.plugin.Refresh(t, tokens.RefreshToken)
	if got := w.plugin.Exchange(t, refreshed.AccessToken, "k8s-a"); got.Error != "invalid_target" {
		t.Errorf("old cluster: %s", got.Raw)
	}
	if got := w.plugin.Exchange(t, refreshed.AccessToken, "k8s-c"); got.Error != "" {
		t.Errorf("new cluster: %s", got.Raw)
	}

	// 2. The upstream is unreachable: the user keeps their clusters.
	w.upstream.Break(errors.New("down"))
	w.clock.add(6 * time.Minute)
	refreshed = w.plugin.Refresh(t, refreshed.RefreshToken)
	if refreshed.Error != "" {
		t.Fatalf("outage: %s", refreshed.Raw)
	}
	w.clock.add(time.Hour)
	if got := w.plugin.Refresh(t, refreshed.RefreshToken); got.Status != 503 || got.Error != "temporarily_unavailable" {
		t.Errorf("outage budget over: %s", got.Raw)
	}
	w.upstream.Break(nil)

	// 3. The user is deleted: the server refuses, and says why.
	gone := jane()
	gone.Denied = true
	w.upstream.Set(gone)
	if got := w.plugin.Refresh(t, refreshed.RefreshToken); got.Error != "invalid_grant" || got.ErrorDescription == "" {
		t.Errorf("gone: %s", got.Raw)
	}
}

// TestAuthorizeConfirmsTheUser: no application gets a code that it could not redeem.
func TestAuthorizeConfirmsTheUser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	app := &relyingparty.Client{Issuer: w.issuer, ID: "grafana", RedirectURI: "https://grafana.test/cb?x=1", Scope: "openid"}
	_, challenge := relyingparty.PKCE()
	b.SignIn(app.AuthURL(challenge, nil), asJane()).Code(t)
	asksForSignIn := func(when string) {
		t.Helper()
		if page := b.Get(app.AuthURL(challenge, nil)); page.RedirectedTo != nil || !strings.Contains(page.Text, "Sign in") {
			t.Errorf("%s: %s, want the sign-in page", when, page)
		}
		if page := b.Get(app.AuthURL(challenge, url.Values{"prompt": {"none"}})); page.RedirectedTo == nil || page.RedirectedTo.Query().Get("error") != "login_required" {
			t.Errorf("%s, silently: %s, want login_required", when, page)
		}
	}
	// 1. The upstream is unreachable: within the outage budget applications get codes.
	w.upstream.Break(errors.New("down"))
	w.clock.add(10 * time.Minute)
	b.Get(app.AuthURL(challenge, nil)).Code(t)
	w.clock.add(time.Hour)
	asksForSignIn("the outage budget is over")
	// 2. It is back: the session goes on.
	w.upstream.Break(nil)
	b.Get(app.AuthURL(challenge, nil)).Code(t)
	// 3. It refuses the user.
	gone := jane()
	gone.Denied = true
	w.upstream.Set(gone)
	w.clock.add(10 * time.Minute)
	asksForSignIn("the user is gone")
}

// TestDisablingAPersonEndsEverythingAtOnce runs with two replicas.
func TestDisablingAPersonEndsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	cfg := storetest.PostgresConfig(t)
	w := setup(t, cfg, cfg)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	tokens := w.plugin.SignIn(t, b, asJane())
	user, err := w.store.UserByName(t.Context(), "corp:jane")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.End(t.Context(), store.Ending{Scope: store.EndAccount, UserID: user.ID}, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	for _, replica := range w.replicas {
		c := &relyingparty.Client{Issuer: replica, ID: "kubectl-fairlead"}
		if got := c.Refresh(t, tokens.RefreshToken); got.Error != "invalid_grant" {
			t.Errorf("refresh: %s", got.Raw)
		}
		if got := c.Exchange(t, tokens.AccessToken, "k8s-a"); got.Error != "invalid_grant" {
			t.Errorf("exchange: %s", got.Raw)
		}
		if got := userInfo(t, replica, tokens.AccessToken); got != http.StatusUnauthorized {
			t.Errorf("userinfo: %d", got)
		}
	}
	if p := b.Get(w.plugin.AuthURL(strings.Repeat("a", 43), url.Values{"prompt": {"none"}})); p.RedirectedTo.Query().Get("error") != "login_required" {
		t.Errorf("the browser is still signed in: %s", p)
	}
}

// TestARefusedUserLosesSessionsAndAPITokens: the refusal ends the browser session, and suspends the API token until the
// upstream confirms the user again.
func TestARefusedUserLosesSessionsAndAPITokens(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, w *testServer) {
		w.settings.Rules = append(w.settings.Rules, store.AccessRule{ID: "admins", Admin: true, GroupNames: store.Strings{"corp:dev"}, Origin: w.settings.Rules[0].Origin})
		apply(t, w.store, w.settings, w.clock.now())
		b := relyingparty.NewBrowser(t, w.issuer, nil)
		w.plugin.SignIn(t, b, asJane())
		user, err := w.store.UserByName(t.Context(), "corp:jane")
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.provider.Admin.CreateAPIToken(t.Context(), admin.Caller{User: user}, "terraform", []string{"settings:read"}, 24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		authenticate := func(when string, want errs.Kind) {
			t.Helper()
			_, err := w.provider.Admin.Authenticate(t.Context(), token, "192.0.2.1")
			if (want == "") != (err == nil) || err != nil && !errs.Is(err, want) {
				t.Errorf("%s: the API token: %v, want %q", when, err, want)
			}
		}
		w.upstream.Break(errors.New("down"))
		w.clock.add(10 * time.Minute)
		authenticate("within the outage budget", "")
		w.clock.add(time.Hour)
		authenticate("after the outage budget", errs.Unavailable)
		w.upstream.Break(nil)
		authenticate("confirmed again", "")

		gone := jane("dev")
		gone.Denied = true
		w.upstream.Set(gone)
		w.clock.add(10 * time.Minute)
		authenticate("refused", errs.Denied)
		if rows, err := w.store.SignIns(t.Context(), user.ID, w.clock.now()); err != nil || len(rows) != 0 {
			t.Errorf("%d sessions after the refusal, error %v", len(rows), err)
		}
		w.upstream.Break(errors.New("down"))
		authenticate("refused, and the upstream is down", errs.Denied)
		w.upstream.Break(nil)
		w.upstream.Set(jane("dev"))
		authenticate("the upstream confirms the user again", "")
		if p := b.Get(w.plugin.AuthURL(strings.Repeat("a", 43), url.Values{"prompt": {"none"}})); p.RedirectedTo.Query().Get("error") != "login_required" {
			t.Errorf("the session came back: %s", p)
		}
	})
}
