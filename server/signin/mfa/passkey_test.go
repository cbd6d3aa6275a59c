package mfa_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/server/signin/mfa"
)

// TestPasskeysBelongToAName leaves what a browser does with a key to the test with a
// real one, and checks what it can't: addresses and broken answers.
func TestPasskeysBelongToAName(t *testing.T) {
	t.Parallel()
	for site, want := range map[string]bool{
		"https://login.example.test": true, "https://localhost:8443": true, "https://192.0.2.1": false, "https://[::1]:8443": false,
	} {
		u, err := url.Parse(site)
		if err != nil {
			t.Fatal(err)
		}
		if got := mfa.NewPasskeys(u, "Fairlead") != nil; got != want {
			t.Errorf("%s: %t", site, got)
		}
	}
}

func TestBrokenPasskeys(t *testing.T) {
	t.Parallel()
	p := mfa.NewPasskeys(&url.URL{Scheme: "https", Host: "login.example.test"}, "Fairlead")
	jane := mfa.Owner{ID: "1", Name: "local:jane", Label: "Jane"}
	asked, err := p.BeginRegistration(jane)
	if err != nil || asked.Challenge == "" || !strings.Contains(asked.Options, asked.Challenge) {
		t.Fatalf("%+v, %v", asked, err)
	}
	for _, answer := range []string{"", "{}", "[]", `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`, strings.Repeat("[", 10_000)} {
		if _, err := p.FinishRegistration(jane, asked.Session, answer); !errors.Is(err, mfa.ErrPasskey) {
			t.Errorf("%.40q made one: %v", answer, err)
		}
		if _, err := p.FinishLogin(jane, asked.Session, answer); !errors.Is(err, mfa.ErrPasskey) {
			t.Errorf("%.40q was an answer: %v", answer, err)
		}
	}
	if _, err := p.FinishRegistration(jane, "not ours", "{}"); !errors.Is(err, mfa.ErrPasskey) {
		t.Errorf("what was kept is broken: %v", err)
	}
	if _, err := p.BeginLogin(jane); err == nil {
		t.Error("asked for a passkey of somebody who has none")
	}
	jane.Keys = [][]byte{[]byte("not a key")}
	if _, err := p.BeginLogin(jane); err == nil {
		t.Error("read a broken key")
	}
}
