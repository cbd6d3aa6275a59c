package web_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

func setup(t *testing.T, trusted ...netip.Prefix) *echo.Echo {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	site, err := web.New(web.Config{URL: &url.URL{Scheme: "https", Host: "login.test", Path: "/base"}, RuntimeSettings: runtimesettings.New(runtimesettings.Values{Brand: "Acme <b>"}), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	e := web.NewEcho(web.Server{Site: site, Logger: logger, Now: time.Now, TrustedProxies: trusted, CrossSite: []string{"/base/token"}})
	e.GET("/kind/:kind", func(c echo.Context) error {
		return errs.New(errs.Kind(c.Param("kind")), "Message <script>for people</script>.")
	})
	e.GET("/inside", func(echo.Context) error { return errors.New("password=hunter2") })
	e.GET("/panic", func(echo.Context) error { panic("password=hunter2") })
	e.GET("/ip", func(c echo.Context) error { return c.String(http.StatusOK, c.RealIP()) })
	ok := func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }
	e.POST("/form", ok)
	e.POST("/base/token", ok)
	return e
}

func do(e *echo.Echo, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func TestErrorsBecomePages(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for path, status := range map[string]int{
		"/kind/not_found": 404, "/kind/denied": 403, "/kind/unauthenticated": 401, "/kind/invalid": 400,
		"/kind/conflict": 409, "/kind/unavailable": 503, "/kind/internal": 500, "/inside": 500, "/panic": 500, "/nowhere": 404,
	} {
		w := do(e, httptest.NewRequest(http.MethodGet, path, nil))
		body := w.Body.String()
		if w.Code != status {
			t.Errorf("%s: status %d, want %d", path, w.Code, status)
		}
		if !strings.Contains(body, "<h1>") || !strings.Contains(body, `class="button"`) || !strings.Contains(body, w.Header().Get("X-Request-Id")) {
			t.Errorf("%s: no heading, next step or request id:\n%s", path, body)
		}
		if strings.Contains(body, "hunter2") || strings.Contains(body, "<script>for") || strings.Contains(body, "Acme <b>") {
			t.Errorf("%s: leaks or does not escape:\n%s", path, body)
		}
	}
}

// TestErrorPagesAskForTheUserInTime ends the request before the error page is written, as a handler that ran into
// its deadline does: the page still finds out who is signed in.
func TestErrorPagesAskForTheUserInTime(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	site, err := web.New(web.Config{URL: &url.URL{Scheme: "https", Host: "login.test"}, RuntimeSettings: runtimesettings.New(runtimesettings.Values{Brand: "Acme"}), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	site.Identify = func(c echo.Context) (*templates.Person, []templates.NavGroup) {
		ctx := c.Request().Context()
		if deadline, bounded := ctx.Deadline(); ctx.Err() != nil || !bounded || time.Until(deadline) > 5*time.Second {
			t.Errorf("the context of the page has the error %v, and the deadline %v", ctx.Err(), deadline)
			return nil, nil
		}
		return &templates.Person{Name: "Jane of the platform"}, nil
	}
	e := web.NewEcho(web.Server{Site: site, Logger: logger, Now: time.Now})
	ctx, cancel := context.WithCancel(t.Context())
	e.GET("/late", func(echo.Context) error {
		cancel()
		return errs.New(errs.NotFound, "There is no such entry.")
	})
	w := do(e, httptest.NewRequestWithContext(ctx, http.MethodGet, "/late", nil))
	if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "Jane of the platform") {
		t.Errorf("status %d:\n%s", w.Code, w.Body)
	}
}

// TestBrand: an installation's own logo and colours are on every page, may be kept as
// long as they stay the same, and can do nothing.
func TestBrand(t *testing.T) {
	t.Parallel()
	const logo = `<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>`
	look := runtimesettings.New(runtimesettings.Values{Brand: "Acme", Logo: logo, Color: "#7a1fa2"})
	site, err := web.New(web.Config{URL: &url.URL{Scheme: "https", Host: "login.test", Path: "/base"}, RuntimeSettings: look, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	e := web.NewEcho(web.Server{Site: site, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	e.GET("/base/brand/*", echo.WrapHandler(site.Brand()))
	page := do(e, httptest.NewRequest(http.MethodGet, "/nowhere", nil)).Body.String()
	addresses := regexp.MustCompile(`/base/brand/[0-9a-f]+/(logo\.svg|style\.css)`).FindAllString(page, -1)
	if len(addresses) != 2 {
		t.Fatalf("the page has %q:\n%s", addresses, page)
	}
	for i, want := range []string{"--accent: light-dark(#7a1fa2, #5cc8de)", logo} {
		w := do(e, httptest.NewRequest(http.MethodGet, addresses[i], nil))
		if !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v %s", addresses[i], w.Header(), w.Body)
		}
	}
	if w := do(e, httptest.NewRequest(http.MethodGet, "/base/brand/000000000000/logo.svg", nil)); w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("by another hash: %v", w.Header())
	}
	for _, path := range []string{"/base/brand/x/other.svg", "/base/brand/"} {
		if w := do(e, httptest.NewRequest(http.MethodGet, path, nil)); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	h := do(setup(t), httptest.NewRequest(http.MethodGet, "/nowhere", nil)).Header()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store", "Strict-Transport-Security": "max-age=31536000",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	csp := h.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "form-action 'self';") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
}

func TestClientAddressComesFromTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	request := func() *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/ip", nil)
		r.RemoteAddr = "10.0.0.1:4000"
		r.Header.Set("X-Forwarded-For", "6.6.6.6, 198.51.100.7")
		r.Header.Set("X-Real-Ip", "6.6.6.6")
		return r
	}
	if got := do(setup(t), request()).Body.String(); got != "10.0.0.1" {
		t.Errorf("nobody trusted: %s", got)
	}
	if got := do(setup(t, netip.MustParsePrefix("10.0.0.0/8")), request()).Body.String(); got != "198.51.100.7" {
		t.Errorf("proxy trusted: %s", got)
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	e := setup(t)
	post := func(path, site, origin string) int {
		r := httptest.NewRequest(http.MethodPost, "https://login.test"+path, strings.NewReader("a=1"))
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		return do(e, r).Code
	}
	for _, c := range []struct {
		path, site, origin string
		want               int
	}{
		{"/form", "same-origin", "", 204},
		{"/form", "cross-site", "", 403},
		{"/form", "same-site", "", 403},
		{"/form", "", "https://evil.test", 403},
		{"/form", "", "https://login.test", 204},
		{"/base/token", "cross-site", "https://evil.test", 204},
	} {
		if got := post(c.path, c.site, c.origin); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	s, err := web.New(web.Config{URL: &url.URL{Scheme: "https", Host: "login.example.com", Path: "/base"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	e := web.NewEcho(web.Server{Site: s, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	e.POST("/base"+web.LanguagePath, s.ChooseLanguage)
	ask := func(method, path, accept string, cookie *http.Cookie, form string) *http.Response {
		r := httptest.NewRequest(method, path, strings.NewReader(form))
		r.Header.Set("Accept-Language", accept)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if cookie != nil {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		return w.Result()
	}
	body := func(resp *http.Response) string {
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	german := body(ask(http.MethodGet, "/base/nowhere", "de-CH", nil, ""))
	if !strings.Contains(german, `<html lang="de">`) || !strings.Contains(german, "Seite nicht gefunden") || !strings.Contains(german, `name="back" value="/nowhere"`) {
		t.Errorf("%s", german)
	}
	// A refused query may hold a code, so the page must not repeat it.
	if text := body(ask(http.MethodGet, "/base/nowhere?code=canary", "de", nil, "")); strings.Contains(text, "canary") {
		t.Errorf("%s", text)
	}
	chosen := ask(http.MethodPost, "/base/language", "de", nil, "language=en&back=%2Fclusters%2Fx%3Fq%3D1")
	if chosen.StatusCode != http.StatusSeeOther || chosen.Header.Get("Location") != "/base/clusters/x?q=1" || len(chosen.Cookies()) != 1 {
		t.Fatalf("%+v", chosen)
	}
	cookie := chosen.Cookies()[0]
	if cookie.Name != "__Host-fairlead-language" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("%+v", cookie)
	}
	if text := body(ask(http.MethodGet, "/base/nowhere", "de", cookie, "")); !strings.Contains(text, "Page not found") || !strings.Contains(text, `<html lang="en">`) {
		t.Errorf("%s", text)
	}
	cookie.Value = `"><script>`
	if text := body(ask(http.MethodGet, "/base/nowhere", "de", cookie, "")); !strings.Contains(text, "Seite nicht gefunden") || strings.Contains(text, "<script>") {
		t.Errorf("%s", text)
	}
	for _, hostile := range []string{"//evil.example", "https://evil.example", `/\evil.example`, "", "/\r\nX: y"} {
		resp := ask(http.MethodPost, "/base/language", "de", nil, url.Values{"language": {"zz"}, "back": {hostile}}.Encode())
		if resp.Header.Get("Location") != "/base/" || len(resp.Cookies()) != 0 {
			t.Errorf("%q: %v", hostile, resp.Header)
		}
	}
}
