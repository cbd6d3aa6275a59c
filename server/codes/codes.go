// Package codes grants an authorization: it issues the code and records it. The
// authorization endpoint and the confirmation page share it.
package codes

import (
	"context"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/flow"
	"github.com/fairlead-auth/fairlead/server/issuer"
	"github.com/fairlead-auth/fairlead/server/session"
)

// Granter grants.
type Granter struct {
	Issuer *issuer.Issuer
	Audit  *audit.Log
}

// Grant issues a code for what the person has allowed and returns where to send
// the browser.
func (g *Granter) Grant(ctx context.Context, req *flow.Request, current *session.Current, address string) (string, error) {
	user, signIn := current.User, current.SignIn
	location, err := g.Issuer.IssueCode(ctx, req, issuer.Subject{
		User: user, SignInID: signIn.ID, AMR: signIn.AMR, Authenticated: signIn.Authenticated,
	})
	if err != nil {
		return "", err
	}
	g.Audit.Record(ctx, audit.Event{
		Name: audit.AuthorizationGranted, UserID: user.ID, UserName: user.KubeName, ConnectorID: user.ConnectorID,
		SignInID: signIn.ID, ClientID: req.ClientID, Address: address,
	})
	return location, nil
}
