// Package authcode issues OAuth 2.0 authorization codes (RFC 6749 section 4.1)
// after the user has signed in and consented, and records them in the audit log.
// The authorization endpoint and the consent page share it.
package authcode

import (
	"context"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// Granter grants.
type Granter struct {
	Issuer *issuer.Issuer
	Audit  *audit.Log
}

// Grant issues a code for what the person has allowed and returns the parameters
// of the answer.
func (g *Granter) Grant(ctx context.Context, client *clients.Client, req *flow.Request, current *session.Current, address string) (map[string]string, error) {
	user, signIn := current.User, current.SignIn
	code, err := g.Issuer.IssueCode(ctx, req, issuer.Subject{
		User: user, SignInID: signIn.ID, AMR: signIn.AMR, Authenticated: signIn.Authenticated,
	})
	if err != nil {
		return nil, err
	}
	if client.LogoutURI != "" {
		if err := g.Issuer.Store.AddSignInClient(ctx, signIn.ID, client.ID); err != nil {
			return nil, err
		}
	}
	g.Audit.Record(ctx, audit.Event{
		Name: audit.AuthorizationGranted, UserID: user.ID, UserName: user.KubeName, ConnectorID: user.ConnectorID,
		SignInID: signIn.ID, ClientID: req.ClientID, Address: address,
	})
	return map[string]string{"code": code}, nil
}
