// Package cutoff ends what a person has open at this cluster when the sign-in server
// takes their access away, and refuses their older tokens from then on. It knows
// nothing of how it hears of that.
package revocation

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// Kind says what a revocation ends.
type Kind string

// The kinds of revocation, as the server's feed names them. A sign-in ends what hangs
// on no device: kubectl's tokens hang on one, and outlive the browser's session.
const (
	User   Kind = "user"
	Device Kind = "device"
	SignIn Kind = "sign_in"
)

// Revocation ends everything whose token was issued up to At.
type Revocation struct {
	Kind  Kind      `json:"kind"`
	Value string    `json:"value"`
	At    time.Time `json:"at"`
	// Until is when every token of that time has expired by itself.
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`
}

type subject struct {
	kind  Kind
	value string
}

// Registry holds what is open and what is revoked. It is safe for use by several
// goroutines. The zero value is ready.
type Registry struct {
	// MaxPerPerson is how many streams somebody may have open; zero is no limit.
	MaxStreamsPerUser int

	mu             sync.RWMutex // read at every request, written when access is taken away
	revoked        map[subject]Revocation
	streams        map[*stream]struct{}
	streamsPerUser map[string]int // of open streams, by user name
	activeHandlers int            // streams whose handlers have not returned yet
	idle           chan struct{}  // closed when live comes to zero, once somebody waits
	stopReason     *status.Error  // why nothing may begin any more
}

type stream struct {
	identity *authn.Identity
	cancel   context.CancelCauseFunc
}

// Check refuses an identity whose token was issued before its access was taken away.
func (g *Registry) Check(id *authn.Identity) *status.Error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.check(id)
}

func (g *Registry) check(id *authn.Identity) *status.Error {
	if len(g.revoked) == 0 {
		return nil
	}
	for _, s := range subjectsOf(id) {
		// A token of the same second may be an older one: whole seconds is all it says.
		if r, there := g.revoked[s]; there && !id.Issued.After(r.At) {
			return Refusal(r)
		}
	}
	return nil
}

// subjects are what can be revoked of an identity.
func subjectsOf(id *authn.Identity) []subject {
	if id.Issuer != "" {
		return nil // of others' people nobody hears, and their ids are not ours
	}
	list := []subject{{User, id.UID}}
	if id.Device != "" {
		return append(list, subject{Device, id.Device})
	}
	return append(list, subject{SignIn, id.SignIn})
}

// Refusal says what was taken away, and what to do.
func Refusal(r Revocation) *status.Error {
	switch r.Kind {
	case Device:
		return status.RevokedDevice()
	case SignIn:
		return status.RevokedSignIn()
	case User:
	}
	if r.Reason == ReasonNoAccess {
		return status.NoAccess()
	}
	return status.RevokedUser()
}

// ReasonNoAccess is the reason of a revocation for this cluster alone: no rule lets the
// person use it any more.
const ReasonNoAccess = "no_access"

// Begin registers a stream of an identity. The context that it returns ends, with a
// *status.Error as its cause, when the access is taken away or, when lasts is not zero,
// at that time. The caller calls done when the stream is over.
func (g *Registry) RegisterStream(ctx context.Context, id *authn.Identity, lasts time.Time) (life context.Context, done func(), refusal *status.Error) {
	life, end := context.WithCancelCause(ctx)
	s := &stream{identity: id, cancel: end}
	g.mu.Lock()
	defer g.mu.Unlock()
	// With the lock held: a revocation comes either before, and is seen here, or after,
	// and finds the stream.
	if refusal := g.check(id); refusal != nil {
		end(refusal)
		return nil, nil, refusal
	}
	if g.stopReason != nil {
		end(g.stopReason)
		return nil, nil, g.stopReason
	}
	if g.MaxStreamsPerUser > 0 && g.streamsPerUser[id.User] >= g.MaxStreamsPerUser {
		end(nil)
		return nil, nil, status.TooManyStreams(g.MaxStreamsPerUser)
	}
	if g.streams == nil {
		g.streams, g.streamsPerUser = map[*stream]struct{}{}, map[string]int{}
	}
	g.streams[s] = struct{}{}
	g.streamsPerUser[id.User]++
	g.activeHandlers++
	stop := func() bool { return true }
	if !lasts.IsZero() {
		timer := time.AfterFunc(time.Until(lasts), func() { //nolint:forbidigo // when a token ends is real time
			end(status.StreamExpired())
		})
		stop = timer.Stop
	}
	var once sync.Once
	return life, func() {
		once.Do(func() {
			stop()
			end(nil)
			g.handlerReturned(s)
		})
	}, nil
}

// over is called when a stream's handler returns.
func (g *Registry) handlerReturned(s *stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removeStream(s)
	if g.activeHandlers--; g.activeHandlers == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// Drain waits until every stream has ended by itself or ctx ends. Then it ends those that
// are left, with words, lets none begin any more, and waits for grace until they are gone.
func (g *Registry) Drain(ctx context.Context, grace time.Duration, why *status.Error) {
	select {
	case <-g.allReturned():
	case <-ctx.Done():
	}
	g.mu.Lock()
	g.stopReason = why
	g.mu.Unlock()
	g.EndAllStreams(why)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-g.allReturned():
	case <-timer.C:
	}
}

// gone is closed when no stream is left.
func (g *Registry) allReturned() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.activeHandlers == 0 {
		none := make(chan struct{})
		close(none)
		return none
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	return g.idle
}

func (g *Registry) removeStream(s *stream) {
	if _, there := g.streams[s]; !there {
		return
	}
	delete(g.streams, s)
	if g.streamsPerUser[s.identity.User]--; g.streamsPerUser[s.identity.User] == 0 {
		delete(g.streamsPerUser, s.identity.User)
	}
}

// Revoke takes access away and ends what is open. It returns how many streams that were.
func (g *Registry) Revoke(list ...Revocation) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.revoked == nil {
		g.revoked = map[subject]Revocation{}
	}
	for _, r := range list {
		key := subject{r.Kind, r.Value}
		if old, there := g.revoked[key]; r.Value != "" && (!there || old.At.Before(r.At)) {
			g.revoked[key] = r
		}
	}
	ended := 0
	for s := range g.streams {
		if refusal := g.check(s.identity); refusal != nil {
			s.cancel(refusal)
			g.removeStream(s)
			ended++
		}
	}
	return ended
}

// Lift takes back that a person may not use this cluster: at a time they may again. What
// was said later stays.
func (g *Registry) RestoreAccess(userID string, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := subject{User, userID}
	if r := g.revoked[key]; r.Reason == ReasonNoAccess && !r.At.After(at) {
		delete(g.revoked, key)
	}
}

// EndAll ends every stream for a reason.
func (g *Registry) EndAllStreams(why *status.Error) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	ended := len(g.streams)
	for s := range g.streams {
		s.cancel(why)
	}
	clear(g.streams)
	clear(g.streamsPerUser)
	return ended
}

// Forget drops revocations whose tokens have all expired.
func (g *Registry) RemoveExpired(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.revoked, func(_ subject, r Revocation) bool { return now.After(r.Until) })
}

// Revocations returns what is revoked.
func (g *Registry) Revocations() []Revocation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Values(g.revoked), func(a, b Revocation) int { return a.At.Compare(b.At) })
}

// People returns who has something open, by user id.
func (g *Registry) UsersWithStreams() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	people := map[string]bool{}
	for s := range g.streams {
		if s.identity.Issuer == "" {
			people[s.identity.UID] = true
		}
	}
	return slices.Sorted(maps.Keys(people))
}

// Open returns how many streams are open.
func (g *Registry) OpenStreams() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.streams)
}
