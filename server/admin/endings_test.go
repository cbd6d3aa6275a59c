package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
)

// apiToken creates an API token of a user.
func (b *bundle) apiToken(c admin.Caller) string {
	b.t.Helper()
	token, err := b.CreateAPIToken(b.t.Context(), c, "terraform", []string{string(admin.ReadSettings)}, 24*time.Hour)
	if err != nil {
		b.t.Fatal(err)
	}
	return token
}

func (b *bundle) expectDead(token, when string) {
	b.t.Helper()
	if _, err := b.Authenticate(b.t.Context(), token, ""); !errs.Is(err, errs.Unauthenticated) {
		b.t.Errorf("%s: the API token: %v", when, err)
	}
}

func TestEndedAPITokensStayEnded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		token := b.apiToken(jane)
		if err := b.Revoke(t.Context(), shell(), jane.User.ID, ""); err != nil {
			t.Fatal(err)
		}
		b.expectDead(token, "after everything was ended")

		token = b.apiToken(jane)
		for _, off := range []bool{true, false} {
			if err := b.Disable(t.Context(), shell(), jane.User.ID, off, ""); err != nil {
				t.Fatal(err)
			}
			b.expectDead(token, "after disabling and enabling")
		}
	})
}

// recovered creates a recovery account, or new credentials for it.
func (b *bundle) recovered(login string) (admin.Caller, admin.NewAccount) {
	b.t.Helper()
	link, err := b.RecoveryLink(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	choice := b.newAccount(login)
	user, err := b.CreateAccount(b.t.Context(), link, "192.0.2.1", choice)
	if err != nil {
		b.t.Fatal(err)
	}
	end := store.At(b.now().Add(time.Hour))
	row := &store.SignIn{ID: "sid_" + choice.Code, CookieHash: choice.Code, UserID: user.ID, IdleExpires: end, Expires: end}
	if err := b.store.CreateSignIn(b.t.Context(), row); err != nil {
		b.t.Fatalf("the account is not let in: %v", err)
	}
	return admin.Caller{User: user, SignIn: row}, choice
}

func TestNewRecoveryCredentialsEndTheOldOnes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := setup(t, s)
		root, _ := b.recovered("root")
		token := b.apiToken(root)
		b.advance(time.Minute)
		again, _ := b.recovered("root")
		if again.User.ID != root.User.ID {
			t.Fatalf("another user: %s, want %s", again.User.ID, root.User.ID)
		}
		b.expectDead(token, "after new credentials")
		if rows, err := s.SignIns(t.Context(), root.User.ID, b.now()); err != nil || len(rows) != 1 || rows[0].ID != again.SignIn.ID {
			t.Errorf("sessions %+v, error %v; want only the new one", rows, err)
		}
	})
}

