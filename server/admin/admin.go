// Package admin is what admins do, without HTTP: each operation checks the right,
// does it, and records it. The pages, the HTTP interface and the command line call
// the same operations.
package admin

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/fleet/recordings"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

// Config is what the operations need.
type Config struct {
	Store    *store.Store
	Audit    *audit.Log
	Logger   *slog.Logger
	Now      func() time.Time
	Types    map[string]connectors.Type
	Upstream *upstream.Registry
	Keys     *keys.Manager
	Limit    *ratelimit.Limiter
	Hasher   *password.Hasher
	// Passkeys is nil when this site can have none.
	Passkeys *mfa.Passkeys
	// URL is this server's address.
	URL string
	// Live is told what changes at once.
	Live *runtimesettings.Settings
	// ReadOnly refuses every change of what is configured: the file alone says it.
	ReadOnly bool
	// Recordings are those of shells that proxies have handed in.
	Recordings *recordings.Archive
	// Ended, when set, is told that sign-ins have ended.
	Ended func()
}

// Admin is the operations.
type Admin struct {
	Config

	mu sync.Mutex
	// fileFault is what is wrong with the configuration file since its last change.
	fileFault string
}

// New returns the operations.
func New(cfg Config) *Admin { return &Admin{Config: cfg} }

// Caller is who asks.
type Caller struct {
	// User is the person; nil for the shell.
	User *store.User
	// SignIn is the browser's session; nil for programs and the shell.
	SignIn *store.SignIn
	// Token is what a program came with.
	Token *store.APIToken
	// Shell is set by the command line: who runs it has the database and the data
	// key in hand anyway.
	Shell   string
	Address string
}

func (c Caller) name() string {
	if c.User != nil {
		return c.User.KubeName
	}
	return c.Shell
}

func (c Caller) event(name audit.Name) audit.Event {
	e := audit.Event{Name: name, UserName: c.name(), Address: c.Address}
	if c.User != nil {
		e.UserID, e.ConnectorID = c.User.ID, c.User.ConnectorID
	}
	if c.SignIn != nil {
		e.SignInID = c.SignIn.ID
	}
	if c.Token != nil {
		e.TokenID = c.Token.ID
	}
	return e
}

// Scope is what a program's token may do. A person in the pages may do all.
type Scope string

// The scopes.
const (
	ReadSettings  Scope = "settings:read"
	WriteSettings Scope = "settings:write"
	ReadPeople    Scope = "people:read"
	WritePeople   Scope = "people:write"
	ReadKeys      Scope = "keys:read"
	WriteKeys     Scope = "keys:write"
	ReadAudit     Scope = "audit:read"
	// WriteTokens makes and ends tokens like it. No token has it.
	WriteTokens Scope = "tokens:write"
)

// Scopes lists those that a token may have.
func Scopes() []Scope {
	return []Scope{ReadSettings, WriteSettings, ReadPeople, WritePeople, ReadKeys, WriteKeys, ReadAudit}
}

// may decides whether the caller may do something, and records it when not. The
// error's kind is Denied, or Unauthenticated when nobody is signed in.
func (a *Admin) may(ctx context.Context, c Caller, scope Scope, what string) error {
	if c.Shell != "" && c.User == nil {
		return nil
	}
	reason, err := a.refusal(ctx, c, scope)
	if err == nil {
		return nil
	}
	a.recordRefusal(ctx, c, reason, what)
	return err
}

// recordRefusal records that something was refused, and why.
func (a *Admin) recordRefusal(ctx context.Context, c Caller, reason, what string) {
	event := c.event(audit.AdminRefused)
	event.Reason, event.Detail = reason, what
	a.Audit.Record(ctx, event)
}

func (a *Admin) refusal(ctx context.Context, c Caller, scope Scope) (string, error) {
	if c.User == nil {
		return "not_signed_in", errs.New(errs.Unauthenticated, "You are not signed in. Sign in as an admin.")
	}
	rules, err := a.Store.Rules(ctx)
	if err != nil {
		return "rules_not_read", err
	}
	if !access.IsAdmin(rules, c.User) {
		return "no_admin_rule", errs.New(errs.Denied, "Only admins can do this, and no admin rule covers %s. Ask an admin to add you to one.", c.User.KubeName)
	}
	if c.Token != nil && !slices.Contains(c.Token.Scopes, string(scope)) {
		return "scope", errs.New(errs.Denied, "The API token does not have the scope %s. Create a token with this scope.", string(scope))
	}
	return "", nil
}

// mayWrite is may for changes of what is configured.
func (a *Admin) mayWrite(ctx context.Context, c Caller, what string) error {
	if err := a.may(ctx, c, WriteSettings, what); err != nil {
		return err
	}
	if !a.ReadOnly {
		return nil
	}
	a.recordRefusal(ctx, c, "read_only", what)
	return errs.New(errs.Denied, "The change was refused: the configuration file manages all settings (ui.readOnly). Change the file instead.")
}

// IsAdmin reports whether a person is an admin: for what pages show.
func (a *Admin) IsAdmin(ctx context.Context, user *store.User) (bool, error) {
	rules, err := a.Store.Rules(ctx)
	if err != nil {
		return false, err
	}
	return access.IsAdmin(rules, user), nil
}

// SetFileFault notes what is wrong with the configuration file; empty when nothing
// is.
func (a *Admin) SetFileFault(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fileFault = text
}

// FileFault returns it.
func (a *Admin) FileFault() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fileFault
}

// Enter lets an admin see the pages. What a page does is decided once more by the
// operation.
func (a *Admin) Enter(ctx context.Context, c Caller, what string) error {
	return a.may(ctx, c, ReadSettings, what)
}

// CertificateEnds lists the certificates of what is configured and when they end.
func (a *Admin) CertificateEnds(ctx context.Context, c Caller) ([]Expiry, error) {
	if err := a.may(ctx, c, ReadSettings, "list certificates"); err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	return a.Expiries(set), nil
}
