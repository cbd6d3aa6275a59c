// Package tokenfile issues cluster tokens that users carry in a kubeconfig file, for
// computers on which they can't install the plugin. Anyone with the file is that
// user at the cluster until the token expires, so admins must allow token files
// for each cluster, for an hour at most.
package tokenfile

import (
	"context"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// AuditReason is the reason of these tokens in the audit log.
const AuditReason = "token_file"

// Maker issues token files.
type Maker struct {
	Issuer   *issuer.Issuer
	Access   *access.Policy
	Upstream *upstream.Registry
	Store    *store.Store
	Audit    *audit.Log
	Now      func() time.Time
}

// Make returns a token that belongs to this session and expires no later. If a token file is not allowed, the error
// is of kind Denied.
func (m *Maker) Make(ctx context.Context, visit session.Caller, cluster *store.Cluster) (issuer.SignedToken, error) {
	signIn := visit.Current.SignIn
	user := visit.Current.User
	event := audit.Event{
		SignInID: signIn.ID, Address: visit.Address, ClusterID: cluster.ID, UserID: user.ID, UserName: user.KubeName, ConnectorID: user.ConnectorID,
	}
	user, err := m.Upstream.RecheckUser(ctx, user)
	if err != nil {
		event.Name, event.Reason, event.Detail = audit.TokenRefused, "account", err.Error()
		m.Audit.Record(ctx, event)
		return issuer.SignedToken{}, err
	}
	if _, err := m.Access.Authorize(ctx, user, cluster, event); err != nil {
		return issuer.SignedToken{}, err
	}
	life := min(cluster.TokenFileLife(), signIn.Expires.Time().Sub(m.Now()))
	if life <= 0 {
		event.Name, event.Reason = audit.TokenRefused, AuditReason+"_not_allowed"
		m.Audit.Record(ctx, event)
		return issuer.SignedToken{}, errs.New(errs.Denied, "Token files are switched off for %s. Ask an admin to allow them for this cluster.", cluster.Name)
	}
	minted, err := m.Issuer.SignIDToken(issuer.IDTokenParams{
		Subject:  issuer.Subject{User: user, SignInID: signIn.ID, AMR: signIn.AMR, Authenticated: signIn.Authenticated},
		Audience: cluster.Audience, Requester: cluster.Audience, Cluster: cluster, Life: life,
	})
	if err != nil {
		return issuer.SignedToken{}, err
	}
	may, err := m.Store.MayMint(ctx, store.Mint{UserID: user.ID, ClusterID: cluster.ID, SignInID: signIn.ID}, m.Now())
	if err != nil {
		return issuer.SignedToken{}, err
	}
	if !may {
		event.Name, event.Reason = audit.TokenRefused, "ended"
		m.Audit.Record(ctx, event)
		return issuer.SignedToken{}, errs.New(errs.Denied, "Your session has ended. Sign in again.")
	}
	event.Name, event.TokenID, event.Reason = audit.TokenIssued, minted.ID, AuditReason
	m.Audit.Record(ctx, event)
	return minted, nil
}
