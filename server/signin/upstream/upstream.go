// Package upstream opens the configured connectors, signs users in through them and
// rechecks the users later. Package login serves the pages.
package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/singleflight"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Config are the parameters of New.
type Config struct {
	Store  *store.Store
	Audit  *audit.Log
	Logger *slog.Logger
	Now    func() time.Time
	// Types maps the names of connector types to their implementations.
	Types map[string]connectors.Type
	// CallbackURL returns the redirect URI of a connector's upstream.
	CallbackURL func(connectorID string) string
	// RuntimeSettings holds the largest age of an upstream's answer and the outage budget. Nil means the defaults.
	RuntimeSettings *runtimesettings.Settings
	// ObserveCall, when set, is called after each call to a connector, for metrics. A refused user is not a
	// failure.
	ObserveCall func(connector, operation string, took time.Duration, up bool)
	// Transport: see connectors.Env.
	Transport http.RoundTripper
}

const (
	// openTimeout and askTimeout are the deadlines of calls to an upstream.
	openTimeout = 10 * time.Second
	callTimeout = 15 * time.Second
	// reopenAfter is the pause before the next attempt to open a failed connector.
	reopenAfter = 5 * time.Second
)

// Registry opens connectors and caches them.
type Registry struct {
	cfg     Config
	flights singleflight.Group

	mu     sync.Mutex
	opened map[string]*openedConnector
	faults map[string]fault
	// leftOut holds the groups of each connector that clusters must not see.
	// replica is the holder of this process' claims on users.
	replica string
	leftOut map[string][]connectors.LeftOutGroup
}

type openedConnector struct {
	revision  string
	connector connectors.Connector
	err       error
	tried     time.Time
}

// New returns a registry. It opens no connector, so that the server starts even if an upstream is down.
func New(cfg Config) *Registry {
	if cfg.RuntimeSettings == nil {
		cfg.RuntimeSettings = runtimesettings.New(runtimesettings.Values{})
	}
	return &Registry{cfg: cfg, replica: secret.ID("rep"), opened: map[string]*openedConnector{}, faults: map[string]fault{}, leftOut: map[string][]connectors.LeftOutGroup{}}
}

// Connector returns the opened connector of a row.
func (g *Registry) Connector(ctx context.Context, row *store.Connector) (connectors.Connector, error) {
	if !row.Enabled {
		return nil, errs.New(errs.Denied, "Sign-in with %s is switched off. Choose another way to sign in.", row.Name)
	}
	now := g.cfg.Now()
	g.mu.Lock()
	e := g.opened[row.ID]
	g.mu.Unlock()
	if e != nil && e.revision == row.Revision && (e.err == nil || now.Sub(e.tried) < reopenAfter) {
		return e.connector, e.err
	}
	opened, err, _ := g.flights.Do("open\x00"+row.ID+"\x00"+row.Revision, func() (any, error) {
		e := g.open(ctx, row, now)
		g.mu.Lock()
		g.opened[row.ID] = e
		g.mu.Unlock()
		return e.connector, e.err
	})
	return opened, err
}

func (g *Registry) open(ctx context.Context, row *store.Connector, now time.Time) *openedConnector {
	e := &openedConnector{revision: row.Revision, tried: now}
	e.connector, e.err = g.openConnector(context.WithoutCancel(ctx), row)
	if e.err != nil {
		g.cfg.Logger.ErrorContext(ctx, "opening the connector failed, retrying", "connector", row.ID, "error", e.err)
		g.recordFault(row.ID, e.err, true)
		e.err = errs.Wrap(errs.Unavailable, e.err, "Sign-in with %s does not work at the moment. Try again in a minute.", row.Name)
	}
	return e
}

func (g *Registry) openConnector(ctx context.Context, row *store.Connector) (connectors.Connector, error) {
	raw, err := g.cfg.Store.ConnectorConfig(row)
	if err != nil {
		return nil, err
	}
	cfg, err := g.decode(row.Type, raw)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	return cfg.Open(ctx, g.env(row.ID))
}

