package admin_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
)

// TestNobodyLocksThemselvesOut tries each way to lock out all admins.
func TestNobodyLocksThemselvesOut(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		version := func(kind, id string) string {
			item, err := b.Entry(t.Context(), jane, kind, id)
			if err != nil {
				t.Fatal(err)
			}
			return item.Version
		}
		b.apply(jane, settings.Connectors, form.Doc{"id": "local", "type": "local"})
		b.apply(jane, settings.LocalUsers, form.Doc{"login": "bob", "groups": []any{"ops"}})
		b.apply(jane, settings.Rules, form.Doc{"id": "local-admins", "admin": true, "who": map[string]any{"groups": []any{"local:ops"}}})
		bob := b.person("local", "bob", "local:ops")
		refused := map[string]func() error{
			"deletes own admin rule": func() error {
				_, err := b.Apply(t.Context(), jane, admin.Draft{Kind: settings.Rules, ID: "admins", Version: version(settings.Rules, "admins")})
				return err
			},
			"takes own group out of it": func() error {
				_, err := b.Apply(t.Context(), jane, b.draft(settings.Rules, adminRule("corp:others")))
				return err
			},
			"takes own local group": func() error {
				_, err := b.Apply(t.Context(), bob, b.draft(settings.LocalUsers, form.Doc{"login": "bob", "groups": []any{"dev"}}))
				return err
			},
			"deletes own local account": func() error {
				_, err := b.Apply(t.Context(), bob, admin.Draft{Kind: settings.LocalUsers, ID: "bob", Version: version(settings.LocalUsers, "bob")})
				return err
			},
			"disables own connector": func() error {
				_, err := b.Enable(t.Context(), jane, "corp", false, "")
				return err
			},
			"deletes own connector": func() error {
				_, err := b.Apply(t.Context(), jane, admin.Draft{Kind: settings.Connectors, ID: "corp", Version: version(settings.Connectors, "corp")})
				return err
			},
			"disables herself": func() error { return b.Disable(t.Context(), jane, jane.User.ID, true, "") },
		}
		for name, try := range refused {
			if err := try(); !errs.Is(err, errs.Denied) {
				t.Errorf("%s: %v, want a refusal", name, err)
			}
		}
		// The last admin rule stays, whichever admin tries to delete it.
		if _, err := b.Apply(t.Context(), jane, admin.Draft{Kind: settings.Rules, ID: "local-admins", Version: version(settings.Rules, "local-admins")}); err != nil {
			t.Errorf("a rule that is not the last: %v", err)
		}
		if _, err := b.Apply(t.Context(), shell(), admin.Draft{Kind: settings.Rules, ID: "admins", Version: version(settings.Rules, "admins")}); !errs.Is(err, errs.Denied) {
			t.Errorf("the last admin rule: %v", err)
		}
		events, err := s.FindEvents(t.Context(), store.EventQuery{Name: "admin.refused", Limit: 100})
		if err != nil || len(events) < len(refused) {
			t.Errorf("%d refusals recorded, want at least %d; %v", len(events), len(refused), err)
		}
	})
}

// brokenBase changes the base DN of users: a mistake that stops all sign-ins.
func brokenBase() form.Doc {
	doc := ldap("ldap.test")
	doc.Set("config.userSearch.baseDN", "dc=wrong")
	doc.Set("config.bindPassword", nil)
	return doc
}

func baseOf(t *testing.T, b *bundle) string {
	t.Helper()
	item, err := b.Entry(t.Context(), shell(), settings.Connectors, "corp")
	if err != nil {
		t.Fatal(err)
	}
	return item.Doc.Text("config.userSearch.baseDN")
}

