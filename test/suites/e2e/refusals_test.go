package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/proxy"
	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/forward"
	"github.com/fairlead-auth/fairlead/proxy/revocation"
	"github.com/fairlead-auth/fairlead/proxy/status"
	"github.com/fairlead-auth/fairlead/proxy/userimpersonation"
)

var updateRefusals = flag.Bool("update", false, "rewrite testdata/refusals.golden")

// refusing is a proxy that can be made to refuse requests for every reason.
type refusing struct {
	front  *httptest.Server
	key    *ecdsa.PrivateKey
	issuer string
	cutoff revocation.Registry
	stale  atomic.Bool
}

func startRefusing(t *testing.T) *refusing {
	t.Helper()
	r := &refusing{}
	var err error
	if r.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/keys" {
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: r.key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": r.issuer, "jwks_uri": r.issuer + "/keys"})
	}))
	t.Cleanup(issuer.Close)
	r.issuer = issuer.URL
	// Nothing listens at the API server's address; only access reviews are answered.
	reviews := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var review authorizationv1.SubjectAccessReview
		if err := json.NewDecoder(req.Body).Decode(&review); err != nil || review.Spec.ResourceAttributes.Name == "forbidden" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(reviews.Close)
	reviewer, err := userimpersonation.NewAccessReviewer(&rest.Config{Host: reviews.URL})
	if err != nil {
		t.Fatal(err)
	}
	forwarder, err := forward.New(&rest.Config{Host: "https://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	r.front = httptest.NewTLSServer(proxy.New(proxy.Config{
		Cluster: "a", Forwarder: forwarder, Logger: logger, Now: time.Now, Audit: audit.NewLog(time.Now, logger), ClientAddress: func(*http.Request) string { return "" },
		Verifier:    &authn.Verifier{Issuer: r.issuer, Audience: "k8s-a", Now: time.Now, Keys: authn.NewKeySet(r.issuer, http.DefaultClient, time.Now, logger)},
		Revocations: &r.cutoff, Impersonation: &userimpersonation.Authorizer{AccessReviewer: reviewer, Now: time.Now},
		CheckAccess: func(context.Context, *authn.Identity) *status.Error {
			if r.stale.Load() {
				return status.FeedStale(time.Date(2026, 11, 23, 15, 4, 0, 0, time.UTC))
			}
			return nil
		},
	}))
	t.Cleanup(r.front.Close)
	return r
}

// token returns a valid token with some claims replaced.
func (r *refusing) token(t *testing.T, change map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": r.issuer, "aud": "k8s-a", "sub": "usr_1", "preferred_username": "corp:jane", "groups": []string{"corp:dev"}, "jti": "j", "device_id": "dev_1",
		"iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, change)
	return signES256(t, r.key, claims)
}

var (
	requestID = regexp.MustCompile(`req_[a-z0-9]+`)
	logLine   = regexp.MustCompile(`(?m)^[EIW]\d{4} .*\n`)
)

// TestKubectlShowsEveryRefusal compares the output of a real kubectl for each kind of refusal with
// testdata/refusals.golden.
func TestKubectlShowsEveryRefusal(t *testing.T) {
	t.Parallel()
	kubectl := needParts(t).kube + "/kubectl"
	r := startRefusing(t)
	many := make([]string, 600)
	for i := range many {
		many[i] = fmt.Sprint("corp:group-", i)
	}
	revoked := func(kind revocation.Kind, value, reason string) {
		r.cutoff.Revoke(revocation.Revocation{Kind: kind, Value: value, Reason: reason, At: time.Now(), Until: time.Now().Add(time.Hour)})
	}
	revoked(revocation.User, "usr_disabled", "")
	revoked(revocation.User, "usr_moved", revocation.ReasonNoAccess)
	revoked(revocation.Device, "dev_lost", "")
	revoked(revocation.SignIn, "sid_over", "")
	var out strings.Builder
	for _, c := range []struct {
		name  string
		token string
		args  []string
	}{
		{"no token", "", nil},
		{"not a token", "abc", nil},
		{"a token of another issuer", r.token(t, map[string]any{"iss": "https://elsewhere.test"}), nil},
		{"a token for another cluster", r.token(t, map[string]any{"aud": "k8s-b"}), nil},
		{"a token for two clusters", r.token(t, map[string]any{"aud": []string{"k8s-a", "k8s-b"}}), nil},
		{"an expired token", r.token(t, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), nil},
		{"a token that is not valid yet", r.token(t, map[string]any{"nbf": time.Now().Add(90 * time.Minute).Unix()}), nil},
		{"a reserved user name", r.token(t, map[string]any{"preferred_username": "system:admin"}), nil},
		{"a reserved group", r.token(t, map[string]any{"groups": []string{"system:masters"}}), nil},
		{"too many groups", r.token(t, map[string]any{"groups": many}), nil},
		{"a disabled user", r.token(t, map[string]any{"sub": "usr_disabled"}), nil},
		{"a user without access", r.token(t, map[string]any{"sub": "usr_moved"}), nil},
		{"a device that was signed out", r.token(t, map[string]any{"device_id": "dev_lost"}), nil},
		{"a sign-in that was ended", r.token(t, map[string]any{"device_id": "", "sid": "sid_over"}), nil},
		{"kubectl --as, denied by RBAC", r.token(t, nil), []string{"--as", "admin"}},
		{"kubectl --as, not set up", r.token(t, nil), []string{"--as", "forbidden"}},
		{"kubectl --as, blank name", r.token(t, nil), []string{"--as", " "}},
		{"an unreachable API server", r.token(t, nil), nil},
		{"a proxy without contact to the server", r.token(t, nil), nil},
	} {
		r.stale.Store(c.name == "a proxy without contact to the server")
		args := append([]string{"--kubeconfig", "/dev/null", "--cache-dir", t.TempDir(), "--server", r.front.URL, "--insecure-skip-tls-verify", "get", "pods"}, c.args...)
		if c.token != "" {
			args = append(args, "--token", c.token)
		} else {
			args = append(args, "--username", "x", "--password", "y") // otherwise kubectl prompts for them
		}
		text, err := exec.CommandContext(t.Context(), kubectl, args...).CombinedOutput()
		if err == nil {
			t.Errorf("%s: kubectl got in: %s", c.name, text)
		}
		said := strings.TrimSpace(logLine.ReplaceAllString(string(text), ""))
		said = requestID.ReplaceAllString(strings.ReplaceAll(said, r.front.URL, "SERVER"), "REQUEST")
		fmt.Fprintf(&out, "%s:\n  %s\n", c.name, strings.ReplaceAll(said, "\n", "\n  "))
		if strings.Contains(said, "unknown") {
			t.Errorf("%s: kubectl does not show the message: %s", c.name, said)
		}
	}
	const golden = "testdata/refusals.golden"
	if *updateRefusals {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(out.String(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
