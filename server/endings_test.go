package server_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func (w *testServer) end(t *testing.T, e store.Ending) error {
	t.Helper()
	_, err := w.store.End(t.Context(), e, w.clock.now())
	return err
}

// TestWhatEndsAUserEndsWhatIsNotRedeemedYet approves an authorization code and a device code, ends something, and then
// tries to redeem both.
func TestWhatEndsAUserEndsWhatIsNotRedeemedYet(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testServer, *store.User, *store.SignIn) error{
		"sign-out": func(w *testServer, u *store.User, s *store.SignIn) error {
			return w.end(t, store.Ending{Scope: store.EndSignIn, UserID: u.ID, ID: s.ID})
		},
		"sign-out everywhere": func(w *testServer, u *store.User, _ *store.SignIn) error {
			return w.end(t, store.Ending{Scope: store.EndPerson, UserID: u.ID})
		},
		"disabled, then enabled": func(w *testServer, u *store.User, _ *store.SignIn) error {
			if err := w.end(t, store.Ending{Scope: store.EndAccount, UserID: u.ID}); err != nil {
				return err
			}
			_, err := w.store.EnableUser(t.Context(), u.ID)
			return err
		},
		"all devices": func(w *testServer, u *store.User, _ *store.SignIn) error {
			return w.end(t, store.Ending{Scope: store.EndDevices, UserID: u.ID})
		},
		"consent": func(w *testServer, u *store.User, _ *store.SignIn) error {
			return w.end(t, store.Ending{Scope: store.EndConsent, UserID: u.ID, ID: w.plugin.ID})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, w *testServer) {
				b := relyingparty.NewBrowser(t, w.issuer, nil)
				verifier, challenge := relyingparty.PKCE()
				code := b.SignIn(w.plugin.AuthURL(challenge, nil), asJane()).Code(t)
				device := w.startDeviceFlow(t, w.plugin)
				answerDevice(t, b, device.Page, device.UserCode, "yes")
				user, err := w.store.UserByName(t.Context(), "corp:jane")
				if err != nil {
					t.Fatal(err)
				}
				signIns, err := w.store.SignIns(t.Context(), user.ID, w.clock.now())
				if err != nil || len(signIns) != 1 {
					t.Fatalf("%d sign-ins, error %v", len(signIns), err)
				}
				if err := end(w, user, &signIns[0]); err != nil {
					t.Fatal(err)
				}
				w.clock.add(10 * time.Second)
				got := w.plugin.Token(t, url.Values{
					"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {w.plugin.RedirectURI},
				})
				if got.Error != "invalid_grant" {
					t.Errorf("the code: %s", got.Raw)
				}
				if got := w.pollDevice(t, device.DeviceCode); got.Error == "" {
					t.Errorf("the device code: %s", got.Raw)
				}
				if devices, err := w.store.Devices(t.Context(), user.ID, w.clock.now()); err != nil || len(devices) != 0 {
					t.Errorf("%d devices, error %v", len(devices), err)
				}
			})
		})
	}
}

// mints are the ways to a token that ask the upstream first. Each returns the request.
func (w *testServer) mints(t *testing.T, b *relyingparty.Browser) map[string]func() func() relyingparty.Tokens {
	t.Helper()
	verifier, challenge := relyingparty.PKCE()
	code := func() string { return b.SignIn(w.plugin.AuthURL(challenge, nil), asJane()).Code(t) }
	redeem := func(code string) relyingparty.Tokens {
		return w.plugin.Token(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {w.plugin.RedirectURI},
		})
	}
	return map[string]func() func() relyingparty.Tokens{
		"exchange": func() func() relyingparty.Tokens {
			tokens := redeem(code())
			return func() relyingparty.Tokens { return w.plugin.Exchange(t, tokens.AccessToken, "k8s-a") }
		},
		"refresh": func() func() relyingparty.Tokens {
			tokens := redeem(code())
			return func() relyingparty.Tokens { return w.plugin.Refresh(t, tokens.RefreshToken) }
		},
		"code": func() func() relyingparty.Tokens {
			code := code()
			return func() relyingparty.Tokens { return redeem(code) }
		},
		"device code": func() func() relyingparty.Tokens {
			codes := w.startDeviceFlow(t, w.plugin)
			answerDevice(t, b, codes.Page, codes.UserCode, "yes")
			w.clock.add(10 * time.Second)
			return func() relyingparty.Tokens { return w.pollDevice(t, codes.DeviceCode) }
		},
	}
}

// TestWhatEndsWhileTheUpstreamIsAsked ends something between the question to the upstream and the token.
func TestWhatEndsWhileTheUpstreamIsAsked(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]store.Ending{
		"everything": {Scope: store.EndPerson}, "disabled": {Scope: store.EndAccount},
		"all devices": {Scope: store.EndDevices}, "consent": {Scope: store.EndConsent, ID: "kubectl-fairlead"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for database, cfg := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLiteConfig, "postgres": storetest.PostgresConfig} {
				w := setupWith(t, -1, cfg(t))
				b := relyingparty.NewBrowser(t, w.issuer, nil)
				for mint, prepare := range w.mints(t, b) {
					request := prepare()
					user, err := w.store.UserByName(t.Context(), "corp:jane")
					if err != nil {
						t.Fatal(err)
					}
					e.UserID = user.ID
					w.upstream.Meanwhile(func() {
						if err := w.end(t, e); err != nil {
							t.Error(err)
						}
					})
					if got := request(); got.Error != "invalid_grant" {
						t.Errorf("%s, %s: %s", database, mint, got.Raw)
					}
					if devices, err := w.store.Devices(t.Context(), user.ID, w.clock.now()); err != nil || len(devices) != 0 {
						t.Errorf("%s, %s: %d devices, error %v", database, mint, len(devices), err)
					}
					if _, err := w.store.EnableUser(t.Context(), user.ID); err != nil {
						t.Fatal(err)
					}
					w.clock.add(2 * time.Minute)
				}
			}
		})
	}
}
