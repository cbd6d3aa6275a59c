package upstream

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/workload"
)

// RecheckUserByID returns the user as the upstream knew them at most UpstreamMaxAge ago. It makes one call at a
// time for a user, outside any transaction. While the upstream is unreachable the user stays unchanged, until the
// outage budget is used up. If the upstream refuses the user, the error is of kind Denied.
func (g *Registry) RecheckUserByID(ctx context.Context, userID string) (*store.User, error) {
	user, err := g.cfg.Store.User(ctx, userID)
	if err != nil {
		return nil, err
	}
	return g.RecheckUser(ctx, user)
}

// RecheckUser is like RecheckUserByID for a user who was just read.
func (g *Registry) RecheckUser(ctx context.Context, user *store.User) (*store.User, error) {
	young, err := g.recentlyChecked(user)
	if err != nil || young {
		return user, err
	}
	fresh, err, _ := g.flights.Do("fresh\x00"+user.ID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		return g.recheckOnce(ctx, user.ID)
	})
	if err != nil {
		return nil, err
	}
	answer, ok := fresh.(*store.User)
	if !ok {
		return nil, errors.New("singleflight returned an unexpected type") // ask returns this type only
	}
	return answer, nil
}

// justSignedIn is how long a sign-in counts as the upstream's word, even if the settings ask the upstream each time.
const justSignedIn = time.Minute

// RecheckSession is like RecheckUser for the user of a session. A user who has just signed in is not asked about.
func (g *Registry) RecheckSession(ctx context.Context, user *store.User, signIn *store.SignIn) (*store.User, error) {
	if g.cfg.Now().Sub(signIn.Authenticated.Time()) < justSignedIn {
		return user, nil
	}
	return g.RecheckUser(ctx, user)
}

// claimPoll is how often a replica looks whether another has finished to check the same user.
const claimPoll = 50 * time.Millisecond

// recheckOnce checks a user while no other replica does: a provider that rotates refresh tokens would take the second
// use of one for theft.
func (g *Registry) recheckOnce(ctx context.Context, userID string) (*store.User, error) {
	claim := "recheck " + userID
	for {
		held, err := g.cfg.Store.AcquireLease(ctx, claim, g.replica, g.cfg.Now(), g.cfg.Now().Add(callTimeout))
		if err != nil {
			return nil, err
		}
		// Another goroutine or replica may have asked while this one waited.
		user, err := g.cfg.Store.User(ctx, userID)
		if err != nil {
			return nil, err
		}
		young, err := g.recentlyChecked(user)
		if held {
			defer g.releaseClaim(ctx, claim)
		}
		switch {
		case err != nil || young:
			return user, err
		case held:
			return g.recheck(ctx, user)
		}
		select {
		case <-ctx.Done():
			return nil, errs.Wrap(errs.Unavailable, ctx.Err(), "Another replica is still checking your account. Try again in a minute.")
		case <-time.After(claimPoll): //nolint:forbidigo // another replica holds the claim in real time
		}
	}
}

func (g *Registry) releaseClaim(ctx context.Context, claim string) {
	if err := g.cfg.Store.ReleaseLease(context.WithoutCancel(ctx), claim, g.replica); err != nil {
		g.cfg.Logger.WarnContext(ctx, "a claim was not released, it ends by itself", "claim", claim, "error", err)
	}
}

// recentlyChecked reports whether the upstream's last answer is recent enough. The error is of kind Denied if the
// user is disabled.
func (g *Registry) recentlyChecked(user *store.User) (bool, error) {
	if user.Disabled {
		return false, errs.New(errs.Denied, "The account %s is disabled. Ask an admin to enable it.", user.KubeName)
	}
	if workload.IsWorkload(user) || user.ConnectorID == store.RecoveryConnectorID { // the configuration itself is the upstream
		return true, nil
	}
	age := g.cfg.RuntimeSettings.Get().UpstreamMaxAge
	return age > 0 && user.Refused == 0 && g.cfg.Now().Sub(user.Checked.Time()) <= age, nil
}

func (g *Registry) recheck(ctx context.Context, user *store.User) (*store.User, error) {
	row, err := g.cfg.Store.Connector(ctx, user.ConnectorID)
	if errs.Is(err, errs.NotFound) {
		return g.refuseUser(ctx, user, "connector_removed", errs.New(errs.Denied,
			"The connector %s that you signed in with was removed. Choose another way to sign in.", user.ConnectorID))
	}
	if err != nil {
		return nil, err
	}
	person, err := g.refreshIdentity(ctx, row, user)
	switch {
	case err == nil:
	case !errs.Is(err, errs.Denied) && !errs.Is(err, errs.Unauthenticated):
		return g.duringOutage(ctx, user, err)
	default:
		return g.afterRefusal(ctx, user, err)
	}
	if person.Identity.Subject != user.Subject {
		return g.refuseUser(ctx, user, "other_account", errs.Wrap(errs.Denied, connectors.ErrDenied, "%s answered with another account. Sign in again.", row.Name))
	}
	fresh, err := g.cfg.Store.RefreshUser(ctx, user, person, g.cfg.Now())
	if errs.Is(err, errs.Conflict) {
		err = errors.Join(err, g.cfg.Store.KeepUpstreamData(ctx, user, person.Identity.Data))
		return g.refuseUser(ctx, user, reasonNameTaken, errs.Wrap(errs.Denied, err, "Another account already uses the name %s. Ask an admin to rename or remove one of them.", person.KubeName))
	}
	if err != nil {
		return nil, err
	}
	g.recordChange(ctx, user, fresh)
	return fresh, nil
}

