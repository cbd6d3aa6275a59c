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

// doubtTimeout bounds how long a request waits while the server is asked about a person.
const checkTimeout = 3 * time.Second

// doubts is about people whose token is older than the last change of rules: it was good
// when it was issued, and may not be now.
type rechecks struct {
	// changed is when the proxy heard of the change, by the server's clock.
	rulesChanged time.Time
	// asked is who was asked about since; owed is who was let in without, because the
	// server could not be asked.
	checked, pending map[string]bool
	// away says that the server did not answer last.
	serverUnreachable bool
}

// Admit refuses everybody while the feed is stale, where that was chosen. About somebody
// whose token is older than the last change of rules, and who was not known here then, it
// asks the server first; what follows is up to proxy/revocation. While the server is away they
// are let in, and asked about as soon as it is back.
func (f *Feed) CheckAccess(ctx context.Context, id *authn.Identity) *status.Error {
	if refusal := f.CheckFreshness(); refusal != nil {
		return refusal
	}
	if id.Issuer != "" || !f.needsCheck(id) { // of others' people the server knows nothing
		return nil
	}
	_, err, _ := f.checks.Do(id.UID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
		defer cancel()
		return nil, f.checkUsers(ctx, []string{id.UID})
	})
	if err != nil {
		f.setServerUnreachable(true)
		f.cfg.Logger.WarnContext(ctx, "the sign-in server could not be asked about somebody", "error", err, "user_id", id.UID)
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

// patience is how long the server may let us wait for news: not at all when it was away,
// and there may be somebody to ask about.
func (f *Feed) pollWait() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rechecks.serverUnreachable {
		return 0
	}
	return proxyfeed.MaxPollWait
}

// recheck asks what is left after a change of rules, or of somebody's groups.
func (f *Feed) recheck(ctx context.Context, news *proxyfeed.Update) error {
	var people []string
	for _, r := range news.Revocations {
		if r.Kind == proxyfeed.RightsChanged {
			people = append(people, r.Value)
		}
	}
	// Who comes from here on is in doubt, and asked about one by one.
	changed, owed := f.noteUpdate(news)
	people = append(people, owed...)
	if changed {
		people = slices.Concat(people, f.cfg.RecentUsers(), f.cfg.Revocations.UsersWithStreams())
		for _, r := range f.cfg.Revocations.Revocations() {
			if r.Reason == revocation.ReasonNoAccess { // who may use it again is let in again
				people = append(people, r.Value)
			}
		}
	}
	slices.Sort(people)
	return f.checkUsers(ctx, slices.Compact(people))
}

// doubt notes a change of rules, and returns who was let in unasked.
func (f *Feed) noteUpdate(news *proxyfeed.Update) (changed bool, owed []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rechecks.serverUnreachable = false
	if changed = f.version != news.Version; changed {
		f.rechecks.rulesChanged, f.rechecks.checked = news.Now, map[string]bool{}
	}
	for id := range f.rechecks.pending {
		owed = append(owed, id)
	}
	return changed, owed
}

// settle asks the server about people, and does what it says.
func (f *Feed) checkUsers(ctx context.Context, people []string) error {
	for some := range slices.Chunk(people, proxyfeed.MaxUsersPerCheck) {
		f.mu.Lock()
		since := f.rechecks.rulesChanged
		f.mu.Unlock()
		var answer proxyfeed.CheckResponse
		if err := f.call(ctx, http.MethodPost, proxyfeed.CheckPath, proxyfeed.CheckRequest{UserIDs: some}, &answer); err != nil {
			return err
		}
		f.applyCheck(ctx, some, answer)
		f.markChecked(some, since)
	}
	return nil
}

// settled notes who was asked about, unless the rules have changed meanwhile.
func (f *Feed) markChecked(people []string, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.rechecks.rulesChanged.Equal(since) {
		return
	}
	for _, id := range people {
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
		f.cfg.Logger.InfoContext(ctx, "streams ended: rights have changed", "streams", ended, "people", len(denied))
	}
}
