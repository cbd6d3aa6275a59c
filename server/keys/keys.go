// Package keys holds the signing keys: it makes them in the background,
// publishes each before it signs, signs, and retires. It leaves to
// server/issuer what is signed.
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
	"github.com/fairlead-auth/fairlead/server/store"
)

// The algorithms. EdDSA is not among them: no Kubernetes API server accepts it.
const (
	RS256 = jose.RS256
	ES256 = jose.ES256
)

// Algorithms returns every algorithm, the default first.
func Algorithms() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{RS256, ES256} }

// CacheAge is how long others may keep the published keys.
const CacheAge = 10 * time.Minute

const (
	// publishAhead is how long a key is published before it signs: the cache
	// life and a minute for clocks and slow fetches.
	publishAhead = CacheAge + time.Minute
	// keepRetired is how long a retired key stays published: the longest token
	// life and skew.
	keepRetired = time.Hour + 10*time.Minute
	tick        = 20 * time.Second
	leaseLife   = time.Minute
)

// Config is what a Manager needs.
type Config struct {
	Store  *store.Store
	Audit  *audit.Log
	Logger *slog.Logger
	Now    func() time.Time
	// RotateEvery is how long a key signs. Zero means 30 days.
	RotateEvery time.Duration
}

// Manager holds the keys in memory. All replicas agree through the store.
type Manager struct {
	cfg     Config
	holder  string
	current atomic.Pointer[snapshot]
}

const defaultRotateEvery = 30 * 24 * time.Hour

// New reads the stored keys. With none yet, Ready is false until Run has made
// the first ones.
func New(ctx context.Context, cfg Config) (*Manager, error) {
	if cfg.RotateEvery == 0 {
		cfg.RotateEvery = defaultRotateEvery
	}
	m := &Manager{cfg: cfg, holder: secret.ID("replica")}
	m.current.Store(&snapshot{})
	if err := m.reload(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// Run keeps the keys fresh until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		if err := m.Tend(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Logger.ErrorContext(ctx, "signing keys not tended, will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Tend makes, activates and removes keys as their ages ask for, if this replica
// gets the lease, and then reads what is stored.
func (m *Manager) Tend(ctx context.Context) error {
	now := m.cfg.Now()
	held, err := m.cfg.Store.TakeLease(ctx, "signing-keys", m.holder, now, now.Add(leaseLife))
	if err != nil {
		return err
	}
	if held {
		for _, alg := range Algorithms() {
			if err := m.tend(ctx, alg); err != nil {
				return err
			}
		}
	}
	return m.reload(ctx)
}

func (m *Manager) tend(ctx context.Context, alg jose.SignatureAlgorithm) error {
	rows, err := m.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	var next, active *store.SigningKey
	for i := range rows {
		k := &rows[i]
		switch {
		case k.Algorithm != string(alg):
		case k.State == store.KeyNext:
			next = k
		case k.State == store.KeyActive:
			active = k
		case k.Retired.Time().Add(keepRetired).Before(m.cfg.Now()):
			if err := m.cfg.Store.DeleteKey(ctx, k.ID); err != nil {
				return err
			}
		}
	}
	if next == nil {
		if next, err = m.create(ctx, alg); err != nil {
			return err
		}
	}
	if !m.due(next, active) {
		return nil
	}
	if err := m.activate(ctx, next, active); err != nil {
		return err
	}
	_, err = m.create(ctx, alg)
	return err
}

// due reports whether next must take over. The very first key signs at once:
// nobody can have cached an older set.
func (m *Manager) due(next, active *store.SigningKey) bool {
	if active == nil {
		return true
	}
	now := m.cfg.Now()
	return active.Activated.Time().Add(m.cfg.RotateEvery).Before(now) && next.Created.Time().Add(publishAhead).Before(now)
}

func (m *Manager) create(ctx context.Context, alg jose.SignatureAlgorithm) (*store.SigningKey, error) {
	k, err := generate(alg)
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

func (m *Manager) activate(ctx context.Context, next, active *store.SigningKey) error {
	if err := m.cfg.Store.ActivateKey(ctx, next, m.cfg.Now()); err != nil {
		return err
	}
	m.cfg.Audit.Record(ctx, audit.Event{Name: audit.KeyActivated, Detail: next.Algorithm + " " + next.ID})
	if active != nil {
		m.cfg.Audit.Record(ctx, audit.Event{Name: audit.KeyRetired, Detail: active.Algorithm + " " + active.ID})
	}
	return nil
}

func (m *Manager) reload(ctx context.Context) error {
	rows, err := m.cfg.Store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	fresh, err := m.current.Load().with(rows, m.cfg.Store.OpenKey)
	if err != nil {
		return fmt.Errorf("loading signing keys: %w", err)
	}
	m.current.Store(fresh)
	return nil
}

// Ready reports whether every algorithm has a key that signs.
func (m *Manager) Ready() bool {
	s := m.current.Load()
	for _, alg := range Algorithms() {
		if s.active[alg] == nil {
			return false
		}
	}
	return true
}

// ErrNotReady says that the first keys are still being made.
var ErrNotReady = errs.New(errs.Unavailable, "The server has just started and is making its signing keys. Try again in a few seconds.")

// Sign returns payload as a compact JWT.
func (m *Manager) Sign(alg jose.SignatureAlgorithm, payload []byte) (string, error) {
	k := m.current.Load().active[alg]
	if k == nil {
		return "", ErrNotReady
	}
	signed, err := k.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return signed.CompactSerialize()
}

// ErrSignature says that a token was not signed by one of our published keys.
var ErrSignature = errors.New("not signed by this server")

// Verify returns the payload of a JWT that one of the published keys signed,
// whatever its age. The error is ErrSignature.
func (m *Manager) Verify(token string) ([]byte, error) {
	parsed, err := jose.ParseSignedCompact(token, Algorithms())
	if err != nil || len(parsed.Signatures) != 1 {
		return nil, ErrSignature
	}
	head := parsed.Signatures[0].Header
	k := m.current.Load().published[head.KeyID]
	if k == nil || head.Algorithm != string(k.alg) {
		return nil, ErrSignature
	}
	payload, err := parsed.Verify(k.verifier)
	if err != nil {
		return nil, ErrSignature
	}
	return payload, nil
}

// Published returns the key set as JSON and its entity tag. It needs no
// database.
func (m *Manager) Published() (body []byte, etag string) {
	s := m.current.Load()
	return s.jwks, s.etag
}
