package serverclient_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// TestWrongClock has a server whose clock is five minutes ahead. The user gets a warning about
// the clock, whether the server accepts or refuses the request.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(5*time.Minute).UTC().Format(http.TimeFormat))
		w.WriteHeader(status)
		if status == http.StatusOK {
			fmt.Fprint(w, `{"access_token": "t", "expires_in": 600}`)
			return
		}
		fmt.Fprint(w, `{"error": "invalid_grant", "error_description": "It is over."}`)
	}))
	t.Cleanup(srv.Close)
	s, err := serverclient.New(srv.URL, "", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if s.ClockWarning() != "" {
		t.Errorf("before the first request: %s", s.ClockWarning())
	}
	tokens, err := s.ExchangeToken(t.Context(), secret.NewValue("x"), "k8s-a")
	// The lifetime counts by the clock of this computer.
	if life := time.Until(tokens.Expires); err != nil || life > 10*time.Minute || life < 9*time.Minute {
		t.Errorf("%v %v", tokens.Expires, err)
	}
	if got := s.ClockWarning(); !strings.Contains(got, "differs from that of "+srv.URL+" by ") || !strings.Contains(got, "Set it first.") {
		t.Errorf("%q", got)
	}
	status = http.StatusBadRequest
	if _, err := s.ExchangeToken(t.Context(), secret.NewValue("x"), "k8s-a"); err == nil || !strings.HasPrefix(err.Error(), "It is over. (The clock of this computer differs") || !serverclient.SessionEnded(err) {
		t.Errorf("%v", err)
	}
}
