package workload_test

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/policy/workload"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeoidc"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	var claims map[string]any
	if err := json.Unmarshal([]byte(`{"sub":"repo:a/b","n":7,"ok":true,"list":["x","y"],"deep":{"a":"b"},"empty":""}`), &claims); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		rule store.ClaimRules
		want bool
	}{
		"exact":                {store.ClaimRules{"sub": {"repo:a/b"}}, true},
		"one of several":       {store.ClaimRules{"sub": {"x", "repo:a/b"}}, true},
		"all must fit":         {store.ClaimRules{"sub": {"repo:a/b"}, "n": {"8"}}, false},
		"a number":             {store.ClaimRules{"n": {"7"}}, true},
		"a bool":               {store.ClaimRules{"ok": {"true"}}, true},
		"an element of a list": {store.ClaimRules{"list": {"y"}}, true},
		"a beginning":          {store.ClaimRules{"sub": {"repo:a"}}, false},
		"another case":         {store.ClaimRules{"sub": {"REPO:A/B"}}, false},
		"a wildcard is text":   {store.ClaimRules{"sub": {"*"}}, false},
		"a missing claim":      {store.ClaimRules{"nope": {""}}, false},
		"an object":            {store.ClaimRules{"deep": {"map[a:b]"}}, false},
		"no claims at all":     {store.ClaimRules{}, false},
		"no values":            {store.ClaimRules{"sub": {}}, false},
	} {
		if got := workload.Matches(tc.rule, claims); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestAPlatformIsAskedForItsKeys fetches them by discovery, from a provider that
// speaks over HTTP.
func TestAPlatformIsAskedForItsKeys(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	platform := fakeoidc.Start(t)
	file := store.Origin{Origin: store.OriginFile}
	if err := s.ApplyFile(t.Context(), store.Settings{
		Issuers:   []store.TrustedIssuer{{ID: "ci", URL: platform.URL, Audience: fakeoidc.ClientID, Origin: file}, {ID: "away", URL: "http://127.0.0.1:1", Audience: "x", Origin: file}},
		Workloads: []store.WorkloadRule{{ID: "job", IssuerID: "ci", Claims: store.ClaimRules{"sub": {"17"}}, Origin: file}},
	}, time.Now()); err != nil {
		t.Fatal(err)
	}
	r := &workload.Registry{Store: s, Now: time.Now, Audit: audit.NewLog(time.Now, slog.New(slog.DiscardHandler), s)}
	user, issued, err := r.Authenticate(t.Context(), platform.Token(t, map[string]any{"sub": "17"}), audit.Event{})
	if err != nil || user.KubeName != "workload:job" || !workload.IsWorkload(user) || time.Since(issued) > time.Minute {
		t.Errorf("user %+v, issued %v, error %v", user, issued, err)
	}
	if _, _, err := r.Authenticate(t.Context(), platform.Token(t, map[string]any{"sub": "18"}), audit.Event{}); !errs.Is(err, errs.Denied) {
		t.Errorf("another subject: %v", err)
	}
	// {"iss":"http://127.0.0.1:1"}
	if _, _, err := r.Authenticate(t.Context(), "e30.eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4xOjEifQ.e30", audit.Event{}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a platform that is away: %v", err)
	}
}

func TestService(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	r := &workload.Registry{Store: s, Now: time.Now, Audit: audit.NewLog(time.Now, slog.New(slog.DiscardHandler), s)}
	user, err := r.ServiceUser(t.Context(), &clients.Client{ID: "robot", Name: "Robot", Groups: []string{"ops"}})
	if err != nil || user.KubeName != "service:robot" || !workload.IsWorkload(user) || len(user.GroupNames) != 1 {
		t.Errorf("user %+v, error %v", user, err)
	}
}

func FuzzWorkload(f *testing.F) {
	for _, seed := range []string{"", "a.b.c", "e30.e30.", "e30.eyJpc3MiOiJodHRwczovL2NpLnRlc3QifQ.e30"} {
		f.Add(seed)
	}
	s := storetest.SQLite(f)
	r := &workload.Registry{Store: s, Now: time.Now, Audit: audit.NewLog(time.Now, slog.New(slog.DiscardHandler), s)}
	f.Fuzz(func(t *testing.T, token string) {
		if _, _, err := r.Authenticate(t.Context(), token, audit.Event{}); !errs.Is(err, errs.Denied) {
			t.Errorf("%q: %v", token, err)
		}
	})
}
