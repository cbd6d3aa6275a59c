package fakeforge_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/fairlead-auth/fairlead/test/fakes/fakeforge"
)

// TestTheStandInIsStrict: what a real upstream refuses, it refuses.
func TestTheStandInIsStrict(t *testing.T) {
	t.Parallel()
	s := fakeforge.Start(t, "http://127.0.0.1:1/callback")
	for name, form := range map[string]url.Values{
		"wrong secret": {"client_id": {fakeforge.ClientID}, "client_secret": {"x"}, "code": {"x"}},
		"wrong code":   {"client_id": {fakeforge.ClientID}, "client_secret": {fakeforge.ClientSecret}, "code": {"x"}},
	} {
		res, err := http.PostForm(s.URL+"/oauth/token", form)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode < 400 {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
	for _, path := range []string{"/api/v4/user", "/v1.0/me", "/2.0/user", "/authorize?client_id=x"} {
		res, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode < 400 {
			t.Errorf("%s without a token: %s", path, res.Status)
		}
	}
}
