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

// DefaultWindow is the window of a Limiter without one.
const DefaultWindow = 15 * time.Minute

// The limits for passwords in one window. The limit for a name is far below the number of guesses that a password
// withstands. The limit for a network is high enough for an office behind one address.
const (
	perNameAndNetwork = 10
	perName           = 100
	perNetwork        = 300
	// A user code has 34 bits and lives ten minutes, so 30 guesses have no chance.
	codesPerUser    = 10
	codesPerNetwork = 30
	// A device code request is the only unauthenticated request that writes a row to the database, so it also has a
	// global limit.
	requestsPerNetwork = 60
	requestsInTotal    = 5000
	// A client secret has 256 bits and cannot be guessed. The limit keeps failed requests from filling the audit
	// log.
	secretsPerNetwork = 100
)

// Limiter counts attempts and refuses those over the limit.
type Limiter struct {
	Store *store.Store
	Now   func() time.Time
	// Window is how long an attempt counts, and so the longest time that a user waits.
	Window time.Duration

	mu sync.Mutex
	// refusedUntil holds the counters that are over their limit, and until when. A flood of refused attempts then
	// costs this replica no query.
	refusedUntil map[string]time.Time
}

// maxRefused bounds refusedUntil. Beyond it the map is emptied, and the next attempts query the database again.
const maxRefused = 10_000

// Verdict says whether an attempt is allowed.
type Verdict struct {
	// Wait is how long the caller must wait. Zero means that the attempt is allowed.
	Wait time.Duration
	// Repeated reports that an earlier attempt was refused for the same reason, so the refusal need not be recorded
	// again.
	Repeated bool
}

// Counter names a counter and its limit in a window. Its id is a hash, so the table does not reveal the names that
// users typed.
type Counter struct {
	id    string
	limit int
}

// Password returns the counters for a sign-in with a password.
func Password(connectorID, login, address string) []Counter {
	name, from := connectorID+"\x00"+kubenames.Key(login), Network(address)
	return []Counter{
		{secret.Hash("name and network\x00" + name + "\x00" + from), perNameAndNetwork},
		{secret.Hash("name\x00" + name), perName},
		{secret.Hash("network\x00" + from), perNetwork},
	}
}

// KnownBrowser returns the counters for a password in a browser where the same user has signed in before. Attempts
// elsewhere do not count there, so an attacker cannot lock the user out.
func KnownBrowser(id, address string) []Counter {
	return []Counter{
		{secret.Hash("known browser\x00" + id), perNameAndNetwork},
		{secret.Hash("network\x00" + Network(address)), perNetwork},
	}
}

// UserCode returns the counter for user codes that a signed-in user enters.
func UserCode(userID, address string) []Counter {
	return []Counter{
		{secret.Hash("user code\x00" + userID), codesPerUser},
		{secret.Hash("user code from\x00" + Network(address)), codesPerNetwork},
	}
}

// SecondFactor returns the counter for second-factor codes of a user who has passed the first factor.
func SecondFactor(userID, address string) []Counter {
	return []Counter{
		{secret.Hash("second factor\x00" + userID), codesPerUser},
		{secret.Hash("second factor from\x00" + Network(address)), codesPerNetwork},
	}
}

// DeviceRequest returns the counters for device code requests.
func DeviceRequest(address string) []Counter {
	return []Counter{
		{secret.Hash("device request from\x00" + Network(address)), requestsPerNetwork},
		{secret.Hash("device request"), requestsInTotal},
	}
}

// ClientSecret returns the counter for failed client authentication.
func ClientSecret(address string) []Counter {
	return []Counter{{secret.Hash("client secret from\x00" + Network(address)), secretsPerNetwork}}
}

// Passkey returns the counter for failed passkeys without a user name. A passkey cannot be guessed: the limit keeps
// failed attempts from filling the audit log.
func Passkey(address string) []Counter {
	return []Counter{{secret.Hash("passkey from\x00" + Network(address)), secretsPerNetwork}}
}

// Enrolment returns the counter for failed enrolment codes.
func Enrolment(address string) []Counter {
	return []Counter{{secret.Hash("enrolment from\x00" + Network(address)), secretsPerNetwork}}
}

// Attempt counts an attempt and returns the verdict. It counts before the secret is checked, so that concurrent
// attempts cannot all pass.
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

// Undo uncounts an attempt that succeeded.
func (l *Limiter) Undo(ctx context.Context, counts []Counter) error {
	return l.Store.RemoveAttempts(ctx, counterIDs(counts))
}

// FirstUse reports whether this name is used for the first time before it expires. It makes signed assertions
// single-use (RFC 7523 section 3).
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

// Network returns the part of an address that belongs to one party: a whole IPv4 address, or the first half of an
// IPv6 address.
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
