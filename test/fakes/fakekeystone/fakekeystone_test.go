package fakekeystone_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/test/fakes/fakekeystone"
)

// TestTheStandInIsStrict: what Keystone refuses, it refuses.
func TestTheStandInIsStrict(t *testing.T) {
	t.Parallel()
	s := fakekeystone.Start(t)
	sign := func(name, password, scope string) *http.Response {
		body := `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"` + name + `","password":"` + password + `","domain":{"id":"default"}}}},"scope":` + scope + `}}`
		res, err := http.Post(s.URL+"/v3/auth/tokens", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	read := func(token string) int {
		req, err := http.NewRequest(http.MethodGet, s.URL+"/v3/users/4242", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Auth-Token", token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	const onDomain, unscoped = `{"domain":{"id":"default"}}`, `"unscoped"`
	if got := sign(fakekeystone.Jane, "x", unscoped).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d", got)
	}
	if got := sign(fakekeystone.Jane, fakekeystone.JanesWord, onDomain).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("a scope without a role: %d", got)
	}
	theirs := sign(fakekeystone.Jane, fakekeystone.JanesWord, unscoped).Header.Get("X-Subject-Token")
	service := sign(fakekeystone.Service, fakekeystone.ServicesWord, onDomain).Header.Get("X-Subject-Token")
	for token, want := range map[string]int{"": http.StatusUnauthorized, theirs: http.StatusForbidden, service: http.StatusOK} {
		if got := read(token); got != want {
			t.Errorf("reading: %d, want %d", got, want)
		}
	}
}
