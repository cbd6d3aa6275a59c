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
const doubtTimeout = 3 * time.Second

// doubts is about people whose token is older than the last change of rules: it was good
// when it was issued, and may not be now.
type doubts struct {
	// changed is when the proxy heard of the change, by the server's clock.
	changed time.Time
	// asked is who was asked about since; owed is who was let in without, because the
	// server could not be asked.
	asked, owed map[string]bool
	// away says that the server did not answer last.
	away bool
}

// Admit refuses everybody while the feed is stale, where that was chosen. About somebody
// whose token is older than the last change of rules, and who was not known here then, it
// asks the server first; what follows is up to proxy/revocation. While the server is away they
// are let in, and asked about as soon as it is back.
func (f *Feed) Admit(ctx context.Context, id *authn.Identity) *status.Error {
	if refusal := f.Fresh(); refusal != nil {
		return refusal
	}
	if id.Issuer != "" || !f.mustAsk(id) { // of others' people the server knows nothing
		return nil
	}
	_, err, _ := f.flight.Do(id.UID, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), doubtTimeout)
		defer cancel()
		return nil, f.settle(ctx, []string{id.UID})
	})
	if err != nil {
		f.setAway(true)
		f.cfg.Logger.WarnContext(ctx, "the sign-in server could not be asked about somebody", "error", err, "user_id", id.UID)
	}
	return nil
}

func (f *Feed) mustAsk(id *authn.Identity) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id.Issued.After(f.doubts.changed) || f.doubts.asked[id.UID] {
		return false
	}
	f.doubts.owed[id.UID] = true
	return !f.doubts.away
}

func (f *Feed) setAway(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doubts.away = away
}

// patience is how long the server may let us wait for news: not at all when it was away,
// and there may be somebody to ask about.
func (f *Feed) patience() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.doubts.away {
		return 0
	}
	return proxyfeed.MaxWait
}

// recheck asks what is left after a change of rules, or of somebody's groups.
func (f *Feed) recheck(ctx context.Context, news *proxyfeed.News) error {
	var people []string
	for _, r := range news.Revocations {
		if r.Kind == proxyfeed.Rights {
			people = append(people, r.Value)
		}
	}
	// Who comes from here on is in doubt, and asked about one by one.
	changed, owed := f.doubt(news)
	people = append(people, owed...)
	if changed {
		people = slices.Concat(people, f.cfg.Known(), f.cfg.Cutoff.People())
		for _, r := range f.cfg.Cutoff.Revocations() {
			if r.Reason == revocation.ReasonNoAccess { // who may use it again is let in again
				people = append(people, r.Value)
			}
		}
	}
	slices.Sort(people)
	return f.settle(ctx, slices.Compact(people))
}

// doubt notes a change of rules, and returns who was let in unasked.
func (f *Feed) doubt(news *proxyfeed.News) (changed bool, owed []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doubts.away = false
	if changed = f.version != news.Version; changed {
		f.doubts.changed, f.doubts.asked = news.Now, map[string]bool{}
	}
	for id := range f.doubts.owed {
		owed = append(owed, id)
	}
	return changed, owed
}

// settle asks the server about people, and does what it says.
func (f *Feed) settle(ctx context.Context, people []string) error {
	for some := range slices.Chunk(people, proxyfeed.MaxCheck) {
		f.mu.Lock()
		since := f.doubts.changed
		f.mu.Unlock()
		var answer proxyfeed.Answer
		if err := f.call(ctx, http.MethodPost, proxyfeed.CheckPath, proxyfeed.Question{People: some}, &answer); err != nil {
			return err
		}
		f.apply(ctx, some, answer)
		f.settled(some, since)
	}
	return nil
}

// settled notes who was asked about, unless the rules have changed meanwhile.
func (f *Feed) settled(people []string, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.doubts.changed.Equal(since) {
		return
	}
	for _, id := range people {
		f.doubts.asked[id] = true
		delete(f.doubts.owed, id)
	}
}

func (f *Feed) apply(ctx context.Context, asked []string, answer proxyfeed.Answer) {
	var denied []revocation.Revocation
	for _, id := range asked {
		if slices.Contains(answer.Denied, id) {
			denied = append(denied, revocation.Revocation{Kind: revocation.User, Value: id, Reason: revocation.ReasonNoAccess, At: answer.Now, Until: answer.Now.Add(noAccessLife)})
		} else {
			f.cfg.Cutoff.Lift(id, answer.Now)
		}
	}
	if ended := f.cfg.Cutoff.Revoke(denied...); ended > 0 {
		f.cfg.Logger.InfoContext(ctx, "streams ended: rights have changed", "streams", ended, "people", len(denied))
	}
}
