// Package server assembles the OpenID provider: it creates the handlers with their
// dependencies and mounts them on a router.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/adminapi"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/latency"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/sweep"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/fleet/proxyapi"
	"github.com/fairlead-auth/fairlead/server/fleet/recordings"
	"github.com/fairlead-auth/fairlead/server/oidc/authcode"
	"github.com/fairlead-auth/fairlead/server/oidc/authorize"
	"github.com/fairlead-auth/fairlead/server/oidc/authresponse"
	"github.com/fairlead-auth/fairlead/server/oidc/backchannel"
	"github.com/fairlead-auth/fairlead/server/oidc/clientauth"
	"github.com/fairlead-auth/fairlead/server/oidc/consent"
	"github.com/fairlead-auth/fairlead/server/oidc/device"
	"github.com/fairlead-auth/fairlead/server/oidc/discovery"
	"github.com/fairlead-auth/fairlead/server/oidc/logout"
	"github.com/fairlead-auth/fairlead/server/oidc/token"
	"github.com/fairlead-auth/fairlead/server/oidc/tokenfile"
	"github.com/fairlead-auth/fairlead/server/oidc/tokeninfo"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/policy/workload"
	"github.com/fairlead-auth/fairlead/server/signin/login"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signin/setupcode"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
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
	// RuntimeSettings are the settings that admins can change while the server runs. Nil means the defaults.
	RuntimeSettings *runtimesettings.Settings
	// KeyRotation is how long a signing key is used before the next one replaces it. Zero means 30 days.
	KeyRotation time.Duration
	// KeyTiming replaces the production timing of key rotation. Only tests set it.
	KeyTiming keys.Timing
	// PasswordWindow is how long failed password attempts count. Zero means 15 minutes.
	PasswordWindow time.Duration
	// RequestsPerSecond is the request limit for one network address on one replica. A burst may be five times as
	// large. Zero means 100.
	RequestsPerSecond int
	// TrustedProxies are the reverse proxies whose X-Forwarded-For header the server believes.
	TrustedProxies []netip.Prefix
	// RecordingRetention is how long recordings of shells are kept. RecordingBytes is the limit for the recordings
	// of one cluster. Zero means 90 days and 20 GB.
	RecordingRetention time.Duration
	RecordingMaxBytes  int64
	// Demo: see web.Config.
	Demo bool
	// ObserveRequest and Issued, when set, are called for each request and each issued token.
	ObserveRequest func(method, route string, status int, took time.Duration)
	ObserveToken   func(grant, result string)
	// ObserveUpstream and Transport: see upstream.Config.
	ObserveUpstream func(connector, operation string, took time.Duration, up bool)
	Transport       http.RoundTripper
	// Hasher hashes the passwords of recovery accounts and local users.
	Hasher *password.Hasher
	// SetupCodes enables the setup codes with which a user signs in another computer.
	SetupCodes bool
	// ReadOnly: see admin.Config.
	ReadOnly bool
}

const (
	defaultRequests           = 100
	defaultRecordingRetention = 90 * 24 * time.Hour
	defaultRecordingMaxBytes  = 20 << 30
)

func (c *Config) setDefaults() {
	if c.RuntimeSettings == nil {
		c.RuntimeSettings = runtimesettings.New(runtimesettings.Values{})
	}
	if c.PasswordWindow == 0 {
		c.PasswordWindow = ratelimit.DefaultWindow
	}
	if c.RequestsPerSecond == 0 {
		c.RequestsPerSecond = defaultRequests
	}
	if c.RecordingRetention == 0 {
		c.RecordingRetention = defaultRecordingRetention
	}
	if c.RecordingMaxBytes == 0 {
		c.RecordingMaxBytes = defaultRecordingMaxBytes
	}
	if c.Hasher == nil {
		c.Hasher = password.NewHasher()
	}
}

// Server is the provider, ready to be mounted.
type Server struct {
	cfg      Config
	Site     *web.Site
	Sessions *session.Manager
	Access   *access.Policy
	Keys     *keys.Manager
	Bearer   *tokeninfo.Bearer
	Admin    *admin.Admin
	Login    *login.Handler
	// Passkeys is nil when the address of the site cannot have passkeys.
	Passkeys *mfa.Passkeys
	clients  *clients.Registry
	upstream *upstream.Registry
	// TokenFiles and SetupCodes create token files and setup codes. They are nil when the feature is disabled.
	TokenFiles *tokenfile.Maker
	SetupCodes *setupcode.Maker
	flows      *flow.Sealer
	codes      *authcode.Granter
	auth       *clientauth.Authenticator
	Limit      *ratelimit.Limiter
	responses  *authresponse.Sender
	notifier   *backchannel.Notifier

	recordings *recordings.Archive
	latency    *latency.Recorder
}

