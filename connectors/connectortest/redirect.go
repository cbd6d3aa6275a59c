package connectortest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
)

// Callback is where upstreams of these tests send the browser back to.
const Callback = "http://127.0.0.1:1/callback/corp"

// Env is what connectors of these tests are opened with.
func Env(transport http.RoundTripper) connectors.Env {
	return connectors.Env{ID: "corp", CallbackURL: Callback, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Transport: transport}
}

// Redirect plays the browser: to the upstream and back.
func Redirect(ctx context.Context, c connectors.Redirecter, transport http.RoundTripper) (connectors.Identity, error) {
	address, kept, err := c.AuthURL(ctx, Callback, "state-1")
	if err != nil {
		return connectors.Identity{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return connectors.Identity{}, err
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return connectors.Identity{}, err
	}
	if err := res.Body.Close(); err != nil {
		return connectors.Identity{}, err
	}
	location, err := res.Location()
	if err != nil {
		return connectors.Identity{}, err
	}
	return c.Callback(ctx, Callback, kept, httptest.NewRequest(http.MethodGet, location.String(), http.NoBody).WithContext(ctx))
}

// Form checks what holds for the form of every type: each field is a key of the
// settings, secrets have a destination or a fixed one, an empty form has problems
// with words, and none of them shows a secret.
func Form(t *testing.T, kind connectors.Type) {
	t.Helper()
	if kind.Label == "" || kind.About == "" || len(kind.Steps) == 0 {
		t.Errorf("%s has no label, description or steps", kind.Name)
	}
	callback := false
	for _, step := range kind.Steps {
		for _, value := range step.Copy {
			callback = callback || value.Value == connectors.CopyCallback
		}
		if u, err := url.Parse(step.Link); err != nil || step.Link != "" && u.Scheme != "https" {
			t.Errorf("link %q", step.Link)
		}
	}
	if passwords := []string{"ldap", "crowd", "keystone"}; !callback && !slices.Contains(passwords, kind.Name) {
		t.Errorf("%s does not say the callback address", kind.Name)
	}
	problems := kind.Config().Validate()
	if len(problems) == 0 {
		t.Errorf("%s accepts an empty form", kind.Name)
	}
	for _, p := range problems {
		if p.Message == "" || strings.Contains(p.Field, " ") {
			t.Errorf("%s: %+v", kind.Name, p)
		}
	}
}

// Accepts checks that good settings pass every step of a check.
func Accepts(t *testing.T, cfg connectors.Config, transport http.RoundTripper) {
	t.Helper()
	checker, ok := cfg.(connectors.Checker)
	if !ok {
		t.Fatal("there is no check")
	}
	for _, f := range checker.Check(t.Context(), Env(transport)) {
		if f.State == connectors.Failed {
			t.Errorf("%+v", f)
		}
	}
}

// Refuses checks that a wrong client secret is found by a check, in words.
func Refuses(t *testing.T, cfg connectors.Config, transport http.RoundTripper) {
	t.Helper()
	Finds(t, cfg, transport, "refused the client")
}

// Finds checks that a check finds a fault, names it and says what to do.
func Finds(t *testing.T, cfg connectors.Config, transport http.RoundTripper, fault string) {
	t.Helper()
	checker, ok := cfg.(connectors.Checker)
	if !ok {
		t.Fatal("there is no check")
	}
	findings := checker.Check(t.Context(), Env(transport))
	for _, f := range findings {
		if f.State == connectors.Failed && strings.Contains(f.Detail, fault) && f.Remedy != "" {
			return
		}
	}
	t.Errorf("%q was not found: %+v", fault, findings)
}
