package server_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestConcurrentRefresh does what kubectl does: eight concurrent uses of one token. All get the same successor in
// the same response.
func TestConcurrentRefresh(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, w *testServer) {
		t.Helper()
		token := w.signIn(t).RefreshToken
		for round := range 5 {
			answers := make([]string, 8)
			var wg sync.WaitGroup
			start := make(chan struct{})
			for i := range answers {
				client := *w.plugin
				client.Issuer = w.replicas[i%len(w.replicas)]
				wg.Go(func() {
					<-start
					answers[i] = client.Refresh(t, token).Raw
				})
			}
			close(start)
			wg.Wait()
			for i, raw := range answers {
				if raw != answers[0] || strings.Contains(raw, "error") {
					t.Fatalf("round %d: answer %d is %s, the first %s", round, i, raw, answers[0])
				}
			}
			var next relyingparty.Tokens
			if err := json.Unmarshal([]byte(answers[0]), &next); err != nil {
				t.Fatal(err)
			}
			if next.RefreshToken == token {
				t.Fatal("the token was not rotated")
			}
			token = next.RefreshToken
		}
		if got := len(w.events(t, audit.TokenReplayed)); got != 0 {
			t.Errorf("%d replays recorded", got)
		}
	}
	t.Run("sqlite with one connection", func(t *testing.T) {
		t.Parallel()
		run(t, setup(t))
	})
	t.Run("postgres with two replicas", func(t *testing.T) {
		t.Parallel()
		cfg := storetest.PostgresConfig(t)
		run(t, setup(t, cfg, cfg))
	})
}

func TestReplayKillsTheFamily(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, w *testServer) {
		for name, replay := range map[string]func(first, second relyingparty.Tokens){
			"after the grace period": func(relyingparty.Tokens, relyingparty.Tokens) { w.clock.add(31 * time.Second) },
			"after the successor was used": func(_, second relyingparty.Tokens) {
				if got := w.plugin.Refresh(t, second.RefreshToken); got.Error != "" {
					t.Fatal(got.Raw)
				}
			},
		} {
			before := len(w.events(t, audit.TokenReplayed))
			first := w.signIn(t)
			second := w.plugin.Refresh(t, first.RefreshToken)
			replay(first, second)
			if got := w.plugin.Refresh(t, first.RefreshToken); got.Status != 400 || got.Error != "invalid_grant" {
				t.Errorf("%s: replay got %s", name, got.Raw)
			}
			if got := w.plugin.Refresh(t, second.RefreshToken); got.Error != "invalid_grant" || !strings.Contains(got.ErrorDescription, "theft") {
				t.Errorf("%s: the family lives: %s", name, got.Raw)
			}
			if got := w.plugin.Exchange(t, second.AccessToken, "k8s-a"); got.Error != "invalid_grant" {
				t.Errorf("%s: the access token lives: %s", name, got.Raw)
			}
			if got := len(w.events(t, audit.TokenReplayed)) - before; got != 1 {
				t.Errorf("%s: %d replays recorded, want 1", name, got)
			}
		}
	})
}

// TestAPoolOfOneIsEnough runs many concurrent refreshes on a pool of one connection, which deadlocks in some other
// providers.
func TestAPoolOfOneIsEnough(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var tokens []string
	for range 20 {
		tokens = append(tokens, w.signIn(t).RefreshToken)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, token := range tokens {
		wg.Go(func() {
			if got := w.plugin.Refresh(t, token); got.Error != "" {
				t.Error(got.Raw)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("wedged")
	}
}

// TestTwoLaptops signs one user in twice with one client. Both devices work, and each can be ended alone.
func TestTwoLaptops(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first, second := w.signIn(t), w.signIn(t)
	for range 3 {
		if first = w.plugin.Refresh(t, first.RefreshToken); first.Error != "" {
			t.Fatalf("first: %s", first.Raw)
		}
		if second = w.plugin.Refresh(t, second.RefreshToken); second.Error != "" {
			t.Fatalf("second: %s", second.Raw)
		}
	}
	w.plugin.Post(t, "/revoke", map[string][]string{"client_id": {"kubectl-fairlead"}, "token": {first.RefreshToken}})
	if got := w.plugin.Refresh(t, first.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("the ended one: %s", got.Raw)
	}
	if got := w.plugin.Refresh(t, second.RefreshToken); got.Error != "" {
		t.Errorf("the other one: %s", got.Raw)
	}
}
