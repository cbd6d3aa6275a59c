package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/suggest"
)

// Clusters lists the clusters that the user may use, from the server.
func (c *Client) Clusters(ctx context.Context) (apitypes.Clusters, error) {
	s, err := c.Session(ctx)
	if err != nil {
		return apitypes.Clusters{}, err
	}
	server, err := c.server(s.CA)
	if err != nil {
		return apitypes.Clusters{}, err
	}
	list, err := server.Clusters(ctx, s.AccessToken)
	if !refusedWith(err, "invalid_token") {
		return list, err
	}
	if s, err = c.session(ctx, true); err != nil { // the access token was revoked
		return apitypes.Clusters{}, err
	}
	return server.Clusters(ctx, s.AccessToken)
}

// exchange gets a token for a cluster. It updates the list of clusters if the cluster is not in
// it, or if the server refuses the cluster's audience.
func (c *Client) exchange(ctx context.Context, server *serverclient.Server, s *cache.Session, cluster string) (serverclient.Tokens, error) {
	if audience, known := audienceOf(s.Clusters, cluster); known {
		tokens, err := server.ExchangeToken(ctx, s.AccessToken, audience)
		if !refusedWith(err, "invalid_target") {
			return tokens, err
		}
	}
	list, err := server.Clusters(ctx, s.AccessToken)
	if refusedWith(err, "invalid_token") {
		return serverclient.Tokens{}, &serverclient.RefusedError{Code: "invalid_grant", Text: err.Error()}
	}
	if err != nil {
		return serverclient.Tokens{}, err
	}
	s.Clusters, s.User, s.SignInEnds = list.Clusters, list.User, list.SignInEnds
	if err := c.Cache.SaveSession(s); err != nil {
		return serverclient.Tokens{}, err
	}
	audience, known := audienceOf(list.Clusters, cluster)
	if !known {
		return serverclient.Tokens{}, &serverclient.RefusedError{Code: "invalid_target", Text: c.noAccess(s, cluster)}
	}
	return server.ExchangeToken(ctx, s.AccessToken, audience)
}

// noAccess is the message for a cluster that the user may not use.
func (c *Client) noAccess(s *cache.Session, cluster string) string {
	var ids []string
	for _, known := range s.Clusters {
		ids = append(ids, known.ID)
	}
	hint := ""
	if closest := suggest.Closest(cluster, ids); closest != "" {
		hint = " Did you mean " + closest + "?"
	}
	return fmt.Sprintf("You are signed in as %s, but no access rule lets you use the cluster %s.%s Ask an admin for access, or choose one of your clusters: %s/",
		s.User, cluster, hint, c.Account.Server)
}

func audienceOf(clusters []apitypes.Cluster, id string) (string, bool) {
	i := slices.IndexFunc(clusters, func(cl apitypes.Cluster) bool { return cl.ID == id })
	if i < 0 {
		return "", false
	}
	return clusters[i].Audience, true
}

// refusedWith reports whether the server refused the request with an error code.
func refusedWith(err error, code string) bool {
	r, ok := errors.AsType[*serverclient.RefusedError](err)
	return ok && r.Code == code
}