// Refresh asks the upstream for the current identity of a user. It does not change the user.
func (g *Registry) Refresh(ctx context.Context, row *store.Connector, user *store.User) (store.ResolvedIdentity, error) {
	return g.refreshIdentity(ctx, row, user)
}

func (g *Registry) refreshIdentity(ctx context.Context, row *store.Connector, user *store.User) (store.ResolvedIdentity, error) {
	opened, err := g.Connector(ctx, row)
	if err != nil {
		return store.ResolvedIdentity{}, err
	}
	last, err := g.cfg.Store.Identity(user)
	if err != nil {
		return store.ResolvedIdentity{}, err
	}
	refresher, ok := opened.(connectors.Refresher)
	if !ok {
		return store.ResolvedIdentity{}, errs.New(errs.Denied, "%s can't confirm your account without a new sign-in. Sign in again.", row.Name)
	}
	began := g.cfg.Now()
	id, err := refresher.Refresh(ctx, last)
	person, err := g.finishCall(ctx, row, "refresh", began, result{id, err})
	if err != nil {
		err = errors.Join(err, g.cfg.Store.KeepUpstreamData(context.WithoutCancel(ctx), user, id.Data))
	}
	return person, err
}

// afterRefusal decides what a refusal by the upstream revokes. Only a denial revokes the user's sessions and
// tokens.
func (g *Registry) afterRefusal(ctx context.Context, user *store.User, err error) (*store.User, error) {
	e, ok := errors.AsType[*connectors.Error](err)
	if !ok {
		return g.refuseUser(ctx, user, "upstream_denied", err)
	}
	switch e.Outcome {
	case connectors.OutcomeUnconfirmed: // without data to ask with: neither a refusal nor an outage
		if user.Refused != 0 {
			return nil, g.stillRefused(ctx, user, err)
		}
		if g.cfg.RuntimeSettings.Get().WithoutRefresh == runtimesettings.SignInAgain {
			return g.refuseUser(ctx, user, reasonSignInAgain, err)
		}
		return user, nil
	case connectors.OutcomeUnusableIdentity:
		return g.duringOutage(ctx, user, err)
	case connectors.OutcomeSignInAgain:
		return g.refuseUser(ctx, user, reasonSignInAgain, err)
	case connectors.OutcomeDenied, connectors.OutcomeBadCredentials, connectors.OutcomeUnavailable, connectors.OutcomeMisconfigured:
	}
	return g.refuseUser(ctx, user, "upstream_denied", err)
}

// refuseUser records a refusal. A denial of the upstream is stored, so that it counts until the upstream says
// otherwise, even if it is unreachable a moment later. It returns the user if the upstream has confirmed them
// meanwhile.
func (g *Registry) refuseUser(ctx context.Context, user *store.User, reason string, err error) (*store.User, error) {
	if reason != reasonNameTaken && reason != reasonSignInAgain {
		current, refused, fault := g.cfg.Store.RefuseUser(ctx, user, reason, g.cfg.Now())
		if fault != nil {
			return nil, errors.Join(err, fault)
		}
		if !refused {
			return current, nil
		}
	}
	g.cfg.Audit.Record(ctx, audit.Event{
		Name: audit.UpstreamRefused, UserID: user.ID, UserName: user.KubeName, ConnectorID: user.ConnectorID,
		Reason: reason, Detail: err.Error(),
	})
	return nil, err
}

// The reasons of refusals that revoke nothing: the name belongs to another account,
// or the user can cure the refusal with a new sign-in.
const (
	reasonNameTaken   = "name_taken"
	reasonSignInAgain = "sign_in_again"
)

// stillRefused records and returns the refusal of a user whom the upstream refused before and can't be asked about now.
func (g *Registry) stillRefused(ctx context.Context, user *store.User, cause error) error {
	g.cfg.Audit.Record(ctx, audit.Event{
		Name: audit.UpstreamRefused, UserID: user.ID, UserName: user.KubeName, ConnectorID: user.ConnectorID,
		Reason: user.RefusedReason, Detail: "refused before: " + cause.Error(),
	})
	return errs.Wrap(errs.Denied, cause, "%s refused your account (%s), and has not confirmed it since. Sign in again, or ask an admin for help.", user.ConnectorID, user.RefusedReason)
}

func (g *Registry) duringOutage(ctx context.Context, user *store.User, cause error) (*store.User, error) {
	if errors.Is(cause, context.Canceled) {
		return nil, cause
	}
	if user.Refused != 0 {
		return nil, g.stillRefused(ctx, user, cause)
	}
	age := g.cfg.Now().Sub(user.Checked.Time())
	event := audit.Event{
		Name: audit.UpstreamOutage, UserID: user.ID, UserName: user.KubeName, ConnectorID: user.ConnectorID,
		Reason: "rights_kept", Detail: cause.Error(),
	}
	if age > g.cfg.RuntimeSettings.Get().OutageBudget {
		event.Reason = "outage_budget_over"
		g.cfg.Audit.Record(ctx, event)
		return nil, errs.Wrap(errs.Unavailable, cause,
			"%s has not answered for too long, so your account can't be confirmed. Try again when it is back.", user.ConnectorID)
	}
	g.cfg.Audit.Record(ctx, event)
	return user, nil
}

func (g *Registry) recordChange(ctx context.Context, before, after *store.User) {
	if slices.Equal(before.GroupNames, after.GroupNames) && before.KubeName == after.KubeName {
		return
	}
	g.cfg.Audit.Record(ctx, audit.Event{
		Name: audit.UserChanged, UserID: after.ID, UserName: after.KubeName, ConnectorID: after.ConnectorID, Reason: "upstream_changed",
	})
}
