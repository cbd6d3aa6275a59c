package server_test

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signin/setupcode"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestSetupCodes signs in a computer with a code from a page, and tries to use the code for more.
func TestSetupCodes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	maker := &setupcode.Maker{Store: w.store, Now: w.clock.now}
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	visit := func() *session.Current {
		t.Helper()
		tokens := w.plugin.SignIn(t, b, asJane())
		user, err := w.store.UserByName(ctx, fmt.Sprint(relyingparty.Claims(t, w.plugin.Exchange(t, tokens.AccessToken, "k8s-a").AccessToken)["preferred_username"]))
		if err != nil {
			t.Fatal(err)
		}
		signIns, err := w.store.SignIns(ctx, user.ID, w.clock.now())
		if err != nil || len(signIns) == 0 {
			t.Fatal(err, signIns)
		}
		return &session.Current{User: user, SignIn: &signIns[0]}
	}
	code := func() string {
		t.Helper()
		made, err := maker.Make(ctx, visit())
		if err != nil {
			t.Fatal(err)
		}
		return made.Reveal()
	}
	redeem := func(code string, more url.Values) relyingparty.Tokens {
		form := url.Values{"grant_type": {"urn:fairlead:params:oauth:grant-type:setup-code"}, "code": {code}, "fairlead_host": {"jump-host"}}
		maps.Copy(form, more)
		return w.plugin.Token(t, form)
	}
	good := code()
	got := redeem(good, nil)
	if got.Error != "" || got.RefreshToken == "" {
		t.Fatalf("%s", got.Raw)
	}
	if again := w.plugin.Refresh(t, got.RefreshToken); again.Error != "" {
		t.Errorf("%s", again.Raw)
	} else {
		got = again
	}
	// A second use ends the tokens of the first, because one of the two callers was a thief.
	if twice := redeem(good, nil); twice.Error != "invalid_grant" {
		t.Errorf("a second use: %s", twice.Raw)
	}
	if after := w.plugin.Refresh(t, got.RefreshToken); after.Error != "invalid_grant" {
		t.Errorf("after a second use: %s", after.Raw)
	}
	if len(w.events(t, audit.TokenReplayed)) == 0 {
		t.Error("a second use is not recorded")
	}
	for name, form := range map[string]url.Values{
		"as an authorization code":                {"grant_type": {"authorization_code"}, "code": {code()}},
		"as one, with what stands for an address": {"grant_type": {"authorization_code"}, "code": {code()}, "redirect_uri": {"urn:fairlead:setup-code"}},
		"as a device code":                        {"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {code()}},
		"made up":                                 {"grant_type": {"urn:fairlead:params:oauth:grant-type:setup-code"}, "code": {"made-up"}},
		"none":                                    {"grant_type": {"urn:fairlead:params:oauth:grant-type:setup-code"}},
	} {
		if got := w.plugin.Token(t, form); got.Error != "invalid_grant" && got.Error != "invalid_request" || got.AccessToken != "" {
			t.Errorf("%s: %s", name, got.Raw)
		}
	}
	// An authorization code is not a setup code.
	verifier, challenge := relyingparty.PKCE()
	ordinary := b.SignIn(w.plugin.AuthURL(challenge, nil), relyingparty.Credentials{}).Code(t)
	if got := redeem(ordinary, url.Values{"code_verifier": {verifier}, "redirect_uri": {w.plugin.RedirectURI}}); got.Error != "invalid_grant" {
		t.Errorf("an authorization code: %s", got.Raw)
	}
	// The code ends with the browser session, with the account, and after five minutes.
	late := code()
	current := visit()
	if _, err := w.store.End(ctx, store.Ending{Scope: store.EndSignIn, UserID: current.User.ID, ID: current.SignIn.ID}, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	ended, err := maker.Make(ctx, current)
	if err != nil {
		t.Fatal(err)
	}
	if got := redeem(ended.Reveal(), nil); got.Error != "invalid_grant" {
		t.Errorf("after signing out: %s", got.Raw)
	}
	w.clock.add(5*time.Minute + time.Second)
	if got := redeem(late, nil); got.Error != "invalid_grant" || !strings.Contains(got.ErrorDescription, "Copy a new one") {
		t.Errorf("late: %s", got.Raw)
	}
	disabled := code()
	if _, err := w.store.End(ctx, store.Ending{Scope: store.EndAccount, UserID: current.User.ID}, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	if got := redeem(disabled, nil); got.Error != "invalid_grant" {
		t.Errorf("disabled: %s", got.Raw)
	}
}
