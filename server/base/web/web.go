// Package web renders pages: templates, security headers, request ids, protection against cross-site requests, and
// error pages.
package web

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/brand"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/internal/version"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/static"
	"github.com/fairlead-auth/fairlead/templates"
)

// Site renders pages.
type Site struct {
	url             *url.URL
	runtimeSettings *runtimesettings.Settings
	demo            bool
	set             *templates.Set
	assets          *static.Files
	logger          *slog.Logger

	languages *i18n.Languages

	// Identify, when set, returns the signed-in user of a request and the side navigation, so that error pages show
	// both. It returns nil if no user is signed in.
	Identify func(c echo.Context) (*templates.Person, []templates.NavGroup)
}

// Config are the parameters of New.
type Config struct {
	// URL is the external address, such as https://login.example.com or https://example.com/login. The server never
	// uses the Host header of a request.
	URL *url.URL
	// RuntimeSettings has the name of the installation. Nil means the defaults.
	RuntimeSettings *runtimesettings.Settings
	// Demo shows a banner on every page.
	Demo   bool
	Logger *slog.Logger
}

// New loads the templates and assets.
func New(cfg Config) (*Site, error) {
	if cfg.RuntimeSettings == nil {
		cfg.RuntimeSettings = runtimesettings.New(runtimesettings.Values{})
	}
	languages, err := i18n.Load()
	if err != nil {
		return nil, err
	}
	set, err := templates.Load(languages)
	if err != nil {
		return nil, err
	}
	assets, err := static.New(strings.TrimSuffix(cfg.URL.Path, "/") + "/static")
	if err != nil {
		return nil, err
	}
	return &Site{url: cfg.URL, runtimeSettings: cfg.RuntimeSettings, demo: cfg.Demo, set: set, assets: assets, logger: cfg.Logger, languages: languages}, nil
}

// Path returns the path of a page: "/x" below the path of the site.
func (s *Site) Path(path string) string { return strings.TrimSuffix(s.url.Path, "/") + path }

// Absolute returns the full URL of a page.
func (s *Site) Absolute(path string) string {
	return s.url.Scheme + "://" + s.url.Host + s.Path(path)
}

// RuntimeSettings returns the settings that admins can change while the server runs.
func (s *Site) RuntimeSettings() runtimesettings.Values { return s.runtimeSettings.Get() }

// Host returns the host of the site, with its port if it has one.
func (s *Site) Host() string { return s.url.Host }

// Secure reports whether the site is reached over https.
func (s *Site) Secure() bool { return s.url.Scheme == "https" }

// Assets serves the style sheet, scripts and pictures.
func (s *Site) Assets() http.Handler { return s.assets }

// View holds a page's data and how to send it.
type View[T any] struct {
	Page  templates.Page[T]
	Title i18n.Text
	Data  T
	// Status is the HTTP status. Zero means 200.
	Status int
	// Person is the signed-in user, or nil.
	Person *templates.Person
	// FormOrigin is one more origin to which a form on this page may redirect.
	FormOrigin string
	// Refresh reloads the page after this many seconds.
	Refresh int
	// Nav, Notes, Crumbs and Toast: see templates.Frame.
	Nav    []templates.NavGroup
	Notes  []string
	Crumbs []templates.Link
	Toast  *templates.Toast
}

// Render sends a page. It buffers the page, so that a template error never leaves half a page.
func Render[T any](c echo.Context, s *Site, v View[T]) error {
	frame := s.frame(c, v.Title, v.Person)
	frame.Refresh, frame.Nav, frame.Notes, frame.Crumbs, frame.Toast = v.Refresh, v.Nav, v.Notes, v.Crumbs, v.Toast
	if v.Status >= http.StatusBadRequest && c.Request().URL.RawQuery != "" {
		frame.Here = "" // a refused query may hold a code, so the page does not repeat it
	}
	var body bytes.Buffer
	if err := templates.Render(&body, s.set, v.Page, templates.View[T]{Frame: frame, Data: v.Data}); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", policy(v.FormOrigin))
	if v.Status == 0 {
		v.Status = http.StatusOK
	}
	return c.HTMLBlob(v.Status, body.Bytes())
}

func (s *Site) frame(c echo.Context, title i18n.Text, person *templates.Person) templates.Frame {
	return templates.Frame{
		Language: s.Language(c), Languages: s.languages.Choice(), Here: s.CurrentPath(c.Request()),
		Title: title, Brand: s.runtimeSettings.Get().Brand, Path: s.Path, Asset: s.assets.Path,
		RequestID: logging.RequestID(c.Request().Context()), Person: person, Demo: s.demo, Version: version.String(),
		Logo: s.brandAddress(logoFile), LogoWidth: brand.LogoWidth(s.runtimeSettings.Get().Logo, logoHeight), Style: s.brandAddress(styleFile), Area: area(strings.TrimPrefix(c.Request().URL.Path, s.Path(""))),
	}
}

