package crowd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/crowd"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakecrowd"
)

func config(s *fakecrowd.Server) *crowd.Config {
	return &crowd.Config{BaseURL: s.URL + "/crowd", Application: fakecrowd.Application, Password: secret.NewValue(fakecrowd.Password)}
}

func open(t *testing.T, c *crowd.Config) connectors.Passworder {
	t.Helper()
	opened, err := c.Open(t.Context(), connectortest.Env(nil))
	if err != nil {
		t.Fatal(err)
	}
	return opened.(connectors.Passworder)
}

func TestContract(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, func(t *testing.T) *connectortest.Harness {
		t.Helper()
		s := fakecrowd.Start(t)
		c := open(t, config(s))
		return &connectortest.Harness{
			Connector: c,
			SignIn: func(ctx context.Context) (connectors.Identity, error) {
				return c.Login(ctx, "JANE", fakecrowd.JanesWord) // the name is as Crowd writes it
			},
			Want:  connectors.Identity{Subject: "32769:42", Username: "jane", Name: "Jane Doe", Email: "jane@example.test", Groups: []string{"acme", "platform"}},
			Leave: s.Leave, Break: s.Close,
		}
	})
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	connectortest.Outcomes(t, func(t *testing.T, upset *connectortest.Upset) *connectortest.Harness {
		t.Helper()
		opened, err := config(fakecrowd.Start(t)).Open(t.Context(), connectortest.Env(upset))
		if err != nil {
			t.Fatal(err)
		}
		return &connectortest.Harness{Connector: opened, SignIn: func(ctx context.Context) (connectors.Identity, error) {
			return opened.(connectors.Passworder).Login(ctx, fakecrowd.Jane, fakecrowd.JanesWord)
		}}
	}, []connectortest.Answer{
		connectortest.Unreachable,
		{Name: "account removed", Want: connectors.OutcomeDenied, Path: "/user?", Status: http.StatusNotFound, Body: `{"reason":"USER_NOT_FOUND","message":"User <jane> does not exist"}`},
		{Name: "account inactive", Want: connectors.OutcomeDenied, Path: "/user?", Status: http.StatusBadRequest, Body: `{"reason":"INACTIVE_ACCOUNT","message":"Account with name <jane> is inactive"}`},
		{Name: "password expired", Want: connectors.OutcomeSignInAgain, Path: "/user?", Status: http.StatusBadRequest, Body: `{"reason":"EXPIRED_CREDENTIAL","message":"Credential has expired"}`},
		{Name: "behind a proxy that finds no Crowd", Want: connectors.OutcomeUnavailable, Path: "/user?", Status: http.StatusServiceUnavailable, Body: `<html>503 Service Unavailable</html>`},
		{Name: "a fault of Crowd", Want: connectors.OutcomeUnavailable, Path: "/user?", Status: http.StatusInternalServerError, Body: `{"reason":"OPERATION_FAILED","message":"java.lang.NullPointerException"}`},
		{Name: "application's password changed", Want: connectors.OutcomeMisconfigured, Path: "/user?", Status: http.StatusUnauthorized, Body: `Application failed to authenticate`},
		{Name: "address not allowed", Want: connectors.OutcomeMisconfigured, Path: "/user?", Status: http.StatusForbidden, Body: `Client with address "10.0.0.1" is forbidden from making requests to the application, fairlead.`},
		{Name: "context path changed", Want: connectors.OutcomeMisconfigured, Path: "/user?", Status: http.StatusNotFound, Body: `<html>404</html>`},
	}, map[connectors.Outcome]string{
		connectors.OutcomeUnusableIdentity: "names and groups are checked for every connector alike, after it",
		connectors.OutcomeUnconfirmed:      "Crowd is asked with the application's own credentials",
	})
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	connectortest.Passwords(t, open(t, config(fakecrowd.Start(t))), fakecrowd.Jane, fakecrowd.JanesWord)
}

