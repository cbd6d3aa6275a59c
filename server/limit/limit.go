// Package limit bounds how often passwords can be guessed: for one name from one
// network, for one name in all, and from one network in all. The counters are in
// the database, so that they hold across replicas, and open by themselves.
package limit

import (
	"context"
	"net/netip"
	"time"

	"github.com/fairlead-auth/fairlead/internal/names"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/store"
)

// Window is how long tries count, and so the longest that anybody waits.
const Window = 15 * time.Minute

// How many tries a window has. Guessing one name from everywhere has far fewer
// than a password withstands; a whole office behind one address has enough.
const (
	perNameAndNetwork = 10
	perName           = 100
	perNetwork        = 300
)

// Limiter counts.
type Limiter struct {
	Store *store.Store
	Now   func() time.Time
}

// Attempt is a sign-in with a password.
type Attempt struct{ ConnectorID, Login, Address string }

// Begin counts a try and returns how long to wait when there were too many; zero
// means go on. It counts before the password is checked, so that tries at the
// same moment can't all slip through.
func (l *Limiter) Begin(ctx context.Context, a Attempt) (wait time.Duration, err error) {
	now := l.Now()
	counters, err := l.Store.Try(ctx, a.ids(), now, Window)
	if err != nil {
		return 0, err
	}
	for i, most := range []int{perNameAndNetwork, perName, perNetwork} {
		if counters[i].Tries > most {
			wait = max(wait, counters[i].Expires.Time().Sub(now))
		}
	}
	return wait, nil
}

// Forgive takes the try back: it was not a wrong password.
func (l *Limiter) Forgive(ctx context.Context, a Attempt) error {
	return l.Store.Untry(ctx, a.ids())
}

// ids are hashes: the table is no list of names that somebody typed.
func (a Attempt) ids() []string {
	name, from := a.ConnectorID+"\x00"+names.Key(a.Login), network(a.Address)
	return []string{
		secret.Hash("name and network\x00" + name + "\x00" + from),
		secret.Hash("name\x00" + name),
		secret.Hash("network\x00" + from),
	}
}

// network is the part of an address that one party has: all of an IPv4 address,
// and half of an IPv6 one.
func network(address string) string {
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
