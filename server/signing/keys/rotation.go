package keys

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Info describes a key for operators.
type Info struct {
	ID, Algorithm string
	State         store.KeyState
	Created       time.Time
	// SignsFrom is when the key starts or started to sign. It is zero for a key that never will.
	SignsFrom time.Time
	// PublishedUntil is when the key leaves the key set. It is zero while the key is in use.
	PublishedUntil time.Time
}

// List returns every key, the oldest first, but not those that only recognize hints.
func (m *Manager) List(ctx context.Context) ([]Info, error) {
	rows, err := m.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(row store.SigningKey) bool { return m.hasLeft(&row) })
	list := make([]Info, len(rows))
	for i := range rows {
		row := &rows[i]
		list[i] = Info{ID: row.ID, Algorithm: row.Algorithm, State: row.State, Created: row.Created.Time(), SignsFrom: row.Activated.Time()}
		switch row.State {
		case store.KeyNext:
			list[i].SignsFrom = m.usableFrom(row)
		case store.KeyRetired:
			list[i].PublishedUntil = row.Retired.Time().Add(m.cfg.Timing.KeepRetired)
		case store.KeyRevoked:
			list[i].PublishedUntil = row.Retired.Time()
		case store.KeyActive:
		}
	}
	return list, nil
}

// errBusy means that another replica holds the lease.
var errBusy = errs.New(errs.Unavailable, "Another replica is changing the signing keys. Try again in a minute.")

// RotateNow makes the next key of an algorithm sign. It refuses while verifiers may not have that key yet, and says
// when it will work, so that a rotation never makes a request fail.
func (m *Manager) RotateNow(ctx context.Context, alg jose.SignatureAlgorithm) error {
	return m.withLease(ctx, func() error { return m.rotateNow(ctx, alg) })
}

func (m *Manager) rotateNow(ctx context.Context, alg jose.SignatureAlgorithm) error {
	r, err := m.keysOf(ctx, alg)
	if err != nil {
		return err
	}
	if r.next == nil || r.active == nil {
		return errs.New(errs.Conflict, "There is no next %s key yet: the server creates one seconds after its start. Try again in a minute.", alg)
	}
	if from := m.usableFrom(r.next); m.cfg.Now().Before(from) {
		return errs.New(errs.Conflict, "The next %s key was published at %s: verifiers that cache the older key set would refuse its tokens. Try again after %s.",
			alg, formatUTC(r.next.Created.Time()), formatUTC(from))
	}
	return m.activateNext(ctx, alg, r)
}

// activateNext activates the next key and creates another one.
func (m *Manager) activateNext(ctx context.Context, alg jose.SignatureAlgorithm, r algorithmKeys) error {
	if err := m.activate(ctx, r); err != nil {
		return err
	}
	if _, err := m.create(ctx, alg); err != nil {
		return err
	}
	return m.reload(ctx)
}

// withLease runs fn while it holds the lease, so that no replica changes keys. Replicas hold the lease only for
// moments.
func (m *Manager) withLease(ctx context.Context, fn func() error) error {
	const tries, pause = 20, 100 * time.Millisecond
	for range tries {
		held, err := m.acquireLease(ctx)
		if err != nil {
			return err
		}
		if held {
			return errors.Join(fn(), m.releaseLease(ctx))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause): //nolint:forbidigo // a random pause needs no secure source
		}
	}
	return errBusy
}

// RevocationImpact says which tokens verifiers will refuse after a key is revoked.
type RevocationImpact struct {
	Key Info
	// RefusedUntil is until when verifiers with an old key set may refuse tokens of the revoked key or of its
	// successor.
	RefusedUntil time.Time
	// Clusters and Clients are those whose tokens use the algorithm.
	Clusters, Clients []string
	// SuccessorTooNew reports that the next key must sign before every verifier has it.
	SuccessorTooNew bool
}

// RevocationImpact returns the impact of revoking a key, without revoking it.
func (m *Manager) RevocationImpact(ctx context.Context, id string) (*RevocationImpact, error) {
	list, err := m.List(ctx)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(list, func(k Info) bool { return k.ID == id && k.State != store.KeyRevoked })
	if at < 0 {
		return nil, errs.New(errs.NotFound, "There is no published key %s. Run fairlead keys list to see the keys.", id)
	}
	key := list[at]
	c := &RevocationImpact{Key: key, RefusedUntil: m.cfg.Now().Add(m.cfg.Timing.CacheAge)}
	if key.State != store.KeyActive {
		return c, nil
	}
	c.SuccessorTooNew = slices.ContainsFunc(list, func(k Info) bool {
		return k.Algorithm == key.Algorithm && k.State == store.KeyNext && m.cfg.Now().Before(k.SignsFrom)
	})
	return c, m.addConsumers(ctx, c)
}

// addConsumers lists the clusters and clients whose tokens a key signs.
func (m *Manager) addConsumers(ctx context.Context, c *RevocationImpact) error {
	clusters, err := m.cfg.Store.Clusters(ctx)
	if err != nil {
		return err
	}
	for i := range clusters {
		if algorithmOrDefault(clusters[i].Algorithm) == c.Key.Algorithm {
			c.Clusters = append(c.Clusters, clusters[i].ID)
		}
	}
	clients, err := m.cfg.Store.Clients(ctx)
	if err != nil {
		return err
	}
	for i := range clients {
		if algorithmOrDefault(clients[i].Algorithm) == c.Key.Algorithm {
			c.Clients = append(c.Clients, clients[i].ID)
		}
	}
	return nil
}

func algorithmOrDefault(alg string) string {
	if alg == "" {
		return string(RS256)
	}
	return alg
}

// Revoke removes a key from the key set at once and activates another one. Use it for a key that may be stolen.
// RevocationImpact says what it breaks.
func (m *Manager) Revoke(ctx context.Context, id, reason string) error {
	c, err := m.RevocationImpact(ctx, id)
	if err != nil {
		return err
	}
	return m.withLease(ctx, func() error { return m.revoke(ctx, c.Key, reason) })
}

// revoke revokes a key once another one signs. The key may have begun to sign after it was read, so it looks again.
func (m *Manager) revoke(ctx context.Context, key Info, reason string) error {
	r, err := m.keysOf(ctx, jose.SignatureAlgorithm(key.Algorithm))
	if err != nil {
		return err
	}
	if r.active != nil && r.active.ID == key.ID {
		if err := m.activateNextNow(ctx, jose.SignatureAlgorithm(key.Algorithm)); err != nil {
			return err
		}
	}
	revoked, err := m.cfg.Store.RevokeKey(ctx, key.ID, m.cfg.Now())
	if err != nil {
		return err
	}
	if !revoked {
		return errs.New(errs.Conflict, "The key %s was not revoked: another replica has changed it. Try again.", key.ID)
	}
	m.cfg.Audit.Record(ctx, audit.Event{Name: audit.KeyRevoked, Reason: reason, Detail: key.Algorithm + " " + key.ID})
	return m.reload(ctx)
}

// activateNextNow activates the next key, whatever its age.
func (m *Manager) activateNextNow(ctx context.Context, alg jose.SignatureAlgorithm) error {
	r, err := m.keysOf(ctx, alg)
	if err != nil {
		return err
	}
	if r.next == nil {
		if r.next, err = m.create(ctx, alg); err != nil {
			return err
		}
	}
	return m.activateNext(ctx, alg, r)
}

func formatUTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