func (g *Registry) decode(typeName string, raw []byte) (connectors.Config, error) {
	kind, known := g.cfg.Types[typeName]
	if !known {
		return nil, fmt.Errorf("connector type %q is not known", typeName)
	}
	cfg := kind.Config()
	if err := json.Unmarshal(raw, cfg); err != nil {
		return nil, errors.New("decoding connector settings: not readable") // the error could contain a secret
	}
	return cfg, nil
}

func (g *Registry) env(id string) connectors.Env {
	return connectors.Env{
		ID: id, CallbackURL: g.cfg.CallbackURL(id), Now: g.cfg.Now, Logger: g.cfg.Logger, Accounts: g.cfg.Store, Transport: g.cfg.Transport,
		Once: func(ctx context.Context, key string, until time.Time) (bool, error) {
			return g.once(ctx, id+"\x00"+key, until)
		},
	}
}

// once reports whether a key of a connector is used for the first time, on all replicas.
func (g *Registry) once(ctx context.Context, key string, until time.Time) (bool, error) {
	now := g.cfg.Now()
	uses, err := g.cfg.Store.AddAttempts(ctx, []string{secret.Hash("connector\x00" + key)}, now, until.Sub(now))
	if err != nil {
		return false, err
	}
	return uses[0].Tries == 1, nil
}

// Describe returns the document from which an upstream reads our settings.
func (g *Registry) Describe(row *store.Connector) (contentType string, document []byte, err error) {
	missing := errs.New(errs.NotFound, "The connector %s has no metadata. Copy its addresses from its page.", row.ID)
	raw, err := g.cfg.Store.ConnectorConfig(row)
	if err != nil {
		return "", nil, err
	}
	cfg, err := g.decode(row.Type, raw)
	if err != nil {
		return "", nil, err
	}
	describer, ok := cfg.(connectors.Describer)
	if !ok {
		return "", nil, missing
	}
	return describer.Describe(g.env(row.ID))
}