// TestAMistakeRollsBackByItself breaks the connector that its admin signed in with.
func TestAMistakeRollsBackByItself(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		r, err := b.Apply(t.Context(), jane, b.draft(settings.Connectors, brokenBase()))
		if err != nil || r.Outcome != store.OutcomeTrial {
			t.Fatalf("%+v %v", r, err)
		}
		if got := baseOf(t, b); got != "dc=wrong" {
			t.Errorf("on trial: %s", got)
		}
		if err := b.ConfirmTrial(t.Context(), jane, r.ID); !errs.Is(err, errs.Denied) {
			t.Errorf("confirmed from the old sign-in: %v", err)
		}
		b.advance(4 * time.Minute)
		if err := b.EndTrials(t.Context()); err != nil || baseOf(t, b) != "dc=wrong" {
			t.Errorf("too early: %v", err)
		}
		b.advance(61 * time.Second)
		var wg sync.WaitGroup
		for range 3 { // replicas
			wg.Go(func() {
				if err := b.EndTrials(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := baseOf(t, b); got != "dc=test" {
			t.Errorf("after the trial: %s", got)
		}
		changes, err := b.History(t.Context(), jane, store.RevisionQuery{Kind: settings.Connectors})
		if err != nil || changes[0].Outcome != store.OutcomeApplied || changes[1].Outcome != store.OutcomeRolledBack || changes[0].Number == changes[1].Number {
			t.Errorf("%+v %v", changes, err)
		}
		if len(changes) != 4 { // created, enabled, changed, undone once
			t.Errorf("%d revisions, want 4", len(changes))
		}
		// The secret is restored as well.
		set, err := s.AllSettings(t.Context())
		if err != nil || !strings.Contains(set.Connectors[0].Config, canary) {
			t.Errorf("the secret is gone: %v", err)
		}
	})
}

func TestANewSignInConfirms(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	r, err := b.Apply(t.Context(), jane, b.draft(settings.Connectors, brokenBase()))
	if err != nil {
		t.Fatal(err)
	}
	b.advance(time.Minute)
	if err := b.ConfirmTrial(t.Context(), b.person(store.RecoveryConnectorID, "root"), r.ID); !errs.Is(err, errs.Denied) {
		t.Errorf("confirmed through something else: %v", err)
	}
	again := b.person("corp", "jane", "corp:ops")
	if err := b.ConfirmTrial(t.Context(), again, r.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.RollBackTrial(t.Context(), again, r.ID); !errs.Is(err, errs.Conflict) {
		t.Errorf("taken back after that: %v", err)
	}
	b.advance(time.Hour)
	if err := b.EndTrials(t.Context()); err != nil || baseOf(t, b) != "dc=wrong" {
		t.Errorf("confirmed, and %s; %v", baseOf(t, b), err)
	}
}

// TestAStoredSecretGoesNowhereElse: neither a test nor a save sends a stored secret to a new host.
func TestAStoredSecretGoesNowhereElse(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	for _, move := range []func(form.Doc){
		func(d form.Doc) { d.Set("config.hosts", []any{"127.0.0.1:1"}) },
		func(d form.Doc) { d.Set("config.bindDN", "cn=other") },
		func(d form.Doc) { d.Set("config.security", "starttls") },
	} {
		doc := ldap("ldap.test")
		doc.Set("config.bindPassword", nil)
		move(doc)
		for name, try := range map[string]func() error{
			"check": func() error {
				_, err := b.Check(t.Context(), jane, admin.ConnectorDraft{ID: "corp", Doc: doc})
				return err
			},
			"lookup": func() error {
				_, err := b.Lookup(t.Context(), jane, admin.ConnectorDraft{ID: "corp", Doc: doc}, "x")
				return err
			},
			"test": func() error {
				_, err := b.BeginTest(t.Context(), jane, admin.ConnectorDraft{ID: "corp", Doc: doc})
				return err
			},
			"save": func() error { _, err := b.Apply(t.Context(), jane, b.draft(settings.Connectors, doc)); return err },
		} {
			if err := try(); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "type it again") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestEnablingNeedsATestOrAReason(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	b.apply(shell(), settings.Connectors, ldap("ldap.test"))
	if _, err := b.Enable(t.Context(), shell(), "corp", true, "  "); !errs.Is(err, errs.Invalid) {
		t.Errorf("without either: %v", err)
	}
	row, err := b.store.Connector(t.Context(), "corp")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.MarkTested(t.Context(), "corp", "another revision"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Enable(t.Context(), shell(), "corp", true, ""); !errs.Is(err, errs.Invalid) {
		t.Errorf("tested with other settings: %v", err)
	}
	if err := b.store.MarkTested(t.Context(), "corp", row.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Enable(t.Context(), shell(), "corp", true, ""); err != nil {
		t.Errorf("tested: %v", err)
	}
}

// TestEveryDoorAsksForATest: a connector is enabled with a passed test or a reason, whichever way the change comes.
func TestEveryDoorAsksForATest(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	b.apply(shell(), settings.Connectors, ldap("ldap.test"))
	if _, err := b.Enable(t.Context(), shell(), "corp", true, "a reason"); err != nil {
		t.Fatal(err)
	}
	off, err := b.Enable(t.Context(), shell(), "corp", false, "")
	if err != nil {
		t.Fatal(err)
	}
	doc := change(t, b, settings.Connectors, "corp", "enabled", true)
	text := []byte("connectors: [{id: fresh, type: github, config: {clientID: x, clientSecret: y, orgs: [{name: acme}]}}]")
	doors := map[string]func(reason string) error{
		"a document": func(reason string) error {
			d := b.draft(settings.Connectors, doc)
			d.Reason = reason
			_, err := b.Apply(t.Context(), shell(), d)
			return err
		},
		"a restored version": func(reason string) error {
			_, err := b.Restore(t.Context(), shell(), admin.Restoration{RevisionID: off.ID, Reason: reason})
			return err
		},
		"an action on rows": func(reason string) error {
			result, err := b.ApplyBulk(t.Context(), shell(), admin.Bulk{List: settings.Connectors, Act: admin.BulkEnable, IDs: []string{"corp"}, Reason: reason})
			if err == nil && len(result.Skipped) > 0 {
				return errs.New(errs.Invalid, "%s", result.Skipped[0].Why)
			}
			return err
		},
		"an import": func(reason string) error {
			plan, err := b.Import(t.Context(), shell(), admin.Source{Text: text, Reason: reason})
			if err == nil && plan.Problems() > 0 {
				return errs.New(errs.Invalid, "%s", plan.Entries[0].Problems[0])
			}
			return err
		},
	}
	for name, enter := range doors {
		if err := enter(" "); !errs.Is(err, errs.Invalid) || !strings.Contains(errs.Message(err), "no test sign-in has passed") {
			t.Errorf("%s without a test: %v", name, err)
		}
		if err := enter("a reason"); err != nil {
			t.Errorf("%s with a reason: %v", name, err)
		}
		if _, err := b.Enable(t.Context(), shell(), "corp", false, ""); err != nil {
			t.Fatal(err)
		}
	}
	d := b.draft(settings.Connectors, doc)
	if preview, err := b.Preview(t.Context(), shell(), d); err != nil || !strings.Contains(preview.Refused, "no test sign-in has passed") {
		t.Errorf("preview: %+v %v", preview, err)
	}
}

// newAccount returns valid credentials for a recovery account.
func (b *bundle) newAccount(login string) admin.NewAccount {
	totp := mfa.NewTOTPSecret()
	code, err := mfa.GenerateCode(totp, b.now())
	if err != nil {
		b.t.Fatal(err)
	}
	return admin.NewAccount{Login: login, Password: "seven purple boats", Again: "seven purple boats", TOTP: totp, Code: code}
}

// TestASetupLinkWorksOnce: it works for one of several concurrent callers, for an hour, and only while there is no
// admin.
func TestASetupLinkWorksOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := setup(t, s)
		old, err := b.SetupLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		token, err := b.SetupLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.OpenLink(t.Context(), old, ""); !errs.Is(err, errs.Denied) {
			t.Errorf("an older link: %v", err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for _, login := range []string{"a1", "b1", "c1", "d1"} {
			wg.Go(func() {
				_, err := b.CreateAccount(context.WithoutCancel(t.Context()), token, "192.0.2.1", b.newAccount(login))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				}
			})
		}
		wg.Wait()
		if accounts, err := s.RecoveryAccounts(t.Context()); err != nil || made != 1 || len(accounts) != 1 {
			t.Errorf("%d made, %d there; %v", made, len(accounts), err)
		}
		if _, err := b.SetupLink(t.Context()); !errs.Is(err, errs.Denied) {
			t.Errorf("another setup link: %v", err)
		}
		late, err := b.RecoveryLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.advance(11 * time.Minute)
		if _, err := b.OpenLink(t.Context(), late, ""); !errs.Is(err, errs.Denied) {
			t.Errorf("an old recovery link: %v", err)
		}
	})
}

func TestASetupLinkEndsWithAnotherWayIn(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	link, err := b.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.OpenLink(t.Context(), link, ""); err != nil {
		t.Fatal(err)
	}
	other, err := b.RecoveryLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.CreateAccount(t.Context(), other, "192.0.2.1", b.newAccount("root")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.CreateAccount(t.Context(), link, "192.0.2.1", b.newAccount("thief")); !errs.Is(err, errs.Denied) {
		t.Errorf("the setup link still works: %v", err)
	}
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	token, err := b.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	choice := b.newAccount("root")
	weak := choice
	weak.Password, weak.Again = "short", "short"
	if _, err := b.CreateAccount(t.Context(), token, "", weak); !errs.Is(err, errs.Invalid) {
		t.Errorf("a weak password: %v", err)
	}
	if _, err := b.CreateAccount(t.Context(), token, "", choice); err != nil {
		t.Fatal(err)
	}
	sign := func(password, code string) error {
		_, err := b.Recover(t.Context(), admin.RecoveryProof{Login: "ROOT", Password: password, Code: code}, "192.0.2.1")
		return err
	}
	if err := sign(choice.Password, choice.Code); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("the code of the set-up, again: %v", err)
	}
	b.advance(31 * time.Second)
	code, err := mfa.GenerateCode(choice.TOTP, b.now())
	if err != nil {
		t.Fatal(err)
	}
	if err := sign("wrong password here", code); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("a wrong password: %v", err)
	}
	if err := sign(choice.Password, code); err != nil {
		t.Errorf("right: %v", err)
	}
	if err := sign(choice.Password, code); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("the same code again: %v", err)
	}
	for range 12 {
		_ = sign("guess guess guess guess", "000000")
	}
	b.advance(30 * time.Second)
	if code, err = mfa.GenerateCode(choice.TOTP, b.now()); err != nil {
		t.Fatal(err)
	}
	if err := sign(choice.Password, code); err == nil || !strings.Contains(err.Error(), "Too many") {
		t.Errorf("after a dozen guesses: %v", err)
	}
	user, err := b.store.UserByName(t.Context(), "break-glass:root")
	if err != nil {
		t.Fatal(err)
	}
	if isAdmin, err := b.IsAdmin(t.Context(), user); err != nil || !isAdmin {
		t.Errorf("who recovered is no admin: %v", err)
	}
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	b.apply(shell(), settings.Connectors, form.Doc{"id": "local", "type": "local"})
	b.apply(shell(), settings.LocalUsers, form.Doc{"login": "bob"})
	token, err := b.Invite(t.Context(), shell(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	for password, good := range map[string]bool{"short": false, "bob bob bob bob": false, "aaaaaaaaaaaaaaa": false} {
		if err := b.AcceptInvitation(t.Context(), token, password, password, ""); (err == nil) != good {
			t.Errorf("%q: %v", password, err)
		}
	}
	if err := b.AcceptInvitation(t.Context(), token, "seven purple boats", "seven purple boats", ""); err != nil {
		t.Fatal(err)
	}
	if err := b.AcceptInvitation(t.Context(), token, "another good phrase", "another good phrase", ""); !errs.Is(err, errs.Denied) {
		t.Errorf("twice: %v", err)
	}
	account, err := b.store.AccountByLogin(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if result, err := b.Hasher.Check(t.Context(), account.PasswordHash, "seven purple boats"); err != nil || !result.Match {
		t.Errorf("the password is not the one: %v", err)
	}
	// Editing the account keeps the password.
	b.apply(shell(), settings.LocalUsers, form.Doc{"login": "bob", "name": "Bob"})
	if after, err := b.store.AccountByLogin(t.Context(), "bob"); err != nil || after.PasswordHash != account.PasswordHash || after.Name != "Bob" {
		t.Errorf("after an edit: %+v %v", after, err)
	}
}

func TestAPITokensHaveScopes(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	token, err := b.CreateAPIToken(t.Context(), jane, "ci", []string{"settings:read"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := b.Authenticate(t.Context(), token, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Entries(t.Context(), caller, settings.Clusters, "", 1); err != nil {
		t.Errorf("in scope: %v", err)
	}
	if _, err := b.Apply(t.Context(), caller, b.draft(settings.Clusters, cluster("two"))); !errs.Is(err, errs.Denied) {
		t.Errorf("out of scope: %v", err)
	}
	if _, err := b.CreateAPIToken(t.Context(), caller, "more", []string{"settings:write"}, time.Hour); !errs.Is(err, errs.Denied) {
		t.Errorf("a token makes tokens: %v", err)
	}
	// A token has no more rights than its owner.
	if err := b.Disable(t.Context(), shell(), jane.User.ID, true, ""); err != nil {
		t.Fatal(err)
	}
	b.expectDead(token, "its owner is disabled")
	expired := b.apiToken(b.person("corp", "ann", "corp:ops"))
	b.advance(25 * time.Hour)
	b.expectDead(expired, "a day later")
}

func TestClientSecrets(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	_, first, err := b.CreateClient(t.Context(), jane, admin.Draft{Kind: settings.Clients, Doc: form.Doc{"id": "web", "redirectURIs": []any{"https://web.test/cb"}}})
	if err != nil || first == "" {
		t.Fatal(err)
	}
	for _, day := range []string{"soon", "2001-01-01"} {
		if _, err := b.AddClientSecret(t.Context(), jane, "web", admin.SecretLabel{Ends: day}); !errs.Is(err, errs.Invalid) {
			t.Errorf("a secret that ends %s: %v", day, err)
		}
	}
	last := b.now().AddDate(0, 0, 10).Format(time.DateOnly)
	second, err := b.AddClientSecret(t.Context(), jane, "web", admin.SecretLabel{Label: "staging", Ends: last})
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := b.ClientSecrets(t.Context(), jane, "web")
	if err != nil || len(secrets) != 2 || secrets[1].Label != "staging" || secrets[1].Ended {
		t.Fatalf("%+v %v", secrets, err)
	}
	b.secretEnds(jane, "staging", second)
	// Saving the form, which shows no secrets, keeps them.
	b.apply(jane, settings.Clients, form.Doc{"id": "web", "name": "Web", "redirectURIs": []any{"https://web.test/cb"}})
	if err := b.RemoveClientSecret(t.Context(), jane, "web", secret.Hash(first)[:12]); err != nil {
		t.Fatal(err)
	}
	client, err := b.store.Client(t.Context(), "web")
	if err != nil || len(client.SecretHashes) != 1 || client.SecretHashes[0] != secret.Hash(second) {
		t.Errorf("%+v %v", client, err)
	}
	if err := b.RemoveClientSecret(t.Context(), jane, "web", secret.Hash(second)[:12]); !errs.Is(err, errs.Invalid) {
		t.Errorf("the last one: %v", err)
	}
}

// secretEnds checks that a secret of the client web is valid until the end of its last day, that the overview warns
// about it, and that it is invalid afterwards.
func (b *bundle) secretEnds(c admin.Caller, label, text string) {
	b.t.Helper()
	client, err := clients.NewRegistry(b.store).Find(b.t.Context(), "web")
	if err != nil {
		b.t.Fatal(err)
	}
	for days, want := range map[int]bool{0: true, 10: true, 11: false} {
		if _, ok := client.MatchSecret(text, b.now().UTC().Truncate(24*time.Hour).AddDate(0, 0, days)); ok != want {
			b.t.Errorf("after %d days it is good: %v", days, ok)
		}
	}
	o, err := b.Overview(b.t.Context(), c)
	if err != nil || !slices.ContainsFunc(o.Notices, func(n admin.Notice) bool {
		return strings.Contains(n.Text, "Secret "+label+" of the client web ends in")
	}) {
		b.t.Errorf("the overview does not warn: %+v %v", o, err)
	}
}

// TestABrandThatNobodyCanReadIsRefused covers colors with too little contrast, and logos with active content.
func TestABrandThatNobodyCanReadIsRefused(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	b.RuntimeSettings = runtimesettings.New(runtimesettings.Values{})
	b.apply(jane, settings.General, form.Doc{"id": "branding", "color": "#7a1fa2", "logo": `<svg xmlns="http://www.w3.org/2000/svg"/>`})
	for _, doc := range []form.Doc{{"color": "#ffff00"}, {"colorDark": "#000000"}, {"color": "red"}, {"logo": `<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`}} {
		doc["id"] = "branding"
		if _, err := b.Apply(t.Context(), jane, b.draft(settings.General, doc)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%v: %v", doc, err)
		}
	}
	if v := b.RuntimeSettings.Get(); v.Color != "#7a1fa2" || v.Logo == "" {
		t.Errorf("%+v", v)
	}
}

// TestGeneralSettingsHoldAtOnce changes general settings and restores them.
func TestGeneralSettingsHoldAtOnce(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	b.RuntimeSettings = runtimesettings.New(runtimesettings.Values{Contact: "in the file"})
	r := b.apply(jane, settings.General, form.Doc{"id": "sessions", "idle": "1h", "maxAge": "2m"})
	if v := b.RuntimeSettings.Get(); v.IdleTimeout != time.Hour || v.UpstreamMaxAge != 2*time.Minute || v.AbsoluteTimeout != runtimesettings.DefaultAbsoluteTimeout {
		t.Errorf("%+v", v)
	}
	for _, doc := range []form.Doc{
		{"id": "sessions", "idle": "1s"}, {"id": "sessions", "idle": "48h", "absolute": "24h"}, {"id": "sessions", "maxAge": "soon"}, {"id": "other"},
	} {
		if _, err := b.Apply(t.Context(), jane, b.draft(settings.General, doc)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%v: %v", doc, err)
		}
	}
	if _, err := b.Apply(t.Context(), jane, b.draft(settings.General, form.Doc{"id": "branding", "brand": "Acme"})); !errs.Is(err, errs.Denied) {
		t.Errorf("what the file says: %v", err)
	}
	if _, err := b.Restore(t.Context(), jane, admin.Restoration{RevisionID: r.ID}); err != nil {
		t.Fatal(err)
	}
	if v := b.RuntimeSettings.Get(); v.IdleTimeout != runtimesettings.DefaultIdleTimeout {
		t.Errorf("restored: %+v", v)
	}
}
