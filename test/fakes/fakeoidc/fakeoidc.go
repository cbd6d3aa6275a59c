// Package fakeoidc is a small OpenID provider that tests use as an upstream:
// discovery, code flow with PKCE, single-use codes, refresh, userinfo.
package fakeoidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The registered client.
const (
	ClientID     = "fairlead"
	ClientSecret = "upstream-secret"
)

// Server is a running provider with one person, jane.
type Server struct {
	*httptest.Server
	// Issuer is its issuer and the base of its endpoints. It is the server's own URL,
	// unless the server plays another provider behind a forward proxy.
	Issuer string
	// Domain is the hosted domain of jane's account, as Google sends it.
	Domain string
	key    *ecdsa.PrivateKey
	signer jose.Signer

	mu      sync.Mutex
	codes   map[string]url.Values
	refresh map[string]bool
}

// Start runs a provider until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{key: key, signer: signer, codes: map[string]url.Values{}, refresh: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", s.discovery)
	mux.HandleFunc("GET /jwks", s.jwks)
	mux.HandleFunc("GET /auth", s.auth)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("GET /userinfo", s.userinfo)
	s.Server = httptest.NewServer(mux)
	s.Issuer = s.URL
	t.Cleanup(s.Close)
	return s
}

// Revoke ends every grant.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh = map[string]bool{}
}

// Token signs an ID token as a platform gives its jobs, with these claims beside
// the usual ones.
func (s *Server) Token(t testing.TB, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": s.Issuer, "aud": ClientID, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
	maps.Copy(all, claims)
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, map[string]any{
		"issuer": s.Issuer, "authorization_endpoint": s.Issuer + "/auth", "token_endpoint": s.Issuer + "/token",
		"jwks_uri": s.Issuer + "/jwks", "userinfo_endpoint": s.Issuer + "/userinfo",
		"id_token_signing_alg_values_supported": []string{"ES256"}, "code_challenge_methods_supported": []string{"S256"},
		"scopes_supported": []string{"openid", "profile", "email", "offline_access"},
	})
}

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
}

func (s *Server) auth(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("code_challenge_method") != "S256" || q.Get("response_type") != "code" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	s.mu.Lock()
	s.codes[code] = q
	s.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != ClientID || secret != ClientSecret {
		write(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	nonce, granted := s.grant(r)
	if !granted {
		write(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	refresh := rand.Text()
	s.mu.Lock()
	s.refresh[refresh] = true
	s.mu.Unlock()
	idToken, err := s.sign(nonce)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, http.StatusOK, map[string]any{
		"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "refresh_token": refresh, "id_token": idToken,
	})
}

// grant uses up a code or a refresh token.
func (s *Server) grant(r *http.Request) (nonce string, granted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.PostFormValue("grant_type") == "refresh_token" {
		token := r.PostFormValue("refresh_token")
		granted = s.refresh[token]
		delete(s.refresh, token)
		return "", granted
	}
	q, known := s.codes[r.PostFormValue("code")]
	delete(s.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || base64.RawURLEncoding.EncodeToString(sum[:]) != q.Get("code_challenge") || r.PostFormValue("redirect_uri") != q.Get("redirect_uri") {
		return "", false
	}
	return q.Get("nonce"), true
}

func claims() map[string]any {
	return map[string]any{
		"sub": "subject-1", "name": "Jane Doe", "preferred_username": "jane", "email": "jane@example.test", "email_verified": true,
		"groups": []string{"dev", "ops"},
	}
}

func (s *Server) sign(nonce string) (string, error) {
	all := claims()
	now := time.Now()
	all["iss"], all["aud"], all["iat"], all["exp"] = s.Issuer, ClientID, now.Unix(), now.Add(5*time.Minute).Unix()
	if nonce != "" {
		all["nonce"] = nonce
	}
	if s.Domain != "" {
		all["hd"] = s.Domain
	}
	payload, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	signed, err := s.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (s *Server) userinfo(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, claims()) }

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
