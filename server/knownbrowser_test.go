package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestGuessesElsewhereDoNotKeepAPersonOut signs in once in a browser. Then an attacker uses up all attempts for
// that user name.
func TestGuessesElsewhereDoNotKeepAPersonOut(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	b.SignIn(w.issuer+"/login?return_to=/signed-out", asJane())
	for range 15 {
		relyingparty.NewBrowser(t, w.issuer, nil).SignIn(w.issuer+"/login", relyingparty.Credentials{Username: "jane", Password: "wrong"})
	}
	if page := relyingparty.NewBrowser(t, w.issuer, nil).SignIn(w.issuer+"/login", asJane()); page.Status != http.StatusTooManyRequests {
		t.Fatalf("a strange browser: %v", page)
	}
	if page := b.SignIn(w.issuer+"/login?return_to=/signed-out", asJane()); page.Status != http.StatusOK {
		t.Errorf("her own browser: %v", page)
	}
	// The known browser has its own limit of ten attempts, and for this name only.
	for range 10 {
		b.SignIn(w.issuer+"/login", relyingparty.Credentials{Username: "jane", Password: "wrong"})
	}
	if page := b.SignIn(w.issuer+"/login", asJane()); page.Status != http.StatusTooManyRequests {
		t.Errorf("guessing in her own browser: %v", page)
	}
	w.clock.add(15 * time.Minute)
	for range 11 {
		b.SignIn(w.issuer+"/login", relyingparty.Credentials{Username: "john", Password: "wrong"})
	}
	if page := b.SignIn(w.issuer+"/login", relyingparty.Credentials{Username: "john", Password: "wrong"}); page.Status != http.StatusTooManyRequests {
		t.Errorf("another name in her browser: %v", page)
	}
}
