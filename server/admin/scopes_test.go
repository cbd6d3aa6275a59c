package admin_test

import (
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// TestWhatAScopeBecomes tries with each scope alone to become more: each way that leads to a password, a session, a
// token or a rule.
func TestWhatAScopeBecomes(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	b.apply(shell(), settings.Connectors, form.Doc{"id": "local", "type": "local", "groupPrefix": "local:"})
	for login, groups := range map[string][]any{"bob": {}, "root": {"ops"}, "named": {}, "mailed": {}, "signedin": {}} {
		b.apply(shell(), settings.LocalUsers, form.Doc{"login": login, "email": login + "@" + login + ".test", "groups": groups})
	}
	b.apply(shell(), settings.Rules, form.Doc{"id": "local-admins", "admin": true, "who": map[string]any{
		"groups": []any{"local:ops", "local:past"}, "users": []any{"local:named"}, "domains": []any{"mailed.test"},
	}})
	account, err := b.store.AccountByLogin(t.Context(), "signedin")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.store.SignInUser(t.Context(), store.ResolvedIdentity{ // an admin by the groups of the last sign-in
		ConnectorID: "local", KubeName: "local:signedin", Identity: connectors.Identity{Subject: account.ID, Username: "signedin", Groups: []string{"local:past"}},
	}, b.now()); err != nil {
		t.Fatal(err)
	}
	invite := func(login string) func(admin.Caller) error {
		return func(c admin.Caller) error { _, err := b.Invite(t.Context(), c, login); return err }
	}
	bulk := func(c admin.Caller) error {
		result, err := b.ApplyBulk(t.Context(), c, admin.Bulk{List: settings.LocalUsers, Act: admin.BulkInvite, IDs: []string{"root"}})
		if err == nil && len(result.Skipped) > 0 {
			return errs.New(errs.Denied, "%s", result.Skipped[0].Why)
		}
		return err
	}
	rule := func(c admin.Caller) error {
		_, err := b.Apply(t.Context(), c, b.draft(settings.Rules, form.Doc{"id": "own", "admin": true, "who": map[string]any{"everyone": true}}))
		return err
	}
	token := func(c admin.Caller) error {
		_, err := b.CreateAPIToken(t.Context(), c, "more", []string{string(admin.WriteSettings)}, time.Hour)
		return err
	}
	code := func(c admin.Caller) error { _, err := b.EnrolmentCode(t.Context(), c, "one"); return err }
	clientSecret := func(c admin.Caller) error {
		_, err := b.AddClientSecret(t.Context(), c, "none", admin.SecretLabel{})
		return err
	}
	for name, way := range map[string]struct {
		try  func(admin.Caller) error
		by   admin.Scope // this scope alone is enough
		both bool        // people:write and settings:write together are needed
	}{
		"the password of a local user":                   {try: invite("bob"), by: admin.WritePeople},
		"the password of an admin by a group":            {try: invite("root"), both: true},
		"the password of an admin by name":               {try: invite("named"), both: true},
		"the password of an admin by e-mail":             {try: invite("mailed"), both: true},
		"the password of an admin by the last sign-in":   {try: invite("signedin"), both: true},
		"the password of an admin, from the list":        {try: bulk, both: true},
		"an admin rule":                                  {try: rule, by: admin.WriteSettings},
		"an API token with more rights":                  {try: token},
		"an enrolment code, and so the feed of a proxy":  {try: code, by: admin.WriteSettings},
		"a client secret, and so the tokens of a client": {try: clientSecret, by: admin.WriteSettings},
	} {
		for _, scope := range admin.Scopes() {
			if err := way.try(b.program(jane, scope)); errs.Is(err, errs.Denied) == (scope == way.by) {
				t.Errorf("%s with %s: %v, want allowed %t", name, scope, err, scope == way.by)
			}
		}
		if err := way.try(b.program(jane, admin.WritePeople, admin.WriteSettings)); way.both && err != nil {
			t.Errorf("%s with both scopes: %v", name, err)
		}
	}
	if err := invite("root")(jane); err != nil {
		t.Errorf("an admin in the pages: %v", err)
	}
}

// program returns a caller with a token of a user.
func (b *bundle) program(c admin.Caller, scopes ...admin.Scope) admin.Caller {
	b.t.Helper()
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	token, err := b.CreateAPIToken(b.t.Context(), c, "program", names, time.Hour)
	if err != nil {
		b.t.Fatal(err)
	}
	row, err := b.store.APITokenByHash(b.t.Context(), secret.Hash(token), b.now())
	if err != nil {
		b.t.Fatal(err)
	}
	return admin.Caller{User: c.User, Token: row}
}
