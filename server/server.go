// Package server puts the provider together: a list of handlers with their
// dependencies, and nothing else.
package server

import (
	"context"
	"log/slog"
	"net/netip"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/access"
	"github.com/fairlead-auth/fairlead/server/authorize"
	"github.com/fairlead-auth/fairlead/server/clients"
	"github.com/fairlead-auth/fairlead/server/codes"
	"github.com/fairlead-auth/fairlead/server/consent"
	"github.com/fairlead-auth/fairlead/server/discovery"
	"github.com/fairlead-auth/fairlead/server/flow"
	"github.com/fairlead-auth/fairlead/server/issuer"
	"github.com/fairlead-auth/fairlead/server/keys"
	"github.com/fairlead-auth/fairlead/server/limit"
	"github.com/fairlead-auth/fairlead/server/login"
	"github.com/fairlead-auth/fairlead/server/logout"
	"github.com/fairlead-auth/fairlead/server/session"
	"github.com/fairlead-auth/fairlead/server/store"
	"github.com/fairlead-auth/fairlead/server/sweep"
	"github.com/fairlead-auth/fairlead/server/token"
	"github.com/fairlead-auth/fairlead/server/tokeninfo"
	"github.com/fairlead-auth/fairlead/server/upstream"
	"github.com/fairlead-auth/fairlead/server/web"
)

// Config is what the provider needs.
type Config struct {
	// URL is the issuer and the address of the pages, without a trailing slash.
	URL     *url.URL
	Store   *store.Store
	Keyring *secret.Keyring
	Audit   *audit.Log
	Logger  *slog.Logger
	Now     func() time.Time
	// Types are the kinds of connector by name.
	Types map[string]connectors.Type
	// Sessions is how long sign-ins and devices last.
	Sessions session.Policy
	// Grace is how long a used refresh token gives the same answer. Zero means
	// 30 seconds.
	Grace time.Duration
	// UpstreamMaxAge and OutageBudget: see upstream.Config.
	UpstreamMaxAge, OutageBudget time.Duration
	// KeyRotation is how long a key signs. Zero means 30 days.
	KeyRotation time.Duration
	// TrustedProxies may say where requests come from.
	TrustedProxies []netip.Prefix
	// Brand and Demo: see web.Config.
	Brand string
	Demo  bool
	// Observe and Issued, when set, are told about requests and tokens.
	Observe func(method, route string, status int, took time.Duration)
	Issued  func(grant, result string)
}

const defaultGrace = 30 * time.Second

// Server is the provider, ready to be mounted.
type Server struct {
	cfg      Config
	Site     *web.Site
	Sessions *session.Manager
	Access   *access.Policy
	Keys     *keys.Manager
	Bearer   *tokeninfo.Bearer
	clients  *clients.Registry
	upstream *upstream.Registry
	flows    *flow.Sealer
	codes    *codes.Granter
}

// New puts the parts together.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	site, err := web.New(web.Config{URL: cfg.URL, Brand: cfg.Brand, Demo: cfg.Demo, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	signing, err := keys.New(ctx, keys.Config{
		Store: cfg.Store, Audit: cfg.Audit, Logger: cfg.Logger, Now: cfg.Now, RotateEvery: cfg.KeyRotation,
	})
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, Site: site, Keys: signing, Bearer: &tokeninfo.Bearer{Store: cfg.Store, Now: cfg.Now},
		Access:  &access.Policy{Store: cfg.Store, Audit: cfg.Audit},
		clients: clients.NewRegistry(cfg.Store),
		upstream: upstream.New(upstream.Config{
			Store: cfg.Store, Audit: cfg.Audit, Logger: cfg.Logger, Now: cfg.Now, Types: cfg.Types,
			MaxAge: cfg.UpstreamMaxAge, OutageBudget: cfg.OutageBudget,
			CallbackURL: func(id string) string { return login.CallbackURL(site, id) },
		}),
		flows: &flow.Sealer{Keyring: cfg.Keyring, Now: cfg.Now, Secure: site.Secure()},
	}
	s.Sessions = &session.Manager{
		Store: cfg.Store, Audit: cfg.Audit, Now: cfg.Now, Policy: cfg.Sessions.WithDefaults(), Secure: site.Secure(),
	}
	s.codes = &codes.Granter{
		Issuer: &issuer.Issuer{URL: site.Absolute(""), Keys: signing, Store: cfg.Store, Now: cfg.Now}, Audit: cfg.Audit,
	}
	return s, nil
}

