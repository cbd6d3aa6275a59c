package feed

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/revocation"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// checkTimeout bounds how long a request waits for an access check at the server.
const checkTimeout = 3 * time.Second

// rechecks tracks the users whose access has to be checked again since the access rules changed.
type rechecks struct {
	// rulesChanged is the time of the last change of the access rules, by the server's clock.
	rulesChanged time.Time
	// checked holds the users checked since then. Pending holds those who were allowed without a
	// check, because the server was unreachable.
	checked, pending map[string]bool
	// serverUnreachable says that the last request to the server failed.
	serverUnreachable bool
}

// CheckAccess refuses requests while the feed is stale, if the cluster fails closed. If the token is older
// than the last change of the access rules, it first checks the user's access at the server; the result
// goes to package revocation. While the server is unreachable, it allows the request and checks the user
// later.
func (f *Feed) CheckAccess(ctx context.Context, id *authn.Identity) *status.Error {
	if refusal := f.CheckFreshness(); refusal != nil {
		return refusal
	}
	if id.Issuer != "" || !f.needsCheck(id) { // the server does not know users of other issuers
		return nil
	}
	_, err, _ := f.checks.Do(id.UID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
		defer cancel()
		return nil, f.checkUsers(ctx, []string{id.UID})
	})
	if err != nil {
		f.setServerUnreachable(true)
		f.cfg.Logger.WarnContext(ctx, "access check at the Fairlead server failed", "error", err, "user_id", id.UID)
	}
	return nil
}

func (f *Feed) needsCheck(id *authn.Identity) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id.Issued.After(f.rechecks.rulesChanged) || f.rechecks.checked[id.UID] {
		return false
	}
	f.rechecks.pending[id.UID] = true
	return !f.rechecks.serverUnreachable
}

func (f *Feed) setServerUnreachable(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rechecks.serverUnreachable = away
}

// pollWait returns how long the server may hold the next poll. It is zero after a failure, so that
// pending users are checked at once.
func (f *Feed) pollWait() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rechecks.serverUnreachable {
		return 0
	}
	return proxyfeed.MaxPollWait
}

// recheck checks the access of users after their groups or the access rules have changed.
func (f *Feed) recheck(ctx context.Context, update *proxyfeed.Update) error {
	var userIDs []string
	for _, r := range update.Revocations {
		if r.Kind == proxyfeed.RightsChanged {
			userIDs = append(userIDs, r.Value)
		}
	}
	// From now on, users with older tokens are checked when they send a request.
	changed, pending := f.noteUpdate(update)
	userIDs = append(userIDs, pending...)
	if changed {
		userIDs = slices.Concat(userIDs, f.cfg.RecentUsers(), f.cfg.Revocations.UsersWithStreams())
		for _, r := range f.cfg.Revocations.Revocations() {
			if r.Reason == revocation.ReasonNoAccess { // the user may have access again
				userIDs = append(userIDs, r.Value)
			}
		}
	}
	slices.Sort(userIDs)
	return f.checkUsers(ctx, slices.Compact(userIDs))
}

// noteUpdate records a change of the access rules, and returns the pending users.
func (f *Feed) noteUpdate(update *proxyfeed.Update) (changed bool, pending []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rechecks.serverUnreachable = false
	if changed = f.version != update.Version; changed {
		f.rechecks.rulesChanged, f.rechecks.checked = update.Now, map[string]bool{}
	}
	for id := range f.rechecks.pending {
		pending = append(pending, id)
	}
	return changed, pending
}

// checkUsers checks the access of users at the server and applies the result.
func (f *Feed) checkUsers(ctx context.Context, userIDs []string) error {
	for chunk := range slices.Chunk(userIDs, proxyfeed.MaxUsersPerCheck) {
		f.mu.Lock()
		since := f.rechecks.rulesChanged
		f.mu.Unlock()
		var answer proxyfeed.CheckResponse
		if err := f.call(ctx, http.MethodPost, proxyfeed.CheckPath, proxyfeed.CheckRequest{UserIDs: chunk}, &answer); err != nil {
			return err
		}
		f.applyCheck(ctx, chunk, answer)
		f.markChecked(chunk, since)
	}
	return nil
}

// markChecked records checked users, unless the rules have changed again since then.
func (f *Feed) markChecked(userIDs []string, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.rechecks.rulesChanged.Equal(since) {
		return
	}
	for _, id := range userIDs {
		f.rechecks.checked[id] = true
		delete(f.rechecks.pending, id)
	}
}

func (f *Feed) applyCheck(ctx context.Context, asked []string, answer proxyfeed.CheckResponse) {
	var denied []revocation.Revocation
	for _, id := range asked {
		if slices.Contains(answer.DeniedUserIDs, id) {
			denied = append(denied, revocation.Revocation{Kind: revocation.User, Value: id, Reason: revocation.ReasonNoAccess, At: answer.Now, Until: answer.Now.Add(noAccessTTL)})
		} else {
			f.cfg.Revocations.RestoreAccess(id, answer.Now)
		}
	}
	if ended := f.cfg.Revocations.Revoke(denied...); ended > 0 {
		f.cfg.Logger.InfoContext(ctx, "streams ended by a change of access rules", "streams", ended, "users", len(denied))
	}
}
