package google_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/google"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakeoidc"
)

// workspace stands in for the token endpoint that takes a service account's assertions
// (RFC 7523) and for the directory.
type workspace struct {
	key *rsa.PrivateKey
	// left says that jane is gone, apiOff that the interface is not switched on.
	left, apiOff atomic.Bool
}

const directoryHosts = "oauth2.googleapis.com admin.googleapis.com"

func startWorkspace(t *testing.T) *workspace {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w := &workspace{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", w.token)
	mux.HandleFunc("GET /admin/directory/v1/groups", w.groups)
	proxy.Lead(mux, strings.Fields(directoryHosts)...)
	return w
}

func (w *workspace) token(out http.ResponseWriter, r *http.Request) {
	assertion, err := jwt.ParseSigned(r.PostFormValue("assertion"), []jose.SignatureAlgorithm{jose.RS256})
	var claims struct {
		jwt.Claims
		Scope string `json:"scope"`
	}
	if err == nil {
		err = assertion.Claims(w.key.Public(), &claims)
	}
	good := claims.Issuer == "fairlead@project.iam.gserviceaccount.com" && claims.Subject == "admin@example.test" && strings.HasSuffix(claims.Scope, "/admin.directory.group.readonly")
	if err != nil || !good || claims.Validate(jwt.Expected{AnyAudience: jwt.Audience{"https://oauth2.googleapis.com/token"}, Time: time.Now()}) != nil {
		reply(out, http.StatusUnauthorized, map[string]any{"error": "unauthorized_client"})
		return
	}
	reply(out, http.StatusOK, map[string]any{"access_token": "directory-token", "token_type": "Bearer", "expires_in": 3600})
}

// groups answers in two pages.
func (w *workspace) groups(out http.ResponseWriter, r *http.Request) {
	person, page := r.URL.Query().Get("userKey"), r.URL.Query().Get("pageToken")
	switch {
	case r.Header.Get("Authorization") != "Bearer directory-token" || w.apiOff.Load():
		reply(out, http.StatusForbidden, map[string]any{"error": map[string]any{"code": 403}})
	case w.left.Load() || person != "subject-1" && person != "admin@example.test":
		reply(out, http.StatusNotFound, map[string]any{"error": map[string]any{"code": 404}})
	case page == "":
		reply(out, http.StatusOK, map[string]any{"groups": []any{map[string]string{"email": "platform@example.test"}}, "nextPageToken": "2"})
	default:
		reply(out, http.StatusOK, map[string]any{"groups": []any{map[string]string{"email": "all@example.test"}}})
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// withGroups are settings with the service account's key.
func (w *workspace) withGroups(t *testing.T) *google.Config {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(w.key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "fairlead@project.iam.gserviceaccount.com", "private_key_id": "k1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "https://attacker.example/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	c := config(fakeoidc.ClientSecret)
	c.ServiceAccount, c.AdminEmail = secret.NewValue(string(file)), "admin@example.test"
	return c
}

func TestGroups(t *testing.T) { //nolint:paralleltest // one stand-in
	start(t)
	w := startWorkspace(t)
	cfg := w.withGroups(t)
	connectortest.Accepts(t, cfg, nil)
	c := openWith(t, cfg)
	jane := signIn(t, c)
	if got := strings.Join(jane.Groups, " "); got != "all@example.test platform@example.test" {
		t.Errorf("groups %q", got)
	}
	w.apiOff.Store(true)
	connectortest.Finds(t, cfg, nil, "does not let the service account read groups")
	if _, err := refresh(t.Context(), t, c, jane); err == nil || errors.Is(err, connectors.ErrDenied) {
		t.Errorf("a directory that can't be asked: %v, want an outage", err)
	}
	w.apiOff.Store(false)
	w.left.Store(true)
	if _, err := refresh(t.Context(), t, c, signInBefore(t, c, w)); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("who is no longer in the directory: %v, want ErrDenied", err)
	}
	w.left.Store(false)
	cfg.Groups = []string{"others@example.test"}
	if _, err := connectortest.Redirect(t.Context(), openWith(t, cfg), http.DefaultTransport); !errors.Is(err, connectors.ErrDenied) {
		t.Errorf("in no allowed group: %v, want ErrDenied", err)
	}
	cfg.AdminEmail = "nobody@example.test"
	connectortest.Finds(t, cfg, nil, "refused the service account")
}

// signInBefore signs jane in as she was before she left.
func signInBefore(t *testing.T, c connectors.Redirecter, w *workspace) connectors.Identity {
	t.Helper()
	left := w.left.Swap(false)
	defer w.left.Store(left)
	return signIn(t, c)
}

func TestServiceAccountKey(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"x", "{}", `{"type":"authorized_user","client_email":"x","private_key":"y"}`} {
		c := config("x")
		c.ServiceAccount, c.AdminEmail = secret.NewValue(text), "admin@example.test"
		if problems := c.Validate(); len(problems) != 1 || problems[0].Field != "serviceAccount" || strings.Contains(problems[0].Message, "private_key\":") {
			t.Errorf("%s: %+v", text, problems)
		}
	}
	c := config("x")
	c.Groups = []string{"platform@example.test"}
	if problems := c.Validate(); len(problems) != 1 || problems[0].Field != "groups" {
		t.Errorf("groups without a service account: %+v", problems)
	}
}
