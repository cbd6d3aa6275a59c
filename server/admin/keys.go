package admin

import (
	"context"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

// SigningKeys lists the signing keys with their states.
func (a *Admin) SigningKeys(ctx context.Context, c Caller) ([]keys.Info, error) {
	if err := a.authorize(ctx, c, ReadKeys, "list keys"); err != nil {
		return nil, err
	}
	return a.Keys.List(ctx)
}

// RotateKey activates the next key of an algorithm once every verifier has it. The key manager records the event.
func (a *Admin) RotateKey(ctx context.Context, c Caller, algorithm string) error {
	if err := a.authorize(ctx, c, WriteKeys, "rotate key "+algorithm); err != nil {
		return err
	}
	alg := jose.SignatureAlgorithm(algorithm)
	if !slices.Contains(keys.Algorithms(), alg) {
		return errs.New(errs.Invalid, "Fairlead has no keys for the algorithm %q. Use RS256 or ES256.", algorithm)
	}
	return a.Keys.RotateNow(ctx, alg)
}

// KeyConsequences says which tokens become invalid when a key is revoked.
func (a *Admin) KeyConsequences(ctx context.Context, c Caller, id string) (*keys.RevocationImpact, error) {
	if err := a.authorize(ctx, c, ReadKeys, "read key "+id); err != nil {
		return nil, err
	}
	return a.Keys.RevocationImpact(ctx, id)
}

// RevokeKey revokes a key at once, and with it every token that it signed.
func (a *Admin) RevokeKey(ctx context.Context, c Caller, id, reason string) error {
	if err := a.authorize(ctx, c, WriteKeys, "revoke key "+id); err != nil {
		return err
	}
	if reason == "" {
		return errs.New(errs.Invalid, "The key was not revoked: the reason is missing. Enter a reason for the audit log.")
	}
	return a.Keys.Revoke(ctx, id, c.name()+": "+reason)
}

// Events lists audit events, the newest first.
func (a *Admin) Events(ctx context.Context, c Caller, query store.EventQuery) ([]store.AuditEvent, error) {
	if err := a.authorize(ctx, c, ReadAudit, "list audit events"); err != nil {
		return nil, err
	}
	if query.Limit <= 0 || query.Limit > PageSize {
		query.Limit = PageSize
	}
	return a.Store.FindEvents(ctx, query)
}

// MaxSearched is how many events a page looks through where no index helps. SQLite reads so many in about 50
// milliseconds.
const MaxSearched = 25_000

// SearchEvents is Events for a page: it looks through MaxSearched events at most, and says how far back it
// looked, and the cursor to go on with (store.SearchEvents).
func (a *Admin) SearchEvents(ctx context.Context, c Caller, query store.EventQuery) (rows []store.AuditEvent, until store.Instant, searched string, err error) {
	if err := a.authorize(ctx, c, ReadAudit, "search audit events"); err != nil {
		return nil, 0, "", err
	}
	query.Limit = PageSize
	return a.Store.SearchEvents(ctx, query, MaxSearched)
}

// maxExport bounds the events of an export.
const maxExport = 100_000

// ExportEvents calls fn with the events of a query, the newest first, at most 100,000 of them.
func (a *Admin) ExportEvents(ctx context.Context, c Caller, query store.EventQuery, fn func(*store.AuditEvent) error) error {
	if err := a.authorize(ctx, c, ReadAudit, "export audit events"); err != nil {
		return err
	}
	event := c.event(audit.AdminRead)
	event.Reason = "audit_export"
	a.Audit.Record(ctx, event)
	const batch = 1000
	query.Limit = batch
	for n := 0; n < maxExport; n += batch {
		rows, err := a.Store.FindEvents(ctx, query)
		if err != nil {
			return err
		}
		for i := range rows {
			if err := fn(&rows[i]); err != nil {
				return err
			}
		}
		if len(rows) < batch {
			return nil
		}
		query.After = rows[len(rows)-1].Cursor()
	}
	return nil
}
