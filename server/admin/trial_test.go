package admin_test

import (
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// based is the connector of furnished with another base DN and name.
func based(dn, name string) form.Doc {
	doc := brokenBase()
	doc["name"] = name
	doc.Set("config.userSearch.baseDN", dn)
	return doc
}

// TestASecondChangeOnTrial: jane breaks her connector, and it changes again before the trial is over.
func TestASecondChangeOnTrial(t *testing.T) {
	t.Parallel()
	const broken = "dc=wrong"
	for name, c := range map[string]struct {
		then func(t *testing.T, b *bundle, jane admin.Caller)
		want string // the base DN when every trial is over; empty if the connector must not exist
	}{
		"another mistake": {then: func(_ *testing.T, b *bundle, jane admin.Caller) {
			b.apply(jane, settings.Connectors, based("dc=worse", "Corp"))
		}, want: "dc=test"},
		"another name": {then: func(_ *testing.T, b *bundle, jane admin.Caller) {
			b.apply(jane, settings.Connectors, based(broken, "Corporation"))
		}, want: "dc=test"},
		"a repair that is confirmed": {then: func(t *testing.T, b *bundle, jane admin.Caller) {
			t.Helper()
			r := b.apply(jane, settings.Connectors, based("dc=new", "Corp"))
			b.advance(time.Second)
			if err := b.ConfirmTrial(t.Context(), b.person("corp", "jane", "corp:ops"), r.ID); err != nil {
				t.Fatal(err)
			}
		}, want: "dc=new"},
		"the repair of another admin": {then: func(_ *testing.T, b *bundle, _ admin.Caller) {
			b.apply(shell(), settings.Connectors, based("dc=repaired", "Corp"))
		}, want: "dc=repaired"},
		"back to what worked": {then: func(t *testing.T, b *bundle, jane admin.Caller) {
			t.Helper()
			if r := b.apply(jane, settings.Connectors, based("dc=test", "Corp")); r.Outcome != store.OutcomeApplied {
				t.Errorf("outcome %q", r.Outcome)
			}
		}, want: "dc=test"},
		"deleted": {then: func(t *testing.T, b *bundle, _ admin.Caller) {
			t.Helper()
			d := b.draft(settings.Connectors, based(broken, "Corp"))
			d.Doc = nil
			if _, err := b.Apply(t.Context(), shell(), d); err != nil {
				t.Fatal(err)
			}
		}},
		"in the file": {then: func(t *testing.T, b *bundle, _ admin.Caller) {
			t.Helper()
			set, err := b.store.AllSettings(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			set.Connectors[0].Origin = store.Origin{Origin: store.OriginFile}
			if err := b.store.UpdateSettings(t.Context(), func(tx *store.SettingsTx) error {
				return store.Remove[store.Connector](tx, "id", "corp")
			}); err != nil {
				t.Fatal(err)
			}
			if err := b.store.ApplyFile(t.Context(), store.Settings{Connectors: set.Connectors}, b.now()); err != nil {
				t.Fatal(err)
			}
		}, want: broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				b, jane := furnished(t, s)
				b.apply(jane, settings.Connectors, based(broken, "Corp"))
				b.advance(time.Minute)
				c.then(t, b, jane)
				for range 12 { // one trial after the other
					b.advance(time.Minute)
					if err := b.EndTrials(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				rows, err := s.Connectors(t.Context())
				if err != nil || len(rows) != min(1, len(c.want)) {
					t.Fatalf("%d connectors, error %v", len(rows), err)
				}
				if c.want != "" && baseOf(t, b) != c.want {
					t.Errorf("base %s, want %s", baseOf(t, b), c.want)
				}
				if open, err := b.Trials(t.Context(), shell()); err != nil || len(open) > 0 {
					t.Errorf("%d trials are open, error %v", len(open), err)
				}
			})
		})
	}
}
