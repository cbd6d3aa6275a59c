package upstream

import (
	"context"
	"errors"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// fault is the last error of an upstream, and since when the upstream fails.
type fault struct {
	err   error
	since time.Time
}

// recordFault remembers on this replica whether the last call to an upstream failed.
func (g *Registry) recordFault(id string, err error, down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !down {
		delete(g.faults, id)
		return
	}
	since := g.cfg.Now()
	if old, failing := g.faults[id]; failing {
		since = old.since
	}
	g.faults[id] = fault{err: err, since: since}
}

// Fault returns the current error of a connector on this replica, and since when. It returns nil if the last call
// succeeded, or if there was none.
func (g *Registry) Fault(id string) (since time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.faults[id]
	return f.since, f.err
}

// Explain says why a call to an upstream failed, and what to change.
func (g *Registry) Explain(err error) (cause, remedy string) {
	if e, ok := errors.AsType[*connectors.Error](err); ok && e.Outcome != connectors.OutcomeDenied {
		return e.Error(), e.Remedy
	}
	switch {
	case errors.Is(err, connectors.ErrBadCredentials):
		return "No account has this user name and password.", "Check both. The name is what the user name attribute holds."
	case errors.Is(err, connectors.ErrDenied):
		return "The upstream did not let this account in: " + err.Error() + ".", "Check who may sign in: allowed groups, organizations, domains."
	}
	return probe.Explain(err)
}

// OpenDraft opens a connector with unsaved, unencrypted settings. It does not cache the connector.
func (g *Registry) OpenDraft(ctx context.Context, row *store.Connector) (connectors.Connector, error) {
	cfg, err := g.decode(row.Type, []byte(row.Config))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	opened, err := cfg.Open(ctx, g.env(row.ID))
	if err != nil {
		cause, remedy := g.Explain(err)
		text := cause + " " + remedy
		return nil, errs.Wrap(errs.Unavailable, err, text)
	}
	return opened, nil
}

// CheckDraft tests unsaved, unencrypted settings.
func (g *Registry) CheckDraft(ctx context.Context, row *store.Connector) ([]connectors.Finding, error) {
	cfg, err := g.decode(row.Type, []byte(row.Config))
	if err != nil {
		return nil, err
	}
	checker, ok := cfg.(connectors.Checker)
	if !ok {
		return []connectors.Finding{{Step: "Check the settings", State: connectors.Passed, Detail: "There is nothing to reach."}}, nil
	}
	return checker.Check(ctx, g.env(row.ID)), nil
}

// Fill returns values for fields of a connector's form.
func (g *Registry) Fill(ctx context.Context, id string, f connectors.Filler, text string, stored map[string]any) (map[string]any, error) {
	return f.Fill(ctx, g.env(id), text, stored)
}

// LookupDraft looks up a user with unsaved, unencrypted settings.
func (g *Registry) LookupDraft(ctx context.Context, row *store.Connector, username string) (connectors.Lookup, error) {
	opened, err := g.OpenDraft(ctx, row)
	if err != nil {
		return connectors.Lookup{}, err
	}
	lookuper, ok := opened.(connectors.Lookuper)
	if !ok {
		return connectors.Lookup{}, errs.New(errs.Invalid, "This type of connector can’t look up users. Test it with a sign-in.")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return lookuper.Lookup(ctx, username)
}

// Icon returns the icon of a connector type.
func (g *Registry) Icon(typeName string) string { return g.cfg.Types[typeName].Icon }

// CallbackURL returns the redirect URI of a connector's upstream.
func (g *Registry) CallbackURL(id string) string { return g.cfg.CallbackURL(id) }
