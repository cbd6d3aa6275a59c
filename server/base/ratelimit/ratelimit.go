// Package ratelimit limits attempts to guess a secret: passwords by name and
// network, user codes, second factors, client secrets and device code requests.
// The counters are in the database, so all replicas share them; they expire by
// themselves.
package ratelimit

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// DefaultWindow is the window when none is set.
const DefaultWindow = 15 * time.Minute

// How many tries a window has. Guessing one name from everywhere has far fewer
// than a password withstands; a whole office behind one address has enough.
const (
	perNameAndNetwork = 10
	perName           = 100
	perNetwork        = 300
	// A user code has 34 bits and lives ten minutes: 30 tries are nothing.
	codesPerUser    = 10
	codesPerNetwork = 30
	// A request for a device code is the one thing that is stored for somebody
	// who has proved nothing, so there is a bound for all together as well.
	requestsPerNetwork = 60
	requestsInTotal    = 5000
	// A client's secret has 256 bits and can't be guessed; this bounds the noise.
	secretsPerNetwork = 100
)

// Limiter counts.
type Limiter struct {
	Store *store.Store
	Now   func() time.Time
	// Window is how long tries count, and so the longest that anybody waits.
	Window time.Duration

	mu sync.Mutex
	// refusedUntil holds, on this replica, until when a counter is over: a flood that
	// goes on costs no more than a look into memory.
	refusedUntil map[string]time.Time
}

// maxRefused bounds the memory of refusals; beyond it all are forgotten, and the
// database says it again.
const maxRefused = 10_000

// Verdict says whether a try may go on.
type Verdict struct {
	// Wait is how long to wait when there were too many; zero means go on.
	Wait time.Duration
	// Repeated says that this was refused before and nothing new has happened: there
	// is no need to record it once more.
	Repeated bool
}

// Counter is one counter and how far it may go in a window. Its id is a hash: the
// table is no list of names that somebody typed.
type Counter struct {
	id    string
	limit int
}

// Password counts a sign-in with a password.
func Password(connectorID, login, address string) []Counter {
	name, from := connectorID+"\x00"+kubenames.Key(login), Network(address)
	return []Counter{
		{secret.Hash("name and network\x00" + name + "\x00" + from), perNameAndNetwork},
		{secret.Hash("name\x00" + name), perName},
		{secret.Hash("network\x00" + from), perNetwork},
	}
}

// KnownBrowser counts a password in a browser where the same name has signed in
// before: what others guess elsewhere does not count there.
func KnownBrowser(id, address string) []Counter {
	return []Counter{
		{secret.Hash("known browser\x00" + id), perNameAndNetwork},
		{secret.Hash("network\x00" + Network(address)), perNetwork},
	}
}

// UserCode counts a user code that somebody typed who is signed in.
func UserCode(userID, address string) []Counter {
	return []Counter{
		{secret.Hash("user code\x00" + userID), codesPerUser},
		{secret.Hash("user code from\x00" + Network(address)), codesPerNetwork},
	}
}

// SecondFactor counts a code that somebody typed who has shown the first factor.
func SecondFactor(userID, address string) []Counter {
	return []Counter{
		{secret.Hash("second factor\x00" + userID), codesPerUser},
		{secret.Hash("second factor from\x00" + Network(address)), codesPerNetwork},
	}
}

// DeviceRequest counts a request for a device code.
func DeviceRequest(address string) []Counter {
	return []Counter{
		{secret.Hash("device request from\x00" + Network(address)), requestsPerNetwork},
		{secret.Hash("device request"), requestsInTotal},
	}
}

// ClientSecret counts a client that could not be authenticated.
func ClientSecret(address string) []Counter {
	return []Counter{{secret.Hash("client secret from\x00" + Network(address)), secretsPerNetwork}}
}

// Passkey counts a passkey that was not right, of somebody whose name is not known. It
// can't be guessed; this bounds the noise.
func Passkey(address string) []Counter {
	return []Counter{{secret.Hash("passkey from\x00" + Network(address)), secretsPerNetwork}}
}

// Enrolment counts an enrolment code that was not good.
func Enrolment(address string) []Counter {
	return []Counter{{secret.Hash("enrolment from\x00" + Network(address)), secretsPerNetwork}}
}

// Attempt counts a try. It counts before anything is checked, so that tries at the
// same moment can't all slip through.
func (l *Limiter) Attempt(ctx context.Context, counts []Counter) (Verdict, error) {
	now := l.Now()
	if wait := l.refusedFor(counts, now); wait > 0 {
		return Verdict{Wait: wait, Repeated: true}, nil
	}
	counters, err := l.Store.AddAttempts(ctx, counterIDs(counts), now, l.Window)
	if err != nil {
		return Verdict{}, err
	}
	var wait time.Duration
	for i, c := range counts {
		if counters[i].Tries > c.limit {
			wait = max(wait, counters[i].Expires.Time().Sub(now))
			l.rememberRefusal(c.id, counters[i].Expires.Time())
		}
	}
	return Verdict{Wait: wait}, nil
}

func (l *Limiter) refusedFor(counts []Counter, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wait time.Duration
	for _, c := range counts {
		wait = max(wait, l.refusedUntil[c.id].Sub(now))
	}
	return wait
}

func (l *Limiter) rememberRefusal(id string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusedUntil == nil || len(l.refusedUntil) >= maxRefused {
		l.refusedUntil = map[string]time.Time{}
	}
	l.refusedUntil[id] = until
}

// Undo takes the try back: it was not a wrong one.
func (l *Limiter) Undo(ctx context.Context, counts []Counter) error {
	return l.Store.RemoveAttempts(ctx, counterIDs(counts))
}

// FirstUse reports whether this is the first time that name is shown until it
// expires. It is how a signed assertion is used up (RFC 7523 section 3).
func (l *Limiter) FirstUse(ctx context.Context, name string, expires time.Time) (bool, error) {
	now := l.Now()
	counters, err := l.Store.AddAttempts(ctx, []string{secret.Hash("once\x00" + name)}, now, expires.Sub(now))
	if err != nil {
		return false, err
	}
	return counters[0].Tries == 1, nil
}

func counterIDs(counts []Counter) []string {
	list := make([]string, len(counts))
	for i, c := range counts {
		list[i] = c.id
	}
	return list
}

// Network is the part of an address that one party has: all of an IPv4 address,
// and half of an IPv6 one.
func Network(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown"
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	const half = 64
	prefix, err := addr.Prefix(half)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}
