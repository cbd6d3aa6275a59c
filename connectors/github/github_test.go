package github_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/github"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakegithub"
)

const callback = "http://127.0.0.1:1/callback/github"

func jane() fakegithub.Account {
	return fakegithub.Account{
		ID: 4711, Login: "jane", Name: "Jane Doe",
		Emails: []fakegithub.Email{{Email: "old@example.test", Primary: false, Verified: true}, {Email: "spam@example.test", Primary: false, Verified: false}, {Email: "jane@example.test", Primary: true, Verified: true}},
		Orgs:   []string{"other", "more", "Acme"}, Teams: []string{"other/x", "acme/platform", "Acme/sre"},
	}
}

func open(t *testing.T, s *fakegithub.Server, orgs ...github.Org) *github.Connector {
	t.Helper()
	if len(orgs) == 0 {
		orgs = []github.Org{{Name: "acme"}}
	}
	cfg := &github.Config{ClientID: fakegithub.ClientID, ClientSecret: secret.NewValue(fakegithub.ClientSecret), Host: s.URL, Orgs: orgs}
	c, err := cfg.Open(t.Context(), connectors.Env{ID: "github", Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*github.Connector)
}

// signIn goes to the fake and back.
func signIn(ctx context.Context, c *github.Connector) (connectors.Identity, error) {
	address, kept, err := c.AuthURL(ctx, callback, "state-1")
	if err != nil {
		return connectors.Identity{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return connectors.Identity{}, err
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return connectors.Identity{}, err
	}
	resp.Body.Close()
	location, err := resp.Location()
	if err != nil {
		return connectors.Identity{}, err
	}
	if location.Query().Get("state") != "state-1" {
		return connectors.Identity{}, errors.New("the state is lost")
	}
	return c.Callback(ctx, callback, kept, httptest.NewRequest(http.MethodGet, location.String(), nil))
}

func TestContract(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, func(t *testing.T) *connectortest.Harness {
		t.Helper()
		s := fakegithub.Start(t, callback)
		s.Set(jane())
		c := open(t, s)
		return &connectortest.Harness{
			Connector: c,
			SignIn:    func(ctx context.Context) (connectors.Identity, error) { return signIn(ctx, c) },
			Want: connectors.Identity{
				Subject: "4711", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", EmailVerified: true,
				Groups: []string{"acme", "acme:platform", "acme:sre"},
			},
			Leave: s.RevokeTokens,
			Break: func() { s.Break(http.StatusBadGateway) },
		}
	})
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	connectortest.Outcomes(t, func(t *testing.T, upset *connectortest.Upset) *connectortest.Harness {
		t.Helper()
		s := fakegithub.Start(t, callback)
		s.Set(jane())
		cfg := &github.Config{ClientID: fakegithub.ClientID, ClientSecret: secret.NewValue(fakegithub.ClientSecret), Host: s.URL, Orgs: []github.Org{{Name: "acme"}}}
		opened, err := cfg.Open(t.Context(), connectortest.Env(upset))
		if err != nil {
			t.Fatal(err)
		}
		c := opened.(*github.Connector)
		return &connectortest.Harness{Connector: c, SignIn: func(ctx context.Context) (connectors.Identity, error) { return signIn(ctx, c) }}
	}, []connectortest.Answer{
		connectortest.Unreachable, connectortest.NothingToAskWith,
		{Name: "token revoked", Want: connectors.OutcomeDenied, Path: "/user", Status: http.StatusUnauthorized, Body: `{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest"}`},
		{Name: "account suspended", Want: connectors.OutcomeDenied, Path: "/user", Status: http.StatusForbidden, Body: `{"message":"Sorry. Your account was suspended."}`},
		{Name: "left the organization", Want: connectors.OutcomeDenied, Path: "/user/orgs", Status: http.StatusOK, Body: `[]`},
		{Name: "refresh token ended", Want: connectors.OutcomeDenied, Path: "/login/oauth/access_token", Status: http.StatusOK, Body: `{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired."}`, Expired: true},
		{
			Name: "single sign-on of the organization", Want: connectors.OutcomeSignInAgain, Path: "/user/teams", Status: http.StatusForbidden,
			Header: map[string]string{"X-GitHub-SSO": "required; url=https://github.com/orgs/acme/sso?authorization_request=AZSCKtL4U8yX1H3sCQIVnVgmjmon5fWxks5YrqhJgah0b2tlbl9pZM4EuMz4"},
			Body:   `{"message":"Resource protected by organization SAML enforcement. You must grant your OAuth token access to this organization."}`,
		},
		{
			Name: "organizations hidden until single sign-on", Want: connectors.OutcomeSignInAgain, Path: "/user/orgs", Status: http.StatusOK,
			Header: map[string]string{"X-GitHub-SSO": "partial-results; organizations=21955855,20582480"}, Body: `[]`,
		},
		{Name: "bad gateway", Want: connectors.OutcomeUnavailable, Path: "/user", Status: http.StatusBadGateway, Body: `<html>Unicorn!</html>`},
		{Name: "bad gateway after a renewed token", Want: connectors.OutcomeUnavailable, Path: "/user", Status: http.StatusBadGateway, Body: `<html>Unicorn!</html>`, Expired: true},
		{
			Name: "rate limit", Want: connectors.OutcomeUnavailable, Path: "/user", Status: http.StatusForbidden,
			Header: map[string]string{"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"}, Body: `{"message":"API rate limit exceeded for user ID 4711."}`,
		},
		{Name: "secondary rate limit", Want: connectors.OutcomeUnavailable, Path: "/user", Status: http.StatusForbidden, Body: `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`},
		{Name: "client secret changed", Want: connectors.OutcomeMisconfigured, Path: "/login/oauth/access_token", Status: http.StatusOK, Body: `{"error":"incorrect_client_credentials","error_description":"The client_id and/or client_secret passed are incorrect."}`, Expired: true},
		{Name: "app not approved by the organization", Want: connectors.OutcomeMisconfigured, Path: "/user/teams", Status: http.StatusForbidden, Body: "{\"message\":\"Although you appear to have the correct authorization credentials, the `acme` organization has enabled OAuth App access restrictions, meaning that data access to third-parties is limited.\"}"},
	}, map[connectors.Outcome]string{
		connectors.OutcomeUnusableIdentity: "names and groups are checked for every connector alike, after it",
	})
}

func TestWhoMaySignIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*fakegithub.Account)
		orgs   []github.Org
		want   []string
	}{
		{"member of the team", nil, []github.Org{{Name: "acme", Teams: []string{"Platform"}}}, []string{"acme", "acme:platform", "acme:sre"}},
		{"not in the team", nil, []github.Org{{Name: "acme", Teams: []string{"admins"}}}, nil},
		{"not in the organization", func(a *fakegithub.Account) { a.Orgs = []string{"other"} }, []github.Org{{Name: "acme"}}, nil},
		{"team of another organization", nil, []github.Org{{Name: "acme", Teams: []string{"x"}}}, nil},
		{"one of two", nil, []github.Org{{Name: "nowhere"}, {Name: "more"}}, []string{"more"}},
		{"suspended", func(a *fakegithub.Account) { a.Suspended = true }, []github.Org{{Name: "acme"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := fakegithub.Start(t, callback)
			account := jane()
			if c.change != nil {
				c.change(&account)
			}
			s.Set(account)
			id, err := signIn(t.Context(), open(t, s, c.orgs...))
			if c.want == nil {
				if !errors.Is(err, connectors.ErrDenied) {
					t.Errorf("error %v, want ErrDenied", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, id.Groups); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARenameKeepsThePerson(t *testing.T) {
	t.Parallel()
	s := fakegithub.Start(t, callback)
	s.Set(jane())
	c := open(t, s)
	before, err := signIn(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	renamed := jane()
	renamed.Login = "jane-doe"
	s.Set(renamed)
	after, err := c.Refresh(t.Context(), before)
	if err != nil || after.Subject != before.Subject || after.Username != "jane-doe" {
		t.Errorf("identity %+v, error %v", after, err)
	}
}

func TestUnverifiedEmailIsNotTaken(t *testing.T) {
	t.Parallel()
	s := fakegithub.Start(t, callback)
	account := jane()
	account.Emails = []fakegithub.Email{{Email: "jane@example.test", Primary: true, Verified: false}, {Email: "x@example.test", Primary: false, Verified: true}}
	s.Set(account)
	id, err := signIn(t.Context(), open(t, s))
	if err != nil || id.Email != "" || id.EmailVerified {
		t.Errorf("identity %+v, error %v", id, err)
	}
}

func TestErrorsAreToldApart(t *testing.T) {
	t.Parallel()
	s := fakegithub.Start(t, callback)
	s.Set(jane())
	c := open(t, s)
	id, err := signIn(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	s.Break(http.StatusForbidden) // a rate limit
	if _, err := c.Refresh(t.Context(), id); err == nil || errors.Is(err, connectors.ErrDenied) {
		t.Errorf("rate limit: %v must be no denial", err)
	}
	s.Break(0)
	s.Deny()
	if _, err := signIn(t.Context(), c); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("cancelled: %v, want ErrDenied", err)
	}
	forged := httptest.NewRequest(http.MethodGet, callback+"?code=made-up", nil)
	if _, err := c.Callback(t.Context(), callback, []byte("verifier"), forged); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("forged code: %v, want ErrDenied", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	bad := github.Config{Host: "http://github.example.com/x", CA: "x", Orgs: []github.Org{{}}}
	var fields []string
	for _, p := range bad.Validate() {
		fields = append(fields, p.Field)
	}
	if diff := cmp.Diff([]string{"clientID", "clientSecret", "orgs[0].name", "host", "ca"}, fields); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if problems := new(github.Config).Validate(); len(problems) != 3 {
		t.Errorf("empty settings: %v", problems)
	}
}
