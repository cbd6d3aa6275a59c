package admin_test

import (
	"testing"

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
