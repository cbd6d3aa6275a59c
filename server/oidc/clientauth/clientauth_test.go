package clientauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/oidc/clientauth"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

func setup(t *testing.T) *clientauth.Authenticator {
	t.Helper()
	s := storetest.SQLite(t)
	file := store.Origin{Origin: store.OriginFile}
	if err := s.ApplyFile(t.Context(), store.Settings{Clients: []store.Client{
		{ID: "app", SecretHashes: store.Strings{secret.Hash("a+b %"), secret.Hash("second")}, Origin: file},
		{ID: "cli", Public: true, Origin: file},
	}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return &clientauth.Authenticator{
		Clients: clients.NewRegistry(s), Store: s, Now: time.Now, Audiences: []string{"https://login.test"},
		Limit: &ratelimit.Limiter{Store: s, Now: time.Now, Window: ratelimit.DefaultWindow},
	}
}

func request(basic []string, params oauth.Params) clientauth.Request {
	r := httptest.NewRequest(http.MethodPost, "/token", http.NoBody)
	if basic != nil {
		r.SetBasicAuth(basic[0], basic[1])
	}
	return clientauth.Request{HTTP: r, Params: params, Address: "192.0.2.1"}
}

func TestClient(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		basic  []string
		params oauth.Params
		want   oauth.Code
	}{
		"basic, form-encoded":     {[]string{"app", "a%2Bb+%25"}, nil, ""},
		"post":                    {nil, oauth.Params{"client_id": "app", "client_secret": "a+b %"}, ""},
		"another of its secrets":  {nil, oauth.Params{"client_id": "app", "client_secret": "second"}, ""},
		"public":                  {nil, oauth.Params{"client_id": "cli"}, ""},
		"basic, not encoded":      {[]string{"app", "%zz"}, nil, oauth.InvalidClient},
		"wrong secret":            {[]string{"app", "x"}, nil, oauth.InvalidClient},
		"no secret":               {nil, oauth.Params{"client_id": "app"}, oauth.InvalidClient},
		"unknown":                 {nil, oauth.Params{"client_id": "nobody"}, oauth.InvalidClient},
		"nobody":                  {nil, nil, oauth.InvalidClient},
		"public with a secret":    {nil, oauth.Params{"client_id": "cli", "client_secret": "x"}, oauth.InvalidClient},
		"public with basic":       {[]string{"cli", ""}, nil, oauth.InvalidClient},
		"two ways":                {[]string{"app", "second"}, oauth.Params{"client_secret": "second"}, oauth.InvalidRequest},
		"two names":               {[]string{"app", "second"}, oauth.Params{"client_id": "cli"}, oauth.InvalidRequest},
		"an assertion of nothing": {nil, oauth.Params{"client_assertion": "x"}, oauth.InvalidClient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := setup(t).Authenticate(t.Context(), request(tc.basic, tc.params))
			e, refused := errors.AsType[*oauth.Error](err)
			switch {
			case tc.want == "" && (err != nil || client == nil):
				t.Errorf("error %v", err)
			case tc.want != "" && (!refused || e.Code != tc.want || client != nil):
				t.Errorf("client %v, error %v, want %s", client, err, tc.want)
			}
		})
	}
}

// TestFailuresLookAlike checks that responses do not reveal which clients exist.
func TestFailuresLookAlike(t *testing.T) {
	t.Parallel()
	a := setup(t)
	_, unknown := a.Authenticate(t.Context(), request([]string{"nobody", "x"}, nil))
	_, wrong := a.Authenticate(t.Context(), request([]string{"app", "x"}, nil))
	if unknown.Error() != wrong.Error() {
		t.Errorf("%q and %q", unknown, wrong)
	}
	var last error
	for range 120 {
		_, last = a.Authenticate(t.Context(), request([]string{"app", "x"}, nil))
	}
	if e, _ := errors.AsType[*oauth.Error](last); e == nil || e.Status() != http.StatusTooManyRequests {
		t.Errorf("after many failures: %v", last)
	}
	if _, err := a.Authenticate(t.Context(), request([]string{"app", "second"}, nil)); err != nil {
		t.Errorf("the right secret must still do: %v", err)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	if got := clientauth.Methods(false); slices.Contains(got, clientauth.None) || len(clientauth.Methods(true)) != len(got)+1 {
		t.Errorf("methods %v", got)
	}
	if slices.Contains(clientauth.Algorithms(), "HS256") || slices.Contains(clientauth.Algorithms(), "none") {
		t.Error("an algorithm without a key pair")
	}
}

func FuzzAssertion(f *testing.F) {
	for _, seed := range []string{"", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhcHAifQ.AA"} {
		f.Add(seed)
	}
	s := storetest.SQLite(f)
	a := &clientauth.Authenticator{
		Clients: clients.NewRegistry(s), Store: s, Now: time.Now, Limit: &ratelimit.Limiter{Store: s, Now: time.Now, Window: ratelimit.DefaultWindow},
	}
	f.Fuzz(func(t *testing.T, text string) {
		client, err := a.Authenticate(t.Context(), request(nil, oauth.Params{
			"client_assertion": text, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
		}))
		if err == nil || client != nil {
			t.Errorf("%q was taken for %v", text, client)
		}
	})
}
