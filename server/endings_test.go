package server_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
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