// Login signs a user in with a password.
func (g *Registry) Login(ctx context.Context, row *store.Connector, username, password string) (store.ResolvedIdentity, error) {
	opened, err := g.Connector(ctx, row)
	if err != nil {
		return store.ResolvedIdentity{}, err
	}
	p, ok := opened.(connectors.Passworder)
	if !ok {
		return store.ResolvedIdentity{}, errs.New(errs.Invalid, "%s does not accept passwords. Choose another way to sign in.", row.Name)
	}
	if !enterable(username) {
		return store.ResolvedIdentity{}, refusal(row, connectors.ErrBadCredentials)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	began := g.cfg.Now()
	id, err := p.Login(ctx, username, password)
	return g.finishCall(ctx, row, "login", began, result{id, err})
}

// maxEntered is how many bytes a user name may have that someone enters to sign in.
const maxEntered = 1024

// enterable reports whether an account can have a user name that someone entered. A name
// without one must not reach the upstream or the database: their errors would count as
// a fault of the connector.
func enterable(username string) bool {
	return len(username) <= maxEntered && utf8.ValidString(username) && !strings.ContainsFunc(username, unicode.IsControl)
}

// Callback signs a user in with the upstream's redirect.
func (g *Registry) Callback(r *http.Request, row *store.Connector, kept []byte) (store.ResolvedIdentity, error) {
	opened, err := g.Connector(r.Context(), row)
	if err != nil {
		return store.ResolvedIdentity{}, err
	}
	redirecter, ok := opened.(connectors.Redirecter)
	if !ok {
		return store.ResolvedIdentity{}, errs.New(errs.Invalid, "%s does not sign users in by redirect. Choose another way to sign in.", row.Name)
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	began := g.cfg.Now()
	id, err := redirecter.Callback(ctx, g.cfg.CallbackURL(row.ID), kept, r.WithContext(ctx))
	return g.finishCall(ctx, row, "callback", began, result{id, err})
}

// PostCallback signs a user in with the form that the upstream posted.
func (g *Registry) PostCallback(ctx context.Context, row *store.Connector, kept []byte, posted url.Values) (store.ResolvedIdentity, error) {
	opened, err := g.Connector(ctx, row)
	if err != nil {
		return store.ResolvedIdentity{}, err
	}
	poster, ok := opened.(connectors.Poster)
	if !ok {
		return store.ResolvedIdentity{}, errs.New(errs.Invalid, "%s does not sign users in by form. Choose another way to sign in.", row.Name)
	}
	began := g.cfg.Now()
	id, err := poster.Answer(ctx, kept, posted)
	return g.finishCall(ctx, row, "callback", began, result{id, err})
}

// result is the result of a call to a connector.
type result struct {
	id  connectors.Identity
	err error
}

// finishCall records the result of a call and applies prefixes to the identity.
func (g *Registry) finishCall(ctx context.Context, row *store.Connector, operation string, began time.Time, a result) (store.ResolvedIdentity, error) {
	person, err := g.resolveIdentity(ctx, row, a.id, a.err)
	outcome := connectors.OutcomeOf(a.err)
	failing := a.err != nil && (outcome == connectors.OutcomeUnavailable || outcome == connectors.OutcomeMisconfigured)
	if !connectors.Unverified(a.err) {
		g.recordFault(row.ID, a.err, failing)
	}
	g.recordLeftOut(ctx, row, person.Identity.LeftOut)
	if g.cfg.ObserveCall != nil {
		g.cfg.ObserveCall(row.ID, operation, g.cfg.Now().Sub(began), !failing)
	}
	return person, err
}

// resolveIdentity applies prefixes to the identity and sets the kind of the error.
func (g *Registry) resolveIdentity(ctx context.Context, row *store.Connector, id connectors.Identity, err error) (store.ResolvedIdentity, error) {
	if err != nil {
		return store.ResolvedIdentity{}, refusal(row, err)
	}
	all, err := g.cfg.Store.Connectors(ctx)
	if err != nil {
		return store.ResolvedIdentity{}, err
	}
	name, resolved, err := connectors.ResolveIdentity(id, row.Prefixes(all))
	if err != nil {
		return store.ResolvedIdentity{}, refusal(row, err)
	}
	return store.ResolvedIdentity{ConnectorID: row.ID, KubeName: name, Identity: resolved}, nil
}

// refusal turns an error of a connector into one for the user.
func refusal(row *store.Connector, err error) error {
	switch connectors.OutcomeOf(err) {
	case connectors.OutcomeBadCredentials:
		return errs.Wrap(errs.Unauthenticated, err, "The user name or password is wrong. Try again.")
	case connectors.OutcomeDenied, connectors.OutcomeSignInAgain, connectors.OutcomeUnconfirmed:
		return deniedError(row, err)
	case connectors.OutcomeUnusableIdentity:
		return errs.Wrap(errs.Denied, err, "Fairlead can’t use the account data from %s. %s. Ask an admin to correct the account or the connector.", row.Name, advice(err))
	case connectors.OutcomeMisconfigured:
		return errs.Wrap(errs.Unavailable, err, "%s refuses this server, because the settings of the connector are wrong. Ask an admin to check the connector.", row.Name)
	case connectors.OutcomeUnavailable:
	}
	return errs.Wrap(errs.Unavailable, err, "%s does not answer. Try again in a minute.", row.Name)
}

// deniedError returns the error for a user whom the upstream denies, with the reason if the upstream gives one.
func deniedError(row *store.Connector, err error) error {
	e, ok := errors.AsType[*connectors.Error](err)
	switch {
	case ok && e.Remedy == connectors.SignInAgain:
		return errs.Wrap(errs.Denied, err, "%s requires a new sign-in: your last one there is no longer valid. Sign in again.", row.Name)
	case ok && e.Remedy != "":
		return errs.Wrap(errs.Denied, err, "%s denied access to this account. %s. Sign in again afterwards.", row.Name, advice(err))
	}
	return errs.Wrap(errs.Denied, err, "%s denied access to this account. Ask an admin to allow it.", row.Name)
}

// advice returns what the connector says about an identity that cannot be used, without the last full stop.
func advice(err error) string {
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		return strings.TrimSuffix(strings.TrimSuffix(e.Reason, ".")+". "+e.Remedy, ".")
	}
	return strings.TrimSuffix(err.Error(), ".")
}
