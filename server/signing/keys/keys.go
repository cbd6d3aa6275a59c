// Package keys manages the JWT signing keys: it generates them in the background,
// publishes each before it signs, rotates and retires them. Package issuer decides
// what they sign.
package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// The algorithms. EdDSA is missing because no Kubernetes API server accepts it.
const (
	RS256 = jose.RS256
	ES256 = jose.ES256
)

// Algorithms returns every algorithm, the default first.
func Algorithms() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{RS256, ES256} }

// Timing sets the times of key rotation. Only tests change it.
type Timing struct {
	// CacheAge is how long verifiers may cache the key set. Zero means ten minutes.
	CacheAge time.Duration
	// PublishMargin is added to CacheAge before a new key signs. It covers other replicas, clock differences and
	// slow downloads. Zero means a minute.
	PublishMargin time.Duration
	// KeepRetired is how long a retired key stays published: the longest token lifetime plus clock skew. Zero means
	// 70 minutes.
	KeepRetired time.Duration
	// KeepForHints is how much longer a retired key recognizes ID tokens that applications show as hints: the longest
	// session. It is not published then. Zero means 90 days, the longest session that the settings allow.
	KeepForHints time.Duration
	// PollInterval is how often the stored keys are read. Zero means 5 seconds.
	PollInterval time.Duration
}

func (t Timing) withDefaults() Timing {
	for field, fallback := range map[*time.Duration]time.Duration{
		&t.CacheAge: 10 * time.Minute, &t.PublishMargin: time.Minute, &t.KeepRetired: time.Hour + 10*time.Minute, &t.KeepForHints: 90 * 24 * time.Hour, &t.PollInterval: 5 * time.Second,
	} {
		if *field == 0 {
			*field = fallback
		}
	}
	return t
}

// leaseLife is how long a crashed replica blocks the others from key maintenance.
const (
	leaseName = "signing-keys"
	leaseLife = time.Minute
)

// Config are the parameters of New.
type Config struct {
	Store  *store.Store
	Audit  *audit.Log
	Logger *slog.Logger
	Now    func() time.Time
	// RotateEvery is how long a key signs. Zero means 30 days.
	RotateEvery time.Duration
	Timing      Timing
}

// Manager holds the keys in memory. All replicas agree through the store.
type Manager struct {
	cfg     Config
	holder  string
	current atomic.Pointer[snapshot]
}

const defaultRotateEvery = 30 * 24 * time.Hour