func TestForm(t *testing.T) {
	t.Parallel()
	connectortest.Form(t, crowd.Type())
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := fakecrowd.Start(t)
	connectortest.Accepts(t, config(s), nil)
	for what, change := range map[string]func(c *crowd.Config){
		"refused the application": func(c *crowd.Config) { c.Password = secret.NewValue("wrong") },
		"not as its REST":         func(c *crowd.Config) { c.BaseURL = s.URL },
		"connection was refused":  func(c *crowd.Config) { c.BaseURL = "http://127.0.0.1:1/crowd" },
	} {
		c := config(s)
		change(c)
		connectortest.Finds(t, c, nil, what)
	}
}

// TestASwitchedOffAccountIsDenied at the next renewal. At a sign-in it looks like a
// wrong password.
func TestASwitchedOffAccountIsDenied(t *testing.T) {
	t.Parallel()
	s := fakecrowd.Start(t)
	c := open(t, config(s))
	id, err := c.Login(t.Context(), fakecrowd.Jane, fakecrowd.JanesWord)
	if err != nil {
		t.Fatal(err)
	}
	s.Deactivate()
	if _, err := c.(connectors.Refresher).Refresh(t.Context(), id); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("Refresh = %v", err)
	}
	if _, err := c.Login(t.Context(), fakecrowd.Jane, fakecrowd.JanesWord); !errors.Is(err, connectors.ErrBadCredentials) {
		t.Errorf("Login = %v", err)
	}
}

// manyGroups answers as a Crowd in which jane is in 600 groups, page by page.
type manyGroups struct{}

func (manyGroups) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/user/group/nested") {
		return http.DefaultTransport.RoundTrip(r)
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("start-index"))
	size, _ := strconv.Atoi(r.URL.Query().Get("max-results"))
	groups := []map[string]string{}
	for i := from; i < min(from+size, 600); i++ {
		groups = append(groups, map[string]string{"name": fmt.Sprintf("g%03d", i)})
	}
	body, err := json.Marshal(map[string]any{"groups": groups})
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, err
}

// TestGroupsAreReadInPages: no list is cut, so that the filter sees every group.
func TestGroupsAreReadInPages(t *testing.T) {
	t.Parallel()
	cfg := config(fakecrowd.Start(t))
	login := func(groups ...string) (connectors.Identity, error) {
		cfg.Groups = groups
		opened, err := cfg.Open(t.Context(), connectortest.Env(manyGroups{}))
		if err != nil {
			t.Fatal(err)
		}
		return opened.(connectors.Passworder).Login(t.Context(), fakecrowd.Jane, fakecrowd.JanesWord)
	}
	if id, err := login("g599"); err != nil || len(id.Groups) != 1 {
		t.Errorf("the last group alone: %q, %v", id.Groups, err)
	}
	if id, err := login(); err != nil || len(id.Groups) != 600 {
		t.Errorf("all groups: %d, %v", len(id.Groups), err)
	}
}

func TestGroupsAreAFilter(t *testing.T) {
	t.Parallel()
	s := fakecrowd.Start(t)
	cfg := config(s)
	cfg.Groups = []string{"platform"}
	id, err := open(t, cfg).Login(t.Context(), fakecrowd.Jane, fakecrowd.JanesWord)
	if err != nil || len(id.Groups) != 1 || id.Groups[0] != "platform" {
		t.Errorf("%v, %v", id.Groups, err)
	}
	cfg.Groups = []string{"others"}
	if _, err := open(t, cfg).Login(t.Context(), fakecrowd.Jane, fakecrowd.JanesWord); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("Login = %v", err)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	c := open(t, config(fakecrowd.Start(t))).(connectors.Lookuper)
	found, err := c.Lookup(t.Context(), fakecrowd.Jane)
	if err != nil || found.Identity.Subject != "32769:42" {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := c.Lookup(t.Context(), "nobody"); !errors.Is(err, connectors.ErrBadCredentials) {
		t.Errorf("Lookup = %v", err)
	}
}
