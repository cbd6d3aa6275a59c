// Package portal assembles the pages for signed-in users: clusters, account, help and administration. Package
// server is the provider that they sign in to.
package portal

import (
	"context"
	"log/slog"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/portal/account"
	"github.com/fairlead-auth/fairlead/portal/admin"
	"github.com/fairlead-auth/fairlead/portal/clusters"
	"github.com/fairlead-auth/fairlead/portal/downloads"
	"github.com/fairlead-auth/fairlead/portal/help"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/portal/reachability"
	"github.com/fairlead-auth/fairlead/portal/recovery"
	"github.com/fairlead-auth/fairlead/portal/workloads"
	"github.com/fairlead-auth/fairlead/server"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/templates"
)

// Config has the dependencies of the pages.
type Config struct {
	Server *server.Server
	Store  *store.Store
	Audit  *audit.Log
	Now    func() time.Time
	// ContextPrefix, IssuerCA and Ready: see clusters.Handler.
	ContextPrefix, IssuerCA string
	Ready                   func(ctx context.Context, statusURL string) (ready bool, doing string)
	// Types, Probe and Effective: see admin.Handler. Keyring: see recovery.Handler.
	Types     map[string]connectors.Type
	Probe     func(ctx context.Context, cluster *store.Cluster) admin.Health
	Effective string
	// Plugins is the folder with the plugin files that users download.
	Plugins string
	Logger  *slog.Logger
	Keyring *secret.Keyring
}

// Portal serves the pages.
type Portal struct {
	cfg     Config
	plugins *downloads.List
}

// New returns the pages.
func New(cfg Config) (*Portal, error) {
	plugins, err := downloads.Open(cfg.Plugins, cfg.Server.Site)
	if err != nil {
		return nil, err
	}
	if plugins.Other != "" {
		cfg.Logger.Warn("the kubectl plugins are not of this server's version, so none is offered", "folder", cfg.Plugins, "version", plugins.Other)
	}
	return &Portal{cfg: cfg, plugins: plugins}, nil
}

// Mount adds the routes.
func (p *Portal) Mount(g *echo.Group) {
	c := p.cfg
	guard := &page.Guard{Sessions: c.Server.Sessions, Site: c.Server.Site, IsAdmin: c.Server.Admin.IsAdmin, Confirm: c.Server.Confirm}
	turning := *guard
	turning.Turned = func(c echo.Context) {
		_ = p.cfg.Server.Admin.RefuseUnauthenticated(c.Request().Context(), c.RealIP(), c.Request().Method+" "+c.Path(), nil)
	}
	pages := &admin.Handler{
		Guard: &turning, Admin: c.Server.Admin, Site: c.Server.Site, Types: c.Types, Keyring: c.Keyring, Now: c.Now, IssuerCA: c.IssuerCA, Probe: c.Probe, Effective: c.Effective,
		CallbackURL: c.Server.CallbackURL, Leave: c.Server.Login.StartTest,
	}
	c.Server.Site.Identify = func(c echo.Context) (*templates.Person, []templates.NavGroup) {
		current, err := guard.Current(c)
		if err != nil || current == nil {
			return nil, nil // the error page is shown as to a visitor
		}
		return page.Person(current), pages.Nav(c, current)
	}
	for _, h := range []interface{ Mount(g *echo.Group) }{
		&clusters.Handler{
			Guard: guard, Store: c.Store, Access: c.Server.Access, Bearer: c.Server.Bearer, Site: c.Server.Site, Audit: c.Audit, Now: c.Now,
			ContextPrefix: c.ContextPrefix, IssuerCA: c.IssuerCA, Ready: c.Ready, Plugins: p.plugins,
			TokenFiles: c.Server.TokenFiles, SetupCodes: c.Server.SetupCodes,
			Reach: &reachability.Watcher{Now: c.Now, Look: func(ctx context.Context, cluster *store.Cluster) bool { return c.Probe(ctx, cluster).Reachable }},
		},
		&account.Handler{Guard: guard, Store: c.Store, Clients: clients.NewRegistry(c.Store), Site: c.Server.Site, Audit: c.Audit, Now: c.Now, Keyring: c.Keyring, Limit: c.Server.Limit, Bearer: c.Server.Bearer, Passkeys: c.Server.Passkeys},
		&recovery.Handler{Admin: c.Server.Admin, Sessions: c.Server.Sessions, Site: c.Server.Site, Keyring: c.Keyring, Now: c.Now},
		pages,
		&workloads.Handler{Guard: guard, Access: c.Server.Access, Site: c.Server.Site, ContextPrefix: c.ContextPrefix, Plugins: p.plugins},
		&help.Handler{Sessions: c.Server.Sessions, Site: c.Server.Site, Plugins: p.plugins}, p.plugins,
	} {
		h.Mount(g)
	}
}
