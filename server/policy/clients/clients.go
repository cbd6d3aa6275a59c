// Package clients finds OAuth clients and checks their redirect URIs: the kubectl
// plugin, each cluster (a public client of its own, so that other exec plugins
// work) and the configured relying parties. Package token decides what they get.
package clients

import (
	"context"
	"crypto/subtle"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/jwks"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// PluginID is the client id of kubectl-fairlead.
const PluginID = "kubectl-fairlead"

// Client is an OAuth client.
type Client struct {
	ID   string
	Name string
	// Public clients have no secret. They must use PKCE, and may use any port on loopback.
	Public       bool
	PKCERequired bool
	RedirectURIs []string
	// PostLogoutURIs are the addresses to which the browser may return after sign-out.
	PostLogoutURIs []string
	Grants         []string
	// Algorithm is the signature algorithm of its ID tokens. Empty means RS256.
	Algorithm string
	// Cluster is set when the client is a cluster.
	Cluster *store.Cluster
	// FirstParty clients are trusted, so users need not consent.
	FirstParty bool
	// LogoutURI receives a logout token when a session ends.
	LogoutURI string
	// Groups are the groups of the client itself, for the client credentials grant.
	Groups []string
	// Keys authenticate the client instead of a secret.
	Keys jose.JSONWebKeySet

	secretHashes []string
	secretNotes  store.SecretNotes
}

// Registry finds clients.
type Registry struct{ store *store.Store }

// NewRegistry returns a registry on s.
func NewRegistry(s *store.Store) *Registry { return &Registry{store: s} }

// Find returns a client. The error's kind is NotFound when there is none.
func (r *Registry) Find(ctx context.Context, id string) (*Client, error) {
	if id == PluginID {
		return pluginClient(), nil
	}
	cluster, err := r.store.ClusterByAudience(ctx, id)
	if err == nil {
		return clusterClient(cluster), nil
	}
	if !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	row, err := r.store.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	return fromRow(row)
}

func pluginClient() *Client {
	return &Client{
		ID: PluginID, Name: "kubectl", Public: true, PKCERequired: true,
		RedirectURIs: []string{"http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"},
		Grants:       []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantTokenExchange, oauth.GrantDeviceCode, oauth.GrantSetupCode},
	}
}

// clusterClient returns the public client that kubectl oidc-login and similar plugins use for a cluster. They
// redirect to loopback without a path.
func clusterClient(c *store.Cluster) *Client {
	return &Client{
		ID: c.Audience, Name: "kubectl for " + c.Name, Public: true, PKCERequired: true,
		RedirectURIs: []string{"http://localhost", "http://127.0.0.1", "http://[::1]"},
		Grants:       []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantDeviceCode},
		Algorithm:    c.Algorithm, Cluster: c,
	}
}

func fromRow(row *store.Client) (*Client, error) {
	c := &Client{
		ID: row.ID, Name: row.Name, Public: row.Public, PKCERequired: row.Public || !row.PKCEOptional,
		RedirectURIs: row.RedirectURIs, PostLogoutURIs: row.PostLogoutURIs, Grants: row.Grants, Algorithm: row.Algorithm,
		FirstParty: row.FirstParty, LogoutURI: row.LogoutURI, Groups: row.GroupNames, secretHashes: row.SecretHashes, secretNotes: row.SecretNotes,
	}
	if row.KeySet == "" {
		return c, nil
	}
	keys, _, err := jwks.Parse([]byte(row.KeySet))
	if err != nil {
		return nil, fmt.Errorf("reading keys of client %s: %w", row.ID, err)
	}
	c.Keys = keys
	return c, nil
}

// MayUse reports whether the client may use a grant type.
func (c *Client) MayUse(grant string) bool { return slices.Contains(c.Grants, grant) }

// MatchSecret compares a secret with those of the client, in constant time, and returns the hash of the matching
// one. It ignores expired secrets. Secrets are random, so a plain hash protects them.
func (c *Client) MatchSecret(given string, now time.Time) (hash string, ok bool) {
	hash = secret.Hash(given)
	match := 0
	for _, stored := range c.secretHashes {
		match |= subtle.ConstantTimeCompare([]byte(hash), []byte(stored))
	}
	ends := c.secretNotes.Of(hash).EndsAt()
	return hash, match == 1 && !c.Public && (ends.IsZero() || now.Before(ends))
}

// Permission says what the client may do for a user with these scopes, which Asks has completed. The consent page shows it.
func (c *Client) Permission(scopes []string) i18n.Text {
	sees := visible(scopes)
	switch {
	case c.Cluster != nil:
		return i18n.T("use the cluster %s as you", c.Cluster.Name)
	case c.ID == PluginID, slices.Contains(scopes, UsesClusters) && sees.IsZero():
		return i18n.T("use all of your clusters as you")
	case slices.Contains(scopes, UsesClusters):
		return i18n.T("use all of your clusters as you, and see %s", sees)
	case sees.IsZero():
		return i18n.T("recognize you, and see nothing else about you")
	}
	return i18n.T("see %s", sees)
}

// visible says what a client with these scopes sees of a user.
func visible(scopes []string) i18n.Text {
	var sees i18n.Text
	for _, s := range []struct {
		scope string
		what  i18n.Text
	}{
		{oauth.ScopeProfile, i18n.T("your name")}, {oauth.ScopeEmail, i18n.T("your e-mail address")}, {oauth.ScopeGroups, i18n.T("your groups")},
	} {
		switch {
		case !slices.Contains(scopes, s.scope):
		case sees.IsZero():
			sees = s.what
		default:
			sees = i18n.T("%s, %s", sees, s.what)
		}
	}
	return sees
}
