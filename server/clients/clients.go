// Package clients says who may ask for tokens and where answers may go: the
// kubectl plugin, each cluster (which is a public client of its own, so that
// other exec plugins work), and the configured relying parties. It leaves to
// server/token what a client gets.
package clients

import (
	"context"
	"crypto/subtle"
	"slices"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/oauth"
	"github.com/fairlead-auth/fairlead/server/store"
)

// Plugin is the client id of kubectl-fairlead.
const Plugin = "kubectl-fairlead"

// Client is a relying party as the protocol sees it.
type Client struct {
	ID   string
	Name string
	// Public clients have no secret; they must use PKCE and may use any port on
	// loopback.
	Public       bool
	PKCERequired bool
	RedirectURIs []string
	// PostLogoutURIs are where a browser may go after signing out.
	PostLogoutURIs []string
	Grants         []string
	// Algorithm signs its ID tokens; empty means RS256.
	Algorithm string
	// Cluster is set when the client is a cluster.
	Cluster *store.Cluster

	secretHashes []string
}

// Registry finds clients.
type Registry struct{ store *store.Store }

// NewRegistry returns a registry on s.
func NewRegistry(s *store.Store) *Registry { return &Registry{store: s} }

// Find returns a client. The error's kind is NotFound when there is none.
func (r *Registry) Find(ctx context.Context, id string) (*Client, error) {
	if id == Plugin {
		return plugin(), nil
	}
	cluster, err := r.store.ClusterByAudience(ctx, id)
	if err == nil {
		return forCluster(cluster), nil
	}
	if !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	row, err := r.store.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	return configured(row), nil
}

func plugin() *Client {
	return &Client{
		ID: Plugin, Name: "kubectl", Public: true, PKCERequired: true,
		RedirectURIs: []string{"http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"},
		Grants:       []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantTokenExchange},
	}
}

// forCluster makes the client that kubectl oidc-login and its like use. They
// redirect to loopback without a path.
func forCluster(c *store.Cluster) *Client {
	return &Client{
		ID: c.Audience, Name: "kubectl for " + c.Name, Public: true, PKCERequired: true,
		RedirectURIs: []string{"http://localhost", "http://127.0.0.1", "http://[::1]"},
		Grants:       []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken},
		Algorithm:    c.Algorithm, Cluster: c,
	}
}

func configured(row *store.Client) *Client {
	return &Client{
		ID: row.ID, Name: row.Name, Public: row.Public, PKCERequired: row.Public || !row.PKCEOptional,
		RedirectURIs: row.RedirectURIs, PostLogoutURIs: row.PostLogoutURIs, Grants: row.Grants, Algorithm: row.Algorithm, secretHashes: row.SecretHashes,
	}
}

// MayUse reports whether the client may use a grant.
func (c *Client) MayUse(grant string) bool { return slices.Contains(c.Grants, grant) }

// CheckSecret compares a secret with each of the client's, in constant time.
// Client secrets are random, so that a plain hash of them is enough.
func (c *Client) CheckSecret(given string) bool {
	hash := []byte(secret.Hash(given))
	match := 0
	for _, stored := range c.secretHashes {
		match |= subtle.ConstantTimeCompare(hash, []byte(stored))
	}
	return match == 1 && !c.Public
}
