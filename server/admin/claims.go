package admin

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// ClaimsPreview holds the claims that an ID token for a user would have.
type ClaimsPreview struct {
	// Refused says why the user would get no token.
	Refused string
	Claims  issuer.Claims
	// Bytes is the approximate length of the token. Many servers limit headers to 8 KiB.
	Bytes int
}

// ClaimsQuestion names a user by user name, and a cluster or client by id.
type ClaimsQuestion struct{ User, Cluster, Client string }

// signed is the approximate length that a header and a signature add to a token.
const signed = 450

// PreviewClaims returns the claims that an ID token for an existing user would have at a client or cluster. It
// signs nothing.
func (a *Admin) PreviewClaims(ctx context.Context, c Caller, q ClaimsQuestion) (*ClaimsPreview, error) {
	if err := a.authorize(ctx, c, ReadPeople, "preview claims for "+q.Cluster+q.Client); err != nil {
		return nil, err
	}
	user, err := a.Store.UserByName(ctx, q.User)
	if errs.Is(err, errs.NotFound) {
		return nil, errs.New(errs.NotFound, "No user %s has signed in yet. Check the user name.", q.User)
	}
	if err != nil {
		return nil, err
	}
	preview := &ClaimsPreview{}
	cluster, client, err := a.audience(ctx, q)
	if err != nil {
		return nil, err
	}
	if cluster != nil {
		rules, err := a.Store.Rules(ctx)
		if err != nil {
			return nil, err
		}
		if why := access.Explain(rules, user, cluster); !why.Allowed {
			preview.Refused = "There would be no token: " + why.Why.String()
		}
	}
	if user.Disabled {
		preview.Refused = "There would be no token: the account is disabled."
	}
	minter := &issuer.Issuer{URL: a.URL, Now: a.Now}
	preview.Claims = minter.IDTokenClaims(issuer.IDTokenParams{
		Subject:  issuer.Subject{User: user, SignInID: "sid_…", Authenticated: store.At(a.Now())},
		Audience: client.ID, Requester: client.ID, Cluster: cluster, Scopes: oauth.Scopes(), Algorithm: client.Algorithm,
	})
	body, err := json.Marshal(preview.Claims)
	if err != nil {
		return nil, fmt.Errorf("encoding claims: %w", err)
	}
	preview.Bytes = (len(body)*4+2)/3 + signed
	return preview, nil
}

// audience finds the client or cluster of a token. The client id of a cluster is its audience.
func (a *Admin) audience(ctx context.Context, q ClaimsQuestion) (*store.Cluster, *clients.Client, error) {
	id := q.Client
	if q.Cluster != "" {
		cluster, err := a.Store.Cluster(ctx, q.Cluster)
		if errs.Is(err, errs.NotFound) {
			return nil, nil, errs.New(errs.NotFound, "There is no cluster %s. Check the ID.", q.Cluster)
		}
		if err != nil {
			return nil, nil, err
		}
		id = cluster.Audience
	}
	client, err := clients.NewRegistry(a.Store).Find(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return nil, nil, errs.New(errs.NotFound, "There is no client %s. Check the ID.", id)
	}
	if err != nil {
		return nil, nil, err
	}
	return client.Cluster, client, nil
}
