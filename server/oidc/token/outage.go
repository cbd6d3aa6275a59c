package token

import (
	"errors"
	"sync"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// databaseOutage remembers when the database last failed. A refresh may have been stored just before, and its
// response lost. A client that retries when the database is back is then not a thief.
type databaseOutage struct {
	mu           sync.Mutex
	began, ended time.Time
	active       bool
}

// record notes whether a request failed because of the database.
func (o *databaseOutage) record(err error, now time.Time) {
	out := errors.Is(err, store.ErrOutage)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case out && !o.active:
		o.active, o.began = true, now
	case !out && err == nil && o.active:
		o.active, o.ended = false, now
	}
}

// inGrace reports whether a used token may still get the same response: during the grace period, and as long again
// after an outage that began within it.
func (o *databaseOutage) inGrace(used, now time.Time, grace time.Duration) bool {
	if now.Sub(used) <= grace {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began.IsZero() || o.began.After(used.Add(grace)) {
		return false
	}
	if o.active {
		return true
	}
	return !used.After(o.ended) && now.Sub(o.ended) <= grace
}
