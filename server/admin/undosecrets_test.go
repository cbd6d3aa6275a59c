package admin_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// TestUndoLeavesCredentialsAlone undoes the change of a name after a leaked secret was replaced, and restores the client
// after it was deleted.
func TestUndoLeavesCredentialsAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b, jane := furnished(t, s)
		web := form.Doc{"id": "web", "name": "Web", "redirectURIs": []any{"https://web.test/cb"}}
		if _, _, err := b.CreateClient(t.Context(), jane, admin.Draft{Kind: settings.Clients, Doc: web}); err != nil {
			t.Fatal(err)
		}
		leaked := b.secrets("web")[0]
		item, err := b.Entry(t.Context(), jane, settings.Clients, "web")
		if err != nil {
			t.Fatal(err)
		}
		renamed := item.Doc.Clone()
		renamed["name"] = "Shop"
		unrelated, err := b.Apply(t.Context(), jane, admin.Draft{Kind: settings.Clients, ID: "web", Doc: renamed, Version: item.Version})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.AddClientSecret(t.Context(), jane, "web", admin.SecretLabel{}); err != nil {
			t.Fatal(err)
		}
		if err := b.RemoveClientSecret(t.Context(), jane, "web", leaked); err != nil {
			t.Fatal(err)
		}
		used := b.secrets("web")

		restore := func(what string) {
			t.Helper()
			if _, err := b.Restore(t.Context(), jane, admin.Restoration{RevisionID: unrelated.ID}); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if got := b.secrets("web"); len(got) != 1 || got[0] != used[0] {
				t.Errorf("%s: the secrets are %v, want %v", what, got, used)
			}
			if client, err := s.Client(t.Context(), "web"); err != nil || client.Name != "Web" {
				t.Errorf("%s: client %+v, error %v", what, client, err)
			}
		}
		restore("undo")
		if item, err = b.Entry(t.Context(), jane, settings.Clients, "web"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Apply(t.Context(), jane, admin.Draft{Kind: settings.Clients, ID: "web", Version: item.Version}); err != nil {
			t.Fatal(err)
		}
		restore("restore of the deleted client")
	})
}

// secrets returns the starts of the hashes of a client's secrets.
func (b *bundle) secrets(id string) []string {
	b.t.Helper()
	list, err := b.ClientSecrets(b.t.Context(), shell(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	var hashes []string
	for _, s := range list {
		hashes = append(hashes, s.Hash)
	}
	return hashes
}
