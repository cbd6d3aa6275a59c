// Package revocation ends a user's open streams when the Fairlead server revokes their access, and
// refuses their older tokens. Package feed supplies the revocations.
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

// Kind says what a revocation applies to.
type Kind string

// The kinds of revocation in the server's feed. Ending a sign-in revokes only tokens without a device.
// The tokens of kubectl have a device, and outlive the browser's session.
const (
	User   Kind = "user"
	Device Kind = "device"
	SignIn Kind = "sign_in"
)

// Revocation revokes all tokens of its subject, and those of a user that were issued up to At.
type Revocation struct {
	Kind  Kind      `json:"kind"`
	Value string    `json:"value"`
	At    time.Time `json:"at"`
	// Until is the time when all those tokens have expired.
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`
}

type subject struct {
	kind  Kind
	value string
}

// Registry holds the open streams and the revocations. It is safe for concurrent use. The zero value is
// ready to use.
type Registry struct {
	// MaxStreamsPerUser is the number of streams that a user may have open; zero means no limit.
	MaxStreamsPerUser int

	mu             sync.RWMutex // read for every request, written for a revocation
	revoked        map[subject]Revocation
	streams        map[*stream]struct{}
	streamsPerUser map[string]int // by user name
	activeHandlers int            // streams whose handlers have not returned yet
	idle           chan struct{}  // closed when activeHandlers becomes zero; nil if no caller waits
	stopReason     *status.Error  // refuses new streams once the proxy stops
}

type stream struct {
	identity *authn.Identity
	cancel   context.CancelCauseFunc
}

// Check refuses an identity whose device or sign-in is revoked, or whose token was issued before a revocation of the
// user.
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
		// A user may sign in again, so newer tokens are good. Tokens have whole seconds, so a token of the same second
		// may be older. Devices and sign-ins never come back, so the time of their tokens does not matter.
		if r, there := g.revoked[s]; there && (s.kind != User || !id.Issued.After(r.At)) {
			return Refusal(r)
		}
	}
	return nil
}

// subjectsOf returns the subjects whose revocation affects an identity.
func subjectsOf(id *authn.Identity) []subject {
	if id.Issuer != "" {
		return nil // the Fairlead server does not know users of other issuers
	}
	list := []subject{{User, id.UID}}
	if id.Device != "" {
		return append(list, subject{Device, id.Device})
	}
	return append(list, subject{SignIn, id.SignIn})
}

// Refusal returns the refusal for a revocation.
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

// ReasonNoAccess is the reason of a revocation for this cluster only: no access rule allows the user to
// use it.
const ReasonNoAccess = "no_access"

// RegisterStream registers a stream of an identity. The returned context is cancelled, with a
// *status.Error as its cause, by a revocation or at the time expires, if that is not zero. The caller
// calls done when the stream's handler returns.
func (g *Registry) RegisterStream(ctx context.Context, id *authn.Identity, expires time.Time) (streamCtx context.Context, done func(), refusal *status.Error) {
	streamCtx, cancel := context.WithCancelCause(ctx)
	s := &stream{identity: id, cancel: cancel}
	g.mu.Lock()
	defer g.mu.Unlock()
	// The lock makes sure that a concurrent revocation is either seen by this check or finds the
	// registered stream.
	if refusal := g.check(id); refusal != nil {
		cancel(refusal)
		return nil, nil, refusal
	}
	if g.stopReason != nil {
		cancel(g.stopReason)
		return nil, nil, g.stopReason
	}
	if g.MaxStreamsPerUser > 0 && g.streamsPerUser[id.User] >= g.MaxStreamsPerUser {
		cancel(nil)
		return nil, nil, status.TooManyStreams(g.MaxStreamsPerUser)
	}
	if g.streams == nil {
		g.streams, g.streamsPerUser = map[*stream]struct{}{}, map[string]int{}
	}
	g.streams[s] = struct{}{}
	g.streamsPerUser[id.User]++
	g.activeHandlers++
	stop := func() bool { return true }
	if !expires.IsZero() {
		timer := time.AfterFunc(time.Until(expires), func() { //nolint:forbidigo // tokens expire in real time
			cancel(status.StreamExpired())
		})
		stop = timer.Stop
	}
	var once sync.Once
	return streamCtx, func() {
		once.Do(func() {
			stop()
			cancel(nil)
			g.handlerReturned(s)
		})
	}, nil
}

// handlerReturned is called when a stream's handler returns.
func (g *Registry) handlerReturned(s *stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removeStream(s)
	if g.activeHandlers--; g.activeHandlers == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// Drain waits until all streams have ended or ctx ends. Then it refuses new streams, ends the remaining
// ones with the given reason, and waits up to grace until their handlers have returned.
func (g *Registry) Drain(ctx context.Context, grace time.Duration, reason *status.Error) {
	select {
	case <-g.allReturned():
	case <-ctx.Done():
	}
	g.mu.Lock()
	g.stopReason = reason
	g.mu.Unlock()
	g.EndAllStreams(reason)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-g.allReturned():
	case <-timer.C:
	}
}

// allReturned returns a channel that is closed when no handler is active.
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

// Revoke adds revocations and ends the streams that they affect. It returns the number of these streams.
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

// RestoreAccess removes a revocation with ReasonNoAccess, unless it is newer than at.
func (g *Registry) RestoreAccess(userID string, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := subject{User, userID}
	if r := g.revoked[key]; r.Reason == ReasonNoAccess && !r.At.After(at) {
		delete(g.revoked, key)
	}
}

// EndAllStreams ends all streams with a reason. It returns their number.
func (g *Registry) EndAllStreams(reason *status.Error) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	ended := len(g.streams)
	for s := range g.streams {
		s.cancel(reason)
	}
	clear(g.streams)
	clear(g.streamsPerUser)
	return ended
}

// RemoveExpired removes revocations whose tokens have all expired.
func (g *Registry) RemoveExpired(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.revoked, func(_ subject, r Revocation) bool { return now.After(r.Until) })
}

// Revocations returns the current revocations, the oldest first.
func (g *Registry) Revocations() []Revocation {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Values(g.revoked), func(a, b Revocation) int { return a.At.Compare(b.At) })
}

// UsersWithStreams returns the IDs of users with open streams.
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

// OpenStreams returns the number of open streams.
func (g *Registry) OpenStreams() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.streams)
}