// TestADisabledRecoveryAccount can't sign in, and says so. A recovery link needs the operator's shell, and enables it.
func TestADisabledRecoveryAccount(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	root, choice := b.recovered("root")
	if err := b.Disable(t.Context(), shell(), root.User.ID, true, ""); err != nil {
		t.Fatal(err)
	}
	b.advance(time.Minute)
	code, err := mfa.GenerateCode(choice.TOTP, b.now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Recover(t.Context(), admin.RecoveryProof{Login: "root", Password: choice.Password, Code: code}, "192.0.2.1"); !errs.Is(err, errs.Denied) {
		t.Errorf("sign-in: %v, want denied", err)
	}
	if again, _ := b.recovered("root"); again.User.Disabled {
		t.Error("the account is still disabled")
	}
}

func TestAnInvitationEndsWithItsAccount(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	b.apply(shell(), settings.Connectors, form.Doc{"id": "local", "type": "local"})
	b.apply(shell(), settings.LocalUsers, form.Doc{"login": "bob"})
	token, err := b.Invite(t.Context(), shell(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	item, err := b.Entry(t.Context(), shell(), settings.LocalUsers, "bob")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Apply(t.Context(), shell(), admin.Draft{Kind: settings.LocalUsers, ID: item.ID, Version: item.Version}); err != nil {
		t.Fatal(err)
	}
	b.apply(shell(), settings.LocalUsers, form.Doc{"login": "bob", "groups": []any{"ops"}})
	if err := b.AcceptInvitation(t.Context(), token, "seven purple boats", "seven purple boats", ""); !errs.Is(err, errs.Denied) {
		t.Errorf("the invitation of the account before: %v", err)
	}
}

// TestANewPasswordEndsWhatTheOldOneOpened sets a password by an invitation.
func TestANewPasswordEndsWhatTheOldOneOpened(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := setup(t, s)
		b.apply(shell(), settings.Connectors, form.Doc{"id": "staff", "type": "local"})
		b.apply(shell(), settings.LocalUsers, form.Doc{"login": "bob"})
		account, err := s.AccountByLogin(t.Context(), "bob")
		if err != nil {
			t.Fatal(err)
		}
		user, _, err := s.SignInUser(t.Context(), store.ResolvedIdentity{
			ConnectorID: "staff", KubeName: "bob", Identity: connectors.Identity{Subject: account.ID, Username: "bob"},
		}, b.now())
		if err != nil {
			t.Fatal(err)
		}
		end := store.At(b.now().Add(time.Hour))
		if err := s.CreateSignIn(t.Context(), &store.SignIn{ID: "sid_1", CookieHash: "c", UserID: user.ID, IdleExpires: end, Expires: end}); err != nil {
			t.Fatal(err)
		}
		token, err := b.Invite(t.Context(), shell(), "bob")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.AcceptInvitation(t.Context(), token, "seven purple boats", "seven purple boats", ""); err != nil {
			t.Fatal(err)
		}
		if rows, err := s.SignIns(t.Context(), user.ID, b.now()); err != nil || len(rows) != 0 {
			t.Errorf("%d sessions of the old password, error %v", len(rows), err)
		}
	})
}

// TestARemovedClientEnds removes a client by a page and by the file. Another client of that name gets nothing of the first.
func TestARemovedClientEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		end := store.At(b.now().Add(time.Hour))
		remove := map[string]func(){
			"page": func() {
				item, err := b.Entry(t.Context(), jane, settings.Clients, "page")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.Apply(t.Context(), jane, admin.Draft{Kind: settings.Clients, ID: "page", Version: item.Version}); err != nil {
					t.Fatal(err)
				}
			},
			"file": func() {
				if err := s.ApplyFile(t.Context(), store.Settings{}, b.now()); err != nil {
					t.Fatal(err)
				}
			},
		}
		if _, _, err := b.CreateClient(t.Context(), jane, admin.Draft{Kind: settings.Clients, Doc: form.Doc{"id": "page", "redirectURIs": []any{"https://web.test/cb"}}}); err != nil {
			t.Fatal(err)
		}
		if err := s.ApplyFile(t.Context(), store.Settings{Clients: []store.Client{{ID: "file", Origin: store.Origin{Origin: store.OriginFile}}}}, b.now()); err != nil {
			t.Fatal(err)
		}
		if err := s.CreateSignIn(t.Context(), &store.SignIn{ID: "sid_1", CookieHash: "c", UserID: jane.User.ID, IdleExpires: end, Expires: end}); err != nil {
			t.Fatal(err)
		}
		for client, remove := range remove {
			if err := s.CreateCode(t.Context(), &store.Code{Hash: client, ClientID: client, UserID: jane.User.ID, SignInID: "sid_1", Expires: end}); err != nil {
				t.Fatal(err)
			}
			d := &store.Device{ID: "dev_" + client, UserID: jane.User.ID, ClientID: client, IdleExpires: end, Expires: end}
			won, err := s.RedeemCode(t.Context(), store.Redemption{
				CodeHash: client, Device: d, Refresh: &store.RefreshToken{Hash: client, DeviceID: d.ID, Expires: end},
				Access: store.AccessToken{Hash: client, UserID: jane.User.ID, ClientID: client, SignInID: "sid_1", DeviceID: d.ID, Expires: end},
			}, b.now())
			if err != nil || !won {
				t.Fatalf("redeemed %v, error %v", won, err)
			}
			remove()
			if after, err := s.Device(t.Context(), d.ID); err != nil || after.Active(b.now()) {
				t.Errorf("%s: device %+v, error %v", client, after, err)
			}
		}
	})
}