// mounter is anything with routes.
type mounter interface{ Mount(g *echo.Group) }

// Echo returns a router with every endpoint of the provider and the group that
// further pages are mounted on.
func (s *Server) Echo(more ...mounter) (*echo.Echo, error) {
	e := web.NewEcho(web.Server{
		Site: s.Site, Logger: s.cfg.Logger, Now: s.cfg.Now, TrustedProxies: s.cfg.TrustedProxies, Observe: s.cfg.Observe,
		CrossSite: []string{
			s.Site.Path(token.Path), s.Site.Path(tokeninfo.UserInfoPath), s.Site.Path(tokeninfo.RevocationPath), s.Site.Path(authorize.Path),
			s.Site.Path(logout.EndSessionPath),
		},
	})
	handlers, err := s.handlers()
	if err != nil {
		return nil, err
	}
	g := e.Group(s.Site.Path(""))
	g.GET("/static/*", echo.WrapHandler(s.Site.Assets()))
	for _, h := range append(handlers, more...) {
		h.Mount(g)
	}
	return e, nil
}

func (s *Server) handlers() ([]mounter, error) {
	c := s.cfg
	metadata, err := discovery.New(discovery.Config{
		Issuer: s.Site.Absolute(""), Grants: token.Grants(), Keys: s.Keys,
		Endpoints: discovery.Endpoints{
			Authorization: s.Site.Absolute(authorize.Path), Token: s.Site.Absolute(token.Path),
			UserInfo: s.Site.Absolute(tokeninfo.UserInfoPath), Revocation: s.Site.Absolute(tokeninfo.RevocationPath),
			EndSession: s.Site.Absolute(logout.EndSessionPath),
		},
	})
	if err != nil {
		return nil, err
	}
	return []mounter{
		metadata,
		&authorize.Handler{
			Clients: s.clients, Sessions: s.Sessions, Access: s.Access, Codes: s.codes, Flows: s.flows, Site: s.Site, Audit: c.Audit, Now: c.Now,
		},
		&login.Handler{
			Store: c.Store, Clients: s.clients, Sessions: s.Sessions, Upstream: s.upstream, Limit: &limit.Limiter{Store: c.Store, Now: c.Now}, Flows: s.flows, Site: s.Site, Audit: c.Audit, Now: c.Now,
		},
		&consent.Handler{
			Clients: s.clients, Sessions: s.Sessions, Access: s.Access, Codes: s.codes, Flows: s.flows, Site: s.Site, Audit: c.Audit, Now: c.Now,
		},
		&logout.Handler{Sessions: s.Sessions, Clients: s.clients, Keys: s.Keys, Site: s.Site},
		&token.Handler{
			Store: c.Store, Clients: s.clients, Issuer: s.codes.Issuer, Access: s.Access, Upstream: s.upstream, Audit: c.Audit,
			Now: c.Now, Policy: s.Sessions.Policy, Grace: c.Grace, Issued: c.Issued,
		},
		&tokeninfo.Handler{Store: c.Store, Clients: s.clients, Bearer: s.Bearer, Audit: c.Audit, Now: c.Now, Authenticate: token.Authenticate},
	}, nil
}

// Jobs are what must run beside the router until the context ends.
func (s *Server) Jobs() []func(context.Context) error {
	sweeper := &sweep.Sweeper{Store: s.cfg.Store, Logger: s.cfg.Logger, Now: s.cfg.Now}
	return []func(context.Context) error{s.Keys.Run, sweeper.Run}
}
