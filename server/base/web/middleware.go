package web

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
)

// Server is what NewEcho needs.
type Server struct {
	Site   *Site
	Logger *slog.Logger
	Now    func() time.Time
	// TrustedProxies are the only addresses whose X-Forwarded-For header the server believes.
	TrustedProxies []netip.Prefix
	// CrossSite are the path prefixes of protocol endpoints. Other sites may post to them, because no cookie
	// authenticates them.
	CrossSite []string
	// CrossSiteRefused, when set, is called for each refused form from another site.
	CrossSiteRefused func(c echo.Context)
	// NetworkOf maps an address to the network that shares a request limit. RequestsPerSecond is that limit on this
	// replica.
	NetworkOf         func(address string) string
	RequestsPerSecond int
	// Observe, when set, is called for each request, for metrics.
	Observe func(method, route string, status int, took time.Duration)
}

// maxBody bounds a request body in bytes.
const maxBody = "1M"

// NewEcho returns a router with the middleware that all routes share.
func NewEcho(cfg Server) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = extractor(cfg.TrustedProxies)
	e.HTTPErrorHandler = cfg.Site.HandleError
	e.Use(identify(cfg), middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisableStackAll: true,
		LogErrorFunc: func(c echo.Context, err error, stack []byte) error {
			cfg.Logger.ErrorContext(c.Request().Context(), "handler panicked", "error", err, "stack", string(stack))
			return err
		},
	}), headers(cfg.Site.Secure()), flood(cfg), deadline(), middleware.BodyLimit(maxBody), crossOrigin(cfg.CrossSite, cfg.CrossSiteRefused))
	return e
}

// extractor returns how to find the client's address. echo's default believes the X-Forwarded-For header of every client.
func extractor(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, prefix := range trusted {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// identify gives each request an id and logs one line about it. The line leaves out the query, which can hold codes
// and states.
func identify(cfg Server) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			began := cfg.Now()
			r := c.Request()
			id := logging.NewRequestID(r.Header.Get("X-Request-Id"))
			c.SetRequest(r.WithContext(logging.WithRequestID(r.Context(), id)))
			c.Response().Header().Set("X-Request-Id", id)
			if err := next(c); err != nil {
				c.Error(err)
			}
			span := trace.SpanFromContext(r.Context())
			span.SetName(r.Method + " " + c.Path())
			span.SetAttributes(attribute.String("http.route", c.Path()), attribute.String("fairlead.request_id", id))
			took := cfg.Now().Sub(began)
			cfg.Logger.InfoContext(c.Request().Context(), "request", "method", r.Method, "route", c.Path(),
				"status", c.Response().Status, "milliseconds", took.Milliseconds(), "address", c.RealIP())
			if cfg.Observe != nil {
				cfg.Observe(r.Method, c.Path(), c.Response().Status, took)
			}
			return nil
		}
	}
}

func headers(secure bool) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			h := c.Response().Header()
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
			// Pages hold data of one user. A handler whose response may be cached sets its own header.
			h.Set("Cache-Control", "no-store")
			if secure {
				h.Set("Strict-Transport-Security", "max-age=31536000")
			}
			return next(c)
		}
	}
}

// burst is the size of a burst, in seconds of the limit. forget is how long the server remembers an idle address.
const (
	burst  = 5
	forget = 3 * time.Minute
)

// flood limits the requests of one network on this replica. Package ratelimit limits guessing more strictly and
// across all replicas.
func flood(cfg Server) echo.MiddlewareFunc {
	if cfg.RequestsPerSecond == 0 || cfg.NetworkOf == nil {
		return func(next echo.HandlerFunc) echo.HandlerFunc { return next }
	}
	return middleware.RateLimiterWithConfig(middleware.RateLimiterConfig{
		Store: middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{
			Rate: rate.Limit(cfg.RequestsPerSecond), Burst: burst * cfg.RequestsPerSecond, ExpiresIn: forget,
		}),
		IdentifierExtractor: func(c echo.Context) (string, error) { return cfg.NetworkOf(c.RealIP()), nil },
		DenyHandler: func(c echo.Context, _ string, _ error) error {
			oauth.RateLimited(oauth.TemporarilyUnavailable, time.Second).Write(c.Response())
			return nil
		},
	})
}

// requestTimeout sets a deadline for each request, so that no request waits for the database for ever.
const requestTimeout = 20 * time.Second

func deadline() echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			ctx, cancel := context.WithTimeout(c.Request().Context(), requestTimeout)
			defer cancel()
			c.SetRequest(c.Request().WithContext(ctx))
			return next(c)
		}
	}
}

// crossOrigin refuses forms that another site submits with the user's cookie (CSRF).
func crossOrigin(exempt []string, refused func(echo.Context)) echo.MiddlewareFunc {
	protection := http.NewCrossOriginProtection()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			for _, path := range exempt {
				if c.Path() == path || strings.HasPrefix(c.Path(), path+"/") {
					return next(c)
				}
			}
			if err := protection.Check(c.Request()); err != nil {
				if refused != nil {
					refused(c)
				}
				return errs.Wrap(errs.Denied, err, "The form came from another site. Open the page here and try again.")
			}
			return next(c)
		}
	}
}
