package admin_test

import (
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// again signs a user in whom an upstream knows by the id of login.
func (b *bundle) again(connector, login, name string) (*store.User, error) {
	user, _, err := b.store.SignInUser(b.t.Context(), store.ResolvedIdentity{
		ConnectorID: connector, KubeName: connector + ":" + name, Identity: connectors.Identity{Subject: "id-" + login, Username: name},
	}, b.now())
	return user, err
}

// deleted deletes the connector corp, and creates it again.
func (b *bundle) deleted() {
	b.t.Helper()
	d := b.draft(settings.Connectors, ldap("ldap.test"))
	d.Doc = nil
	if _, err := b.Apply(b.t.Context(), shell(), d); err != nil {
		b.t.Fatal(err)
	}
	b.apply(shell(), settings.Connectors, ldap("other.test"))
}

func TestPeopleOfADeletedConnectorStayOut(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		token := b.apiToken(jane)
		b.deleted()
		b.expectDead(token, "after the connector was deleted")
		if _, err := b.again("corp", "jane", "jane"); !errs.Is(err, errs.Conflict) {
			t.Errorf("a stranger with the subject and the name: %v", err)
		}
		stranger, err := b.again("corp", "jane", "stranger")
		if err != nil || stranger.ID == jane.User.ID {
			t.Errorf("a stranger with the subject: %+v, %v", stranger, err)
		}
		if err := b.Disable(t.Context(), shell(), jane.User.ID, false, ""); !errs.Is(err, errs.Conflict) {
			t.Errorf("enabling a user of a deleted connector: %v", err)
		}
	})
}

func TestPeopleOfADeletedConnectorReturn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		bob := b.person("corp", "bob")
		if err := b.Disable(t.Context(), shell(), bob.User.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		b.deleted()
		if n, err := b.ReturnPeople(t.Context(), shell(), "corp"); err != nil || n != 2 {
			t.Fatalf("returning: %d, %v", n, err)
		}
		user, err := b.again("corp", "jane", "jane")
		if err != nil || user.ID != jane.User.ID || user.Blocked() {
			t.Errorf("a returned user: %+v, %v", user, err)
		}
		if user, err := b.again("corp", "bob", "bob"); err != nil || !user.Disabled {
			t.Errorf("a returned user whom an admin had disabled: %+v, %v", user, err)
		}
	})
}

func TestRemovedPeopleReleaseTheirNames(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		token := b.apiToken(jane)
		if err := b.store.AddFactor(t.Context(), store.Factor{ID: "fac_1", Owner: jane.User.ID, Kind: "passkey"}); err != nil {
			t.Fatal(err)
		}
		if err := b.RemovePerson(t.Context(), shell(), jane.User.ID, "left"); err != nil {
			t.Fatal(err)
		}
		b.expectDead(token, "after the user was removed")
		if factors, err := b.store.Factors(t.Context(), jane.User.ID); err != nil || len(factors) != 0 {
			t.Errorf("second factors of a removed user: %v, %v", factors, err)
		}
		b.advance(time.Second)
		if user, err := b.again("corp", "new-id", "jane"); err != nil || user.ID == jane.User.ID {
			t.Errorf("the next user of the name: %+v, %v", user, err)
		}
	})
}

func TestPeopleOfAConnectorAreRemoved(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, _ := furnished(t, s)
		b.person("corp", "bob")
		b.deleted()
		stays, err := b.again("corp", "ann", "ann")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := b.RemoveRetired(t.Context(), shell(), "corp"); err != nil || n != 2 {
			t.Fatalf("removing the people of the deleted connector: %d, %v", n, err)
		}
		if _, err := b.store.User(t.Context(), stays.ID); err != nil {
			t.Errorf("a user of the new connector: %v", err)
		}
		if _, err := b.again("corp", "jane", "jane"); err != nil {
			t.Errorf("the name of a removed user: %v", err)
		}
	})
}

func TestOnesOwnAccountIsNotRemoved(t *testing.T) {
	t.Parallel()
	b, jane := furnished(t, storetest.SQLite(t))
	if err := b.RemovePerson(t.Context(), jane, jane.User.ID, ""); !errs.Is(err, errs.Denied) {
		t.Errorf("removing oneself: %v", err)
	}
}

func TestPeopleOfAConnectorThatTheFileLosesStayOut(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, now := setup(t, s), time.Now()
		fromFile := store.Settings{Connectors: []store.Connector{{ID: "corp", Type: "ldap", Config: "{}", Origin: store.Origin{Origin: store.OriginFile}}}}
		for _, set := range []store.Settings{fromFile, fromFile, {}, fromFile} {
			if err := s.ApplyFile(t.Context(), set, now); err != nil {
				t.Fatal(err)
			}
			if len(set.Connectors) == 0 {
				continue
			}
			_, err := b.again("corp", "jane", "jane")
			if retired, _ := s.RetiredUsers(t.Context(), "corp"); errs.Is(err, errs.Conflict) != (len(retired) > 0) {
				t.Errorf("with %d retired: %v", len(retired), err)
			}
		}
		if retired, err := s.RetiredUsers(t.Context(), "corp"); err != nil || len(retired) != 1 {
			t.Errorf("retired users: %v, %v", retired, err)
		}
	})
}
