package admin_test

import (
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// replicas runs fn with two replicas on one database. Both cache the configuration, as the server does.
func replicas(t *testing.T, fn func(t *testing.T, first, second *bundle)) {
	t.Helper()
	for name, config := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLiteConfig, "postgres": storetest.PostgresConfig} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			now := time.Now().Truncate(time.Second)
			cfg.Now = func() time.Time { return now } // the cache never expires by itself
			fn(t, setup(t, storetest.Open(t, cfg)), setup(t, storetest.Open(t, cfg)))
		})
	}
}

// TestARemovedAdminStaysOut: an admin is removed at one replica. The other has the rules of before in its cache and
// refuses each write, whatever it changes.
func TestARemovedAdminStaysOut(t *testing.T) {
	t.Parallel()
	replicas(t, func(t *testing.T, first, second *bundle) {
		first.apply(shell(), settings.Clusters, cluster("one"))
		first.apply(shell(), settings.Rules, adminRule("corp:ops", "corp:others"))
		jane, bob := first.person("corp", "jane", "corp:ops"), first.person("corp", "bob", "corp:ops")
		if is, err := second.IsAdmin(t.Context(), jane.User); err != nil || !is {
			t.Fatalf("jane is no admin: %v", err)
		}
		back := second.draft(settings.Rules, form.Doc{"id": "mine", "admin": true, "who": map[string]any{"groups": []any{"corp:ops"}}})
		first.apply(shell(), settings.Rules, adminRule("corp:others"))
		for name, try := range map[string]func() error{
			"makes herself admin": func() error { _, err := second.Apply(t.Context(), jane, back); return err },
			"disables a user":     func() error { return second.Disable(t.Context(), jane, bob.User.ID, true, "") },
			"ends a session":      func() error { return second.Revoke(t.Context(), jane, bob.User.ID, "") },
			"creates a token": func() error {
				_, err := second.CreateAPIToken(t.Context(), jane, "x", []string{string(admin.WriteSettings)}, time.Hour)
				return err
			},
			"imports": func() error {
				_, err := second.Import(t.Context(), jane, admin.Source{Text: []byte("rules: [{id: mine, admin: true, who: {everyone: true}}]")})
				return err
			},
		} {
			if err := try(); !errs.Is(err, errs.Denied) {
				t.Errorf("%s: %v, want denied", name, err)
			}
		}
	})
}

// TestAWriteDecidesOnTheUserOfNow: the caller was read before the user was disabled, or lost the group.
func TestAWriteDecidesOnTheUserOfNow(t *testing.T) {
	t.Parallel()
	replicas(t, func(t *testing.T, first, second *bundle) {
		first.apply(shell(), settings.Rules, adminRule("corp:ops"))
		jane, bob := first.person("corp", "jane", "corp:ops"), first.person("corp", "bob", "corp:ops")
		first.person("corp", "jane", "corp:others")
		if err := first.Disable(t.Context(), shell(), bob.User.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		d := second.draft(settings.Clusters, cluster("two"))
		for _, c := range []admin.Caller{jane, bob} {
			if _, err := second.Apply(t.Context(), c, d); !errs.Is(err, errs.Denied) {
				t.Errorf("%s: %v, want denied", c.User.KubeName, err)
			}
		}
	})
}