// New reads the stored keys. If there are none, Ready is false until Run has created the first ones.
func New(ctx context.Context, cfg Config) (*Manager, error) {
	if cfg.RotateEvery == 0 {
		cfg.RotateEvery = defaultRotateEvery
	}
	cfg.Timing = cfg.Timing.withDefaults()
	m := &Manager{cfg: cfg, holder: secret.ID("replica")}
	m.current.Store(&snapshot{})
	if err := m.reload(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// Run maintains the keys until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	ticker := time.NewTicker(m.cfg.Timing.PollInterval)
	defer ticker.Stop()
	for {
		if err := m.Maintain(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Logger.ErrorContext(ctx, "maintaining the signing keys failed, retrying", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// CacheAge returns how long verifiers may cache the key set.
func (m *Manager) CacheAge() time.Duration { return m.cfg.Timing.CacheAge }

// Maintain creates, activates and deletes keys according to their age, if this replica gets the lease. Then it
// reads the stored keys. Most calls write nothing.
func (m *Manager) Maintain(ctx context.Context) error {
	idle, err := m.upToDate(ctx)
	if err != nil {
		return err
	}
	if !idle {
		if err := m.maintainAll(ctx); err != nil {
			return err
		}
	}
	return m.reload(ctx)
}

// upToDate reports whether no key needs a change.
func (m *Manager) upToDate(ctx context.Context) (bool, error) {
	for _, alg := range Algorithms() {
		r, err := m.keysOf(ctx, alg)
		if err != nil || r.next == nil || len(r.expired) > 0 || m.rotationDue(r) {
			return false, err
		}
	}
	return true, nil
}

func (m *Manager) maintainAll(ctx context.Context) error {
	held, err := m.acquireLease(ctx)
	if err != nil || !held {
		return err
	}
	for _, alg := range Algorithms() {
		if err := m.maintain(ctx, alg); err != nil {
			return errors.Join(err, m.releaseLease(ctx))
		}
	}
	return m.releaseLease(ctx)
}

// releaseLease lets an operator's command take the lease.
func (m *Manager) releaseLease(ctx context.Context) error {
	return m.cfg.Store.ReleaseLease(ctx, leaseName, m.holder)
}

func (m *Manager) acquireLease(ctx context.Context) (bool, error) {
	now := m.cfg.Now()
	return m.cfg.Store.AcquireLease(ctx, leaseName, m.holder, now, now.Add(leaseLife))
}

// algorithmKeys are the stored keys of one algorithm.
type algorithmKeys struct {
	next, active *store.SigningKey
	// expired are the keys whose last token is of no use any more, not even as a hint.
	expired []*store.SigningKey
}

func (m *Manager) keysOf(ctx context.Context, alg jose.SignatureAlgorithm) (algorithmKeys, error) {
	rows, err := m.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return algorithmKeys{}, err
	}
	var r algorithmKeys
	for i := range rows {
		k := &rows[i]
		switch {
		case k.Algorithm != string(alg):
		case k.State == store.KeyNext:
			r.next = k
		case k.State == store.KeyActive:
			r.active = k
		case k.Retired.Time().Add(m.lifeAfter(k.State)).Before(m.cfg.Now()):
			r.expired = append(r.expired, k)
		}
	}
	return r, nil
}

func (m *Manager) maintain(ctx context.Context, alg jose.SignatureAlgorithm) error {
	r, err := m.keysOf(ctx, alg)
	if err != nil {
		return err
	}
	for _, k := range r.expired {
		if err := m.cfg.Store.DeleteKey(ctx, k.ID); err != nil {
			return err
		}
	}
	if r.next == nil {
		if r.next, err = m.create(ctx, alg); err != nil {
			return err
		}
	}
	if !m.rotationDue(r) {
		return nil
	}
	if err := m.activate(ctx, r); err != nil {
		return err
	}
	_, err = m.create(ctx, alg)
	return err
}

// rotationDue reports whether the next key must take over. The very first key signs at once, because no verifier
// can have cached an older set.
func (m *Manager) rotationDue(r algorithmKeys) bool {
	if r.active == nil {
		return true
	}
	now := m.cfg.Now()
	return r.active.Activated.Time().Add(m.cfg.RotateEvery).Before(now) && m.usableFrom(r.next).Before(now)
}

// usableFrom returns when every verifier has the key, however long it caches the key set.
func (m *Manager) usableFrom(next *store.SigningKey) time.Time {
	return next.Created.Time().Add(m.cfg.Timing.CacheAge + m.cfg.Timing.PublishMargin)
}

func (m *Manager) create(ctx context.Context, alg jose.SignatureAlgorithm) (*store.SigningKey, error) {
	k, err := generateKeyPair(alg)
	if err != nil {
		return nil, err
	}
	row := &store.SigningKey{
		ID: k.id, Algorithm: string(alg), State: store.KeyNext,
		Private: m.cfg.Store.SealKey(k.id, k.pkcs8), Public: string(k.public), Created: store.At(m.cfg.Now()),
	}
	if err := m.cfg.Store.AddKey(ctx, row); err != nil {
		return nil, err
	}
	m.cfg.Audit.Record(ctx, audit.Event{Name: audit.KeyCreated, Detail: string(alg) + " " + k.id})
	return row, nil
}

func (m *Manager) activate(ctx context.Context, r algorithmKeys) error {
	if err := m.cfg.Store.ActivateKey(ctx, r.next, m.cfg.Now()); err != nil {
		return err
	}
	m.cfg.Audit.Record(ctx, audit.Event{Name: audit.KeyActivated, Detail: r.next.Algorithm + " " + r.next.ID})
	if r.active != nil {
		m.cfg.Audit.Record(ctx, audit.Event{Name: audit.KeyRetired, Detail: r.active.Algorithm + " " + r.active.ID})
	}
	return nil
}

// lifeAfter returns how long a key stays stored that no longer signs. A revoked key recognizes no hints.
func (m *Manager) lifeAfter(state store.KeyState) time.Duration {
	if state == store.KeyRevoked {
		return m.cfg.Timing.KeepRetired
	}
	return m.cfg.Timing.KeepRetired + m.cfg.Timing.KeepForHints
}

// hasLeft reports whether a key has left the key set.
func (m *Manager) hasLeft(k *store.SigningKey) bool {
	return k.State == store.KeyRetired && k.Retired.Time().Add(m.cfg.Timing.KeepRetired).Before(m.cfg.Now())
}

func (m *Manager) reload(ctx context.Context) error {
	rows, err := m.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	fresh, err := m.current.Load().update(rows, m.hasLeft, m.cfg.Store.OpenKey)
	if err != nil {
		return fmt.Errorf("loading signing keys: %w", err)
	}
	m.current.Store(fresh)
	return nil
}

// Ready reports whether every algorithm has a signing key.
func (m *Manager) Ready() bool {
	s := m.current.Load()
	for _, alg := range Algorithms() {
		if s.active[alg] == nil {
			return false
		}
	}
	return true
}

// ErrNotReady means that the first keys are still being generated.
var ErrNotReady = errs.New(errs.Unavailable, "The server has just started and is creating its signing keys. Try again in a few seconds.")

// Sign returns payload as a compact JWT.
func (m *Manager) Sign(alg jose.SignatureAlgorithm, payload []byte) (string, error) {
	k := m.current.Load().active[alg]
	if k == nil {
		return "", ErrNotReady
	}
	return serialize(k.signer, payload)
}

// SignWithType returns payload as a compact JWT with this "typ" header.
func (m *Manager) SignWithType(alg jose.SignatureAlgorithm, kind jose.ContentType, payload []byte) (string, error) {
	k := m.current.Load().active[alg]
	if k == nil {
		return "", ErrNotReady
	}
	signer, err := k.newSigner(kind)
	if err != nil {
		return "", err
	}
	return serialize(signer, payload)
}

func serialize(signer jose.Signer, payload []byte) (string, error) {
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return signed.CompactSerialize()
}

// NextRotation returns when the signing key is due to be replaced, for metrics. It returns zero while there is
// none.
func (m *Manager) NextRotation(alg jose.SignatureAlgorithm) time.Time {
	k := m.current.Load().active[alg]
	if k == nil {
		return time.Time{}
	}
	return k.activated.Add(m.cfg.RotateEvery)
}

// ErrSignature is the error for a token that no key of this server has signed.
var ErrSignature = errors.New("not signed by this server")

// Verify returns the payload of a JWT that a key of this server signed, even if that key has left the key set. It
// ignores the expiry. A revoked key verifies nothing. The error is ErrSignature.
func (m *Manager) Verify(token string) ([]byte, error) {
	parsed, err := jose.ParseSignedCompact(token, Algorithms())
	if err != nil || len(parsed.Signatures) != 1 {
		return nil, ErrSignature
	}
	head := parsed.Signatures[0].Header
	k := m.current.Load().known[head.KeyID]
	if k == nil || head.Algorithm != string(k.alg) {
		return nil, ErrSignature
	}
	payload, err := parsed.Verify(k.verifier)
	if err != nil {
		return nil, ErrSignature
	}
	return payload, nil
}

// KeySet returns the key set as JSON and its entity tag, from memory.
func (m *Manager) KeySet() (body []byte, etag string) {
	s := m.current.Load()
	return s.jwks, s.etag
}