// TestALocalUserWhoIsRemovedEnds switches an account off by the command line, removes it on a page, and from the file.
func TestALocalUserWhoIsRemovedEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := setup(t, s)
		b.apply(shell(), settings.Connectors, form.Doc{"id": "staff", "type": "local"})
		for _, login := range []string{"shell", "page"} {
			b.apply(shell(), settings.LocalUsers, form.Doc{"login": login})
		}
		if err := s.ApplyFile(t.Context(), store.Settings{LocalUsers: []store.LocalUser{{Login: "file", Origin: store.Origin{Origin: store.OriginFile}}}}, b.now()); err != nil {
			t.Fatal(err)
		}
		for login, remove := range map[string]func() error{
			"shell": func() error { return s.SetLocalUserDisabled(t.Context(), "shell", true, b.now()) },
			"file":  func() error { return s.ApplyFile(t.Context(), store.Settings{}, b.now()) },
			"page": func() error {
				item, err := b.Entry(t.Context(), shell(), settings.LocalUsers, "page")
				if err == nil {
					_, err = b.Apply(t.Context(), shell(), admin.Draft{Kind: settings.LocalUsers, ID: "page", Version: item.Version})
				}
				return err
			},
		} {
			account, err := s.AccountByLogin(t.Context(), login)
			if err != nil {
				t.Fatal(err)
			}
			user, _, err := s.SignInUser(t.Context(), store.ResolvedIdentity{
				ConnectorID: "staff", KubeName: login, Identity: connectors.Identity{Subject: account.ID, Username: login},
			}, b.now())
			if err != nil {
				t.Fatal(err)
			}
			end := store.At(b.now().Add(time.Hour))
			if err := s.CreateSignIn(t.Context(), &store.SignIn{ID: login, CookieHash: login, UserID: user.ID, IdleExpires: end, Expires: end}); err != nil {
				t.Fatal(err)
			}
			if err := remove(); err != nil {
				t.Fatalf("%s: %v", login, err)
			}
			if rows, err := s.SignIns(t.Context(), user.ID, b.now()); err != nil || len(rows) != 0 {
				t.Errorf("%s: %d sessions, error %v", login, len(rows), err)
			}
		}
	})
}

// TestAConnectorThatIsOffLetsNobodyBeAdmin disables and deletes the connector of an admin on a page, and removes it from
// the file.
func TestAConnectorThatIsOffLetsNobodyBeAdmin(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := setup(t, s)
		for _, id := range []string{"on", "disabled", "deleted"} {
			b.apply(shell(), settings.Connectors, form.Doc{"id": id, "type": "local"}) // a draft
			d := b.draft(settings.Connectors, form.Doc{"id": id, "type": "local", "enabled": true})
			d.Reason = "a test of the sign-in needs a browser"
			if _, err := b.Apply(t.Context(), shell(), d); err != nil {
				t.Fatal(err)
			}
		}
		b.apply(shell(), settings.Rules, form.Doc{"id": "admins", "admin": true, "who": map[string]any{
			"users": []any{"on:jane", "disabled:jane", "deleted:jane", "off:jane", "removed:jane"},
		}})
		inFile := store.Settings{Connectors: []store.Connector{
			{ID: "removed", Type: "local", Enabled: true, Config: "{}", Origin: store.Origin{Origin: store.OriginFile}},
			{ID: "off", Type: "local", Enabled: true, Config: "{}", Origin: store.Origin{Origin: store.OriginFile}},
		}}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.ApplyFile(t.Context(), inFile, b.now()))
		change := func(id string, doc form.Doc) {
			item, err := b.Entry(t.Context(), shell(), settings.Connectors, id)
			must(err)
			d := admin.Draft{Kind: settings.Connectors, ID: id, Version: item.Version, Doc: doc, Reason: "test"}
			preview, err := b.Preview(t.Context(), shell(), d)
			must(err)
			if text := strings.Join(append(preview.Uses, preview.Sentences...), " "); !strings.Contains(text, "1 person signed in through it.") {
				t.Errorf("%s: the preview says %q", id, text)
			}
			_, err = b.Apply(t.Context(), shell(), d)
			must(err)
		}
		jane := map[string]admin.Caller{}
		for _, id := range []string{"on", "disabled", "deleted", "off", "removed"} {
			jane[id] = b.person(id, "jane")
			end := store.At(b.now().Add(time.Hour))
			must(s.CreateSignIn(t.Context(), &store.SignIn{ID: id, CookieHash: id, UserID: jane[id].User.ID, IdleExpires: end, Expires: end}))
		}
		change("disabled", form.Doc{"id": "disabled", "type": "local", "enabled": false})
		change("deleted", nil)
		must(s.ApplyFile(t.Context(), store.Settings{Connectors: []store.Connector{
			{ID: "off", Type: "local", Config: "{}", Origin: store.Origin{Origin: store.OriginFile}},
		}}, b.now()))
		for id, c := range jane {
			user, err := s.User(t.Context(), c.User.ID)
			must(err)
			is, err := b.IsAdmin(t.Context(), user)
			must(err)
			sessions, err := s.SignIns(t.Context(), user.ID, b.now())
			must(err)
			if on := id == "on"; is != on || (len(sessions) == 1) != on {
				t.Errorf("%s: admin %v, %d sessions", id, is, len(sessions))
			}
		}
	})
}