// New creates the handlers and connects them.
func New(ctx context.Context, cfg Config) (*Server, error) {
	cfg.setDefaults()
	measured := latency.New(cfg.Store, cfg.Logger, cfg.Now)
	cfg.measure(measured)
	site, err := web.New(web.Config{URL: cfg.URL, RuntimeSettings: cfg.RuntimeSettings, Demo: cfg.Demo, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	signing, err := keys.New(ctx, keys.Config{
		Store: cfg.Store, Audit: cfg.Audit, Logger: cfg.Logger, Now: cfg.Now, RotateEvery: cfg.KeyRotation, Timing: cfg.KeyTiming,
	})
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, Site: site, latency: measured, Keys: signing, Bearer: &tokeninfo.Bearer{Store: cfg.Store, Now: cfg.Now},
		Access:  &access.Policy{Store: cfg.Store, Audit: cfg.Audit},
		clients: clients.NewRegistry(cfg.Store),
		upstream: upstream.New(upstream.Config{
			Store: cfg.Store, Audit: cfg.Audit, Logger: cfg.Logger, Now: cfg.Now, Types: cfg.Types,
			RuntimeSettings: cfg.RuntimeSettings, ObserveCall: cfg.ObserveUpstream, Transport: cfg.Transport,
			CallbackURL: func(id string) string { return login.CallbackURL(site, id) },
		}),
		flows: &flow.Sealer{Keyring: cfg.Keyring, Now: cfg.Now, Secure: site.Secure()},
	}
	s.Sessions = &session.Manager{
		Store: cfg.Store, Audit: cfg.Audit, Now: cfg.Now, RuntimeSettings: cfg.RuntimeSettings, Secure: site.Secure(),
	}
	s.codes = &authcode.Granter{
		Issuer: &issuer.Issuer{URL: site.Absolute(""), Keys: signing, Store: cfg.Store, Now: cfg.Now}, Audit: cfg.Audit,
	}
	s.Limit = &ratelimit.Limiter{Store: cfg.Store, Now: cfg.Now, Window: cfg.PasswordWindow}
	s.auth = &clientauth.Authenticator{
		Clients: s.clients, Store: cfg.Store, Limit: s.Limit, Now: cfg.Now, Audiences: []string{site.Absolute(""), site.Absolute(token.Path)},
	}
	s.TokenFiles = &tokenfile.Maker{Issuer: s.codes.Issuer, Access: s.Access, Upstream: s.upstream, Store: cfg.Store, Audit: cfg.Audit, Now: cfg.Now}
	if cfg.SetupCodes {
		s.SetupCodes = &setupcode.Maker{Store: cfg.Store, Now: cfg.Now}
	}
	s.responses = &authresponse.Sender{Site: site, Issuer: site.Absolute("")}
	s.notifier = backchannel.New(backchannel.Notifier{
		Store: cfg.Store, Clients: s.clients, Issuer: s.codes.Issuer, Audit: cfg.Audit, Logger: cfg.Logger, Now: cfg.Now,
	})
	s.Sessions.OnEnd = s.notifier.Wake
	s.Passkeys = mfa.NewPasskeys(cfg.URL, cfg.RuntimeSettings.Get().Brand)
	s.recordings = &recordings.Archive{Store: cfg.Store, Audit: cfg.Audit, Now: cfg.Now, Retention: cfg.RecordingRetention, MaxBytes: cfg.RecordingMaxBytes}
	s.Admin = admin.New(admin.Config{
		Store: cfg.Store, Audit: cfg.Audit, Logger: cfg.Logger, Now: cfg.Now, Types: cfg.Types, Upstream: s.upstream, Keys: signing, Limit: s.Limit,
		Hasher: cfg.Hasher, URL: site.Absolute(""), RuntimeSettings: cfg.RuntimeSettings, ReadOnly: cfg.ReadOnly, Ended: s.notifier.Wake, Passkeys: s.Passkeys,
		Recordings: s.recordings,
	})
	s.Login = &login.Handler{
		Store: cfg.Store, Clients: s.clients, Sessions: s.Sessions, Upstream: s.upstream, Limit: s.Limit, Flows: s.flows, Site: s.Site, Audit: cfg.Audit, Now: cfg.Now,
		Tests: admin.TestSignIns{Admin: s.Admin}, Passkeys: s.Passkeys,
	}
	return s, nil
}

// mounter is anything with routes.
type mounter interface{ Mount(g *echo.Group) }

// Echo returns a router with every endpoint of the provider, and the group for further pages.
func (s *Server) Echo(more ...mounter) (*echo.Echo, error) {
	e := web.NewEcho(web.Server{
		Site: s.Site, Logger: s.cfg.Logger, Now: s.cfg.Now, TrustedProxies: s.cfg.TrustedProxies, Observe: s.cfg.ObserveRequest,
		CrossSiteRefused: func(c echo.Context) {
			if strings.HasPrefix(c.Path(), s.Site.Path("/admin")) {
				s.Admin.RecordCrossSite(c.Request().Context(), c.RealIP(), c.Request().Method+" "+c.Path())
			}
		},
		NetworkOf: ratelimit.Network, RequestsPerSecond: s.cfg.RequestsPerSecond,
		CrossSite: []string{
			s.Site.Path(token.Path), s.Site.Path(tokeninfo.UserInfoPath), s.Site.Path(tokeninfo.RevocationPath), s.Site.Path(tokeninfo.IntrospectPath),
			s.Site.Path(device.AuthorizationPath), s.Site.Path(authorize.Path), s.Site.Path(logout.EndSessionPath),
			s.Site.Path("/callback"), s.Site.Path(adminapi.Path),
		},
	})
	handlers, err := s.handlers()
	if err != nil {
		return nil, err
	}
	g := e.Group(s.Site.Path(""))
	g.GET("/static/*", echo.WrapHandler(s.Site.Assets()))
	g.GET(web.BrandPath+"*", echo.WrapHandler(s.Site.Brand()))
	g.POST(web.LanguagePath, s.Site.ChooseLanguage)
	for _, h := range append(handlers, more...) {
		h.Mount(g)
	}
	return e, nil
}

func (s *Server) handlers() ([]mounter, error) {
	c := s.cfg
	tokens := &token.Handler{
		Store: c.Store, Auth: s.auth, Issuer: s.codes.Issuer, Access: s.Access, Upstream: s.upstream, Audit: c.Audit,
		Workloads: &workload.Registry{Store: c.Store, Audit: c.Audit, Now: c.Now},
		Now:       c.Now, RuntimeSettings: c.RuntimeSettings, ObserveResult: c.ObserveToken, SetupCodes: c.SetupCodes, ClusterPagePrefix: s.Site.Absolute("/clusters/"),
	}
	metadata, err := discovery.New(discovery.Config{
		Issuer: s.Site.Absolute(""), Grants: tokens.Grants(), Keys: s.Keys,
		Endpoints: discovery.Endpoints{
			Authorization: s.Site.Absolute(authorize.Path), Token: s.Site.Absolute(token.Path),
			UserInfo: s.Site.Absolute(tokeninfo.UserInfoPath), Revocation: s.Site.Absolute(tokeninfo.RevocationPath),
			Introspection: s.Site.Absolute(tokeninfo.IntrospectPath), DeviceAuthorization: s.Site.Absolute(device.AuthorizationPath),
			EndSession: s.Site.Absolute(logout.EndSessionPath),
		},
	})
	if err != nil {
		return nil, err
	}
	return []mounter{
		metadata, tokens,
		&authorize.Handler{
			Clients: s.clients, Sessions: s.Sessions, Upstream: s.upstream, Access: s.Access, Codes: s.codes, Consents: c.Store, Flows: s.flows, Responses: s.responses,
			Site: s.Site, Audit: c.Audit, Now: c.Now,
		},
		s.Login,
		&adminapi.Handler{Admin: s.Admin, URL: s.Site.Absolute("")},
		&consent.Handler{
			Clients: s.clients, Sessions: s.Sessions, Access: s.Access, Codes: s.codes, Flows: s.flows, Responses: s.responses, Store: c.Store,
			Site: s.Site, Audit: c.Audit, Now: c.Now,
		},
		&device.Handler{
			Store: c.Store, Auth: s.auth, Clients: s.clients, Sessions: s.Sessions, Access: s.Access, Limit: s.Limit, Flows: s.flows,
			Site: s.Site, Audit: c.Audit, Now: c.Now,
		},
		&proxyapi.Handler{Store: c.Store, Audit: c.Audit, Limit: s.Limit, Recordings: s.recordings, Now: c.Now, Issuer: s.Site.Absolute("")},
		&logout.Handler{Sessions: s.Sessions, Clients: s.clients, Issuer: s.codes.Issuer, Site: s.Site},
		&tokeninfo.Handler{Store: c.Store, Auth: s.auth, Bearer: s.Bearer, Audit: c.Audit, Now: c.Now, Issuer: s.Site.Absolute("")},
	}, nil
}

// Confirm asks the upstream about the user of a session, unless its last answer is recent. The error's kind is Denied if
// the upstream refuses the user, and Unavailable once the outage budget is used up.
func (s *Server) Confirm(ctx context.Context, current *session.Current) error {
	user, err := s.upstream.RecheckSession(ctx, current.User, current.SignIn)
	if err == nil {
		current.User = user
	}
	return err
}

// CallbackURL is the redirect URI of a connector's upstream.
func (s *Server) CallbackURL(id string) string { return login.CallbackURL(s.Site, id) }

// Notifier tells clients of sign-outs; Jobs runs it.
func (s *Server) Notifier() *backchannel.Notifier { return s.notifier }

// Jobs returns the background jobs. Each must run until the context ends.
func (s *Server) Jobs() []func(context.Context) error {
	sweeper := &sweep.Sweeper{Store: s.cfg.Store, Logger: s.cfg.Logger, Now: s.cfg.Now}
	return []func(context.Context) error{s.Keys.Run, sweeper.Run, s.notifier.Run, s.Admin.Run, s.latency.Run}
}
