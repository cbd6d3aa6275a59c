package clients

import (
	"context"
	"slices"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// UsesClusters marks a consent to use the user's clusters. No client can request it: a client has it if it may exchange
// tokens.
const UsesClusters = "fairlead:clusters"

// Asks returns what the client asks a user for: the scopes, and UsesClusters. The consent page shows it, and the consent
// stores it.
func (c *Client) Asks(scopes []string) []string {
	if c.ID == PluginID || c.Cluster != nil || !c.MayUse(oauth.GrantTokenExchange) {
		return scopes
	}
	return append(slices.Clone(scopes), UsesClusters)
}

// MayUseClusters decides whether an access token lists its user's clusters and gets tokens for them: the plugin's, a
// client's own, and those of a client that may exchange tokens and has the user's consent to use clusters. Trusted clients
// need no consent, and public clients ask the user at each sign-in.
func (r *Registry) MayUseClusters(ctx context.Context, t *store.AccessToken) (bool, error) {
	if t.ClientID == PluginID || t.SignInID == "" && t.DeviceID == "" {
		return true, nil
	}
	client, err := r.Find(ctx, t.ClientID)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	if err != nil || !client.MayUse(oauth.GrantTokenExchange) {
		return false, err
	}
	if client.FirstParty || client.Public {
		return true, nil
	}
	return r.store.Consented(ctx, t.UserID, client.ID, []string{UsesClusters})
}
