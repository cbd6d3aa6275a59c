// Package admin implements the operations of administrators, without HTTP. Each operation checks the caller's
// right, makes the change and records an audit event. The admin pages, the JSON API and the command line call the
// same operations.
package admin

import (
	"context"
	"log/slog"
	"slices"
	"strings"
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

// Config are the parameters of New.
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
	// Passkeys is nil if the site cannot have passkeys.
	Passkeys *mfa.Passkeys
	// URL is the external address of this server.
	URL string
	// RuntimeSettings receives changed settings at once.
	RuntimeSettings *runtimesettings.Settings
	// ReadOnly refuses every change of the configuration: only the configuration file changes it.
	ReadOnly bool
	// Recordings stores the recordings of shells.
	Recordings *recordings.Archive
	// Ended, when set, is called after sessions have ended.
	Ended func()
}

// Admin implements the operations.
type Admin struct {
	Config

	mu sync.Mutex
	// fileFault describes the faults that the configuration file has since its last change.
	fileFault string
}

// New returns an Admin.
func New(cfg Config) *Admin { return &Admin{Config: cfg} }

// Caller is the user or program that calls an operation.
type Caller struct {
	// User is the user. It is nil for the command line.
	User *store.User
	// SignIn is the browser session. It is nil for programs and the command line.
	SignIn *store.SignIn
	// Token is the program's API token.
	Token *store.APIToken
	// Shell is the operating system's user of the command line, who has the database and the data key anyway.
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

// Scope is a right of an API token. Admins have all rights in the pages.
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
	// WriteTokens allows creating and revoking API tokens. No token can have it.
	WriteTokens Scope = "tokens:write"
)

// writes reports whether the scope allows changes.
func (s Scope) writes() bool { return strings.HasSuffix(string(s), ":write") }

// Scopes lists the scopes that a token may have.
func Scopes() []Scope {
	return []Scope{ReadSettings, WriteSettings, ReadPeople, WritePeople, ReadKeys, WriteKeys, ReadAudit}
}

// authorize checks the caller's right and records a refusal. The error's kind is Denied, or Unauthenticated if the caller
// is not signed in.
func (a *Admin) authorize(ctx context.Context, c Caller, scope Scope, what string) error {
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

// recordRefusal records a refusal with its reason.
func (a *Admin) recordRefusal(ctx context.Context, c Caller, reason, what string) {
	event := c.event(audit.AdminRefused)
	event.Reason, event.Detail = reason, what
	a.Audit.Record(ctx, event)
}

func (a *Admin) refusal(ctx context.Context, c Caller, scope Scope) (string, error) {
	if c.User == nil {
		return "not_signed_in", errs.New(errs.Unauthenticated, "You are not signed in. Sign in as an admin.")
	}
	if scope.writes() {
		return a.refusalNow(ctx, c, scope)
	}
	rules, err := a.Store.Rules(ctx)
	if err != nil {
		return "rules_not_read", err
	}
	return decide(rules, c, scope)
}

// refusalNow is refusal with the rules and the user of now, for writes. The caller and the cached rules may be from
// before another replica took the right away.
func (a *Admin) refusalNow(ctx context.Context, c Caller, scope Scope) (string, error) {
	catalog, err := a.Store.CurrentCatalog(ctx)
	if err != nil {
		return "rules_not_read", err
	}
	if c.User, err = a.Store.User(ctx, c.User.ID); err != nil {
		return "user_not_read", err
	}
	return decide(catalog.Rules, c, scope)
}

// decide says whether the rules give the caller the right, and if not, why not.
func decide(rules []store.AccessRule, c Caller, scope Scope) (string, error) {
	if !access.IsAdmin(rules, c.User) {
		return "no_admin_rule", errs.New(errs.Denied, "Only admins can do this, and no admin rule covers %s. Ask an admin to add you to one.", c.User.KubeName)
	}
	if c.Token != nil && !slices.Contains(c.Token.Scopes, string(scope)) {
		return "scope", errs.New(errs.Denied, "The API token does not have the scope %s. Create a token with this scope.", string(scope))
	}
	return "", nil
}

// authorizeWrite is like authorize, for changes of the configuration.
func (a *Admin) authorizeWrite(ctx context.Context, c Caller, what string) error {
	if err := a.authorize(ctx, c, WriteSettings, what); err != nil {
		return err
	}
	if !a.ReadOnly {
		return nil
	}
	a.recordRefusal(ctx, c, "read_only", what)
	return errs.New(errs.Denied, "The change was refused: the configuration file manages all settings (ui.readOnly). Change the file instead.")
}

// IsAdmin reports whether a user is an admin. Pages use it; operations check again.
func (a *Admin) IsAdmin(ctx context.Context, user *store.User) (bool, error) {
	rules, err := a.Store.Rules(ctx)
	if err != nil {
		return false, err
	}
	return access.IsAdmin(rules, user), nil
}

// SetFileFault sets the description of the configuration file's faults. Empty means none.
func (a *Admin) SetFileFault(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fileFault = text
}

// FileFault returns the description of the configuration file's faults, or "".
func (a *Admin) FileFault() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fileFault
}

// CheckPageAccess checks the right to open the admin pages. Each operation checks its own right as well.
func (a *Admin) CheckPageAccess(ctx context.Context, c Caller, what string) error {
	return a.authorize(ctx, c, ReadSettings, what)
}

// CertificateEnds lists the configured certificates with their expiry.
func (a *Admin) CertificateEnds(ctx context.Context, c Caller) ([]Expiry, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list certificates"); err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	return a.Expiries(set), nil
}