// area returns the entry of the top bar for a path, or "".
func area(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "", "clusters", "access":
		return "clusters"
	case "account", "admin":
		return first
	case "help", "workloads":
		return "help"
	}
	return ""
}

// policy returns the strictest Content-Security-Policy that the pages work with. The extra origin lets a form
// redirect to a validated redirect URI; Chromium applies form-action to redirects.
func policy(formOrigin string) string {
	action := "'self'"
	if formOrigin != "" && !strings.ContainsAny(formOrigin, " ;,'\"") {
		action += " " + formOrigin
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action " + action +
		"; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// ErrorData is the data of the error page.
type ErrorData struct {
	Code, NextPath              string
	Heading, Message, NextLabel i18n.Text
}

// ErrorPage is the page for a failed request.
func ErrorPage() templates.Page[ErrorData] { return templates.Define[ErrorData]("login/error") }

// Fail sends the error page for err. It logs internal errors, and the page hides their text.
func (s *Site) Fail(c echo.Context, err error) error {
	data, status := s.describe(err)
	if status >= http.StatusInternalServerError {
		s.logger.ErrorContext(c.Request().Context(), "request failed", "path", c.Path(), "error", err)
	}
	view := View[ErrorData]{Page: ErrorPage(), Title: data.Heading, Data: data, Status: status}
	if s.Identify != nil && status < http.StatusInternalServerError && status != http.StatusUnauthorized {
		view.Person, view.Nav = s.identify(c)
	}
	return Render(c, s, view)
}

// identifyWithin bounds the time that an error page waits for the signed-in user.
const identifyWithin = 2 * time.Second

// identify calls Identify with its own context, because the context of the request ends with its handler.
func (s *Site) identify(c echo.Context) (*templates.Person, []templates.NavGroup) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), identifyWithin)
	defer cancel()
	c.SetRequest(c.Request().WithContext(ctx))
	return s.Identify(c)
}

// failure is how the error page shows a kind of error.
type failure struct {
	status        int
	heading, next i18n.Text
}

func failureOf(kind errs.Kind) failure {
	clusters := i18n.T("Go to my clusters")
	switch kind {
	case errs.NotFound:
		return failure{http.StatusNotFound, i18n.T("Page not found"), clusters}
	case errs.Denied:
		return failure{http.StatusForbidden, i18n.T("You don’t have access"), clusters}
	case errs.Unauthenticated:
		return failure{http.StatusUnauthorized, i18n.T("You are not signed in"), i18n.T("Sign in")}
	case errs.Invalid:
		return failure{http.StatusBadRequest, i18n.T("The request failed"), i18n.T("Start again")}
	case errs.Conflict:
		return failure{http.StatusConflict, i18n.T("This conflicts with another change"), clusters}
	case errs.Unavailable:
		return failure{http.StatusServiceUnavailable, i18n.T("Not available right now"), i18n.T("Try again")}
	case errs.Internal:
	}
	return failure{http.StatusInternalServerError, i18n.T("Something went wrong"), clusters}
}

func (s *Site) describe(err error) (ErrorData, int) {
	kind, message := errs.KindOf(err), errs.Text(err)
	if kind == errs.Internal && message.IsZero() {
		message = i18n.T("The server reported an internal error. Try again. If it happens again, give an admin the request id below.")
	}
	f := failureOf(kind)
	return ErrorData{Code: string(kind), Heading: f.heading, Message: message, NextPath: "/", NextLabel: f.next}, f.status
}

// HandleError is the error handler of the router. It is the only place that sends error pages.
func (s *Site) HandleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	var plain *echo.HTTPError
	if e, ok := err.(*echo.HTTPError); ok { //nolint:errorlint // echo returns this type unwrapped
		plain = e
	}
	if plain != nil {
		err = fromHTTP(plain)
	}
	if fault := s.Fail(c, err); fault != nil {
		s.logger.ErrorContext(c.Request().Context(), "error page not shown", "error", fault)
		http.Error(c.Response(), "Something went wrong.", http.StatusInternalServerError)
	}
}

func fromHTTP(e *echo.HTTPError) error {
	switch e.Code {
	case http.StatusNotFound:
		return errs.New(errs.NotFound, "This page does not exist, or you don’t have access to it. Check the address, or ask an admin for access.")
	case http.StatusMethodNotAllowed, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return errs.New(errs.Invalid, "The server can’t read this request. Go back, reload the page and try again.")
	case http.StatusForbidden:
		return errs.New(errs.Denied, "You don’t have permission to do this. Ask an admin for access.")
	}
	return e
}
