// Package connectortest is the contract that every connector must pass. Each
// connector's tests call it with their upstream.
package connectortest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
)

// Harness is one connector with an upstream that the suite may change. Every
// call of the suite's New begins with a fresh one.
type Harness struct {
	Connector connectors.Connector
	// SignIn signs the known person in and returns what the connector said.
	SignIn func(ctx context.Context) (connectors.Identity, error)
	// Want is what it must say, without Data.
	Want connectors.Identity
	// Leave makes the upstream forget the person.
	Leave func()
	// Break makes the upstream unreachable.
	Break func()
}

// Run checks the contract. fresh returns a harness of its own.
func Run(t *testing.T, fresh func(t *testing.T) *Harness) {
	t.Helper()
	t.Run("sign in", func(t *testing.T) {
		t.Parallel()
		h := fresh(t)
		got := signIn(t, h)
		got.Data = nil
		if diff := cmp.Diff(h.Want, got); diff != "" {
			t.Errorf("identity (-want +got):\n%s", diff)
		}
	})
	t.Run("refresh says the same", func(t *testing.T) {
		t.Parallel()
		h := fresh(t)
		got, err := refresher(t, h).Refresh(t.Context(), signIn(t, h))
		if err != nil {
			t.Fatal(err)
		}
		got.Data = nil
		if diff := cmp.Diff(h.Want, got); diff != "" {
			t.Errorf("identity (-want +got):\n%s", diff)
		}
	})
	t.Run("a leaver is denied", func(t *testing.T) {
		t.Parallel()
		h := fresh(t)
		id := signIn(t, h)
		h.Leave()
		if _, err := refresher(t, h).Refresh(t.Context(), id); !errors.Is(err, connectors.ErrDenied) {
			t.Errorf("Refresh = %v, want ErrDenied", err)
		}
	})
	t.Run("an outage is no denial", func(t *testing.T) {
		t.Parallel()
		h := fresh(t)
		id := signIn(t, h)
		h.Break()
		_, err := refresher(t, h).Refresh(t.Context(), id)
		if err == nil || errors.Is(err, connectors.ErrDenied) || errors.Is(err, connectors.ErrBadCredentials) {
			t.Errorf("Refresh = %v, want another error", err)
		}
		if _, err := h.SignIn(t.Context()); err == nil || errors.Is(err, connectors.ErrDenied) || errors.Is(err, connectors.ErrBadCredentials) {
			t.Errorf("SignIn = %v, want another error", err)
		}
	})
	t.Run("a deadline is kept", func(t *testing.T) {
		t.Parallel()
		h := fresh(t)
		id := signIn(t, h)
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		if _, err := refresher(t, h).Refresh(ctx, id); err == nil || errors.Is(err, connectors.ErrDenied) {
			t.Errorf("Refresh = %v, want an error that is no denial", err)
		}
	})
}

// Passwords checks what holds for every connector that takes passwords. A name has one
// spelling apart from its case: the server counts wrong passwords by it.
func Passwords(t *testing.T, p connectors.Passworder, username, password string) {
	t.Helper()
	if p.UsernameLabel() == "" {
		t.Error("the form needs a label")
	}
	if _, err := p.Login(t.Context(), username, password); err != nil {
		t.Fatalf("the right password: %v", err)
	}
	for name, try := range map[string][2]string{
		"wrong password":   {username, password + "x"},
		"empty password":   {username, ""},
		"unknown name":     {"nobody", password},
		"empty name":       {"", password},
		"filter injection": {"*", password},
		"or injection":     {username + ")(|(uid=*", password},
		"null injection":   {username + "\x00", password},
		"blank behind":     {username + " ", password},
		"blank before":     {" " + username, password},
		"full-width":       {fullWidth(username), password},
		"comment":          {username + "' OR 1=1 --", password},
	} {
		if _, err := p.Login(t.Context(), try[0], try[1]); !errors.Is(err, connectors.ErrBadCredentials) {
			t.Errorf("%s: %v, want ErrBadCredentials", name, err)
		}
	}
}

// fullWidth writes the first letter in its full-width form, which some directories
// take for the same letter.
func fullWidth(username string) string {
	return string(rune(username[0])-'!'+'！') + username[1:]
}

func signIn(t *testing.T, h *Harness) connectors.Identity {
	t.Helper()
	id, err := h.SignIn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func refresher(t *testing.T, h *Harness) connectors.Refresher {
	t.Helper()
	r, ok := h.Connector.(connectors.Refresher)
	if !ok {
		t.Fatal("the connector can't refresh")
	}
	return r
}
