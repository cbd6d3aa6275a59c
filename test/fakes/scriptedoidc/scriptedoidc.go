// Package scriptedoidc is an OpenID provider that answers exactly as a script says:
// the claims, the answers of the token and userinfo endpoints, and the published
// keys are data. Tests use it to replay what real products send.
package scriptedoidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Answer is one answer of an endpoint.
type Answer struct {
	// Status is the HTTP status. 0 means 200.
	Status int `json:"status"`
	// ContentType defaults to application/json.
	ContentType string `json:"contentType"`
	// Challenge is sent as WWW-Authenticate.
	Challenge string `json:"challenge"`
	// Header is sent as well.
	Header map[string]string `json:"header"`
	// Body is sent as it is.
	Body json.RawMessage `json:"body"`
	// Text is sent instead of Body, if set.
	Text string `json:"text"`
}

// Script says how the provider answers from now on.
type Script struct {
	// Redirect are the parameters with which the browser is sent back instead of a
	// code, such as an error.
	Redirect map[string]string `json:"redirect"`
	// Claims are those of the ID token, besides iss, aud, iat, exp and nonce. Nil
	// means that there is no ID token.
	Claims map[string]any `json:"claims"`
	// Omit are claims to leave out of the ID token, such as "nonce".
	Omit []string `json:"omit"`
	// Token are members of the token answer that replace the usual ones; null removes
	// one.
	Token map[string]any `json:"token"`
	// TokenAnswer replaces the token answer.
	TokenAnswer *Answer `json:"tokenAnswer"`
	// UserInfo answers the userinfo endpoint. Nil means that there is none.
	UserInfo *Answer `json:"userinfo"`
	// Answers are those of other addresses, by path, such as "/api/v4/user". They come before the usual ones.
	Answers map[string]Answer `json:"answers"`
	// ExtraKeys are published before the real key.
	ExtraKeys []json.RawMessage `json:"extraKeys"`
	// KeyMembers are added to the real key.
	KeyMembers map[string]any `json:"keyMembers"`
	// Discovery are members of the discovery document that replace the usual ones;
	// null removes one.
	Discovery map[string]any `json:"discovery"`
}

// Server is a running provider.
type Server struct {
	*httptest.Server
	// Now is the provider's clock. Set it before the first request.
	Now    func() time.Time
	signer jose.Signer
	key    jose.JSONWebKey

	mu       sync.Mutex
	script   Script
	asked    url.Values
	nonce    string
	renewals int
	keysRead int
}

// Start runs a provider until the test ends.
func Start(t testing.TB, script Script) *Server {
	t.Helper()
	s := &Server{script: script, Now: time.Now}
	s.Rotate(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", s.discovery)
	mux.HandleFunc("GET /keys", s.keys)
	mux.HandleFunc("GET /authorize", s.authorize)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("GET /userinfo", s.userInfo)
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", s.discovery)
	mux.HandleFunc("/", s.oauth)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer, scripted := s.now().Answers[r.URL.Path]; scripted {
			if page := r.URL.Query().Get("page"); page != "" && page != "1" {
				answer = Answer{Body: json.RawMessage("[]")} // a list has one page
			}
			answer.write(w)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// Rotate replaces the signing key.
func (s *Server) Rotate(t testing.TB) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private := jose.JSONWebKey{Key: key, KeyID: rand.Text(), Algorithm: "ES256", Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signer, s.key = signer, private.Public()
}

// KeysRead returns how often the keys were read.
func (s *Server) KeysRead() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keysRead
}

// Token returns a signed ID token with these claims.
func (s *Server) Token(t testing.TB, claims map[string]any) string {
	t.Helper()
	token, err := s.sign(Script{Claims: claims}, false)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Say changes the script.
func (s *Server) Say(script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Asked returns the parameters of the last authorization request.
func (s *Server) Asked() url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *Server) now() Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.script
}

func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	script := s.now()
	doc := map[string]any{
		"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"ES256"},
	}
	if script.UserInfo != nil {
		doc["userinfo_endpoint"] = s.URL + "/userinfo"
	}
	write(w, http.StatusOK, replace(doc, script.Discovery))
}

func (s *Server) keys(w http.ResponseWriter, _ *http.Request) {
	script := s.now()
	s.mu.Lock()
	key := s.key
	s.keysRead++
	s.mu.Unlock()
	own := map[string]any{}
	text, err := key.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(text, &own)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	all := make([]any, 0, len(script.ExtraKeys)+1)
	for _, key := range script.ExtraKeys {
		all = append(all, key)
	}
	write(w, http.StatusOK, map[string]any{"keys": append(all, replace(own, script.KeyMembers))})
}

// oauth serves the authorization and the token endpoint under the path of any product.
func (s *Server) oauth(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && r.URL.Query().Get("response_type") == "code":
		s.authorize(w, r)
	case r.Method == http.MethodPost && r.PostFormValue("grant_type") != "":
		s.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Transport sends every request to the provider, for connectors whose upstream has a fixed address.
func (s *Server) Transport() http.RoundTripper { return toServer{s.Listener.Addr().String()} }

type toServer struct{ host string }

// RoundTrip implements http.RoundTripper.
func (t toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", t.host
	return http.DefaultTransport.RoundTrip(r)
}

func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	s.asked, s.nonce = q, q.Get("nonce")
	back := url.Values{"code": {"code"}}
	if len(s.script.Redirect) > 0 {
		back = url.Values{}
		for name, value := range s.script.Redirect {
			back.Set(name, value)
		}
	}
	s.mu.Unlock()
	back.Set("state", q.Get("state"))
	to := q.Get("redirect_uri")
	if to == "" {
		to = "http://127.0.0.1/registered" // Bitbucket takes the registered address
	}
	http.Redirect(w, r, to+"?"+back.Encode(), http.StatusFound)
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	script := s.now()
	if script.TokenAnswer != nil {
		script.TokenAnswer.write(w)
		return
	}
	refresh, good := s.rotate(r.PostFormValue("refresh_token"))
	if !good {
		write(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "The refresh token was used before."})
		return
	}
	answer := map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 300, "refresh_token": refresh}
	if script.Claims != nil {
		signed, err := s.sign(script, r.PostFormValue("grant_type") == "authorization_code")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer["id_token"] = signed
	}
	write(w, http.StatusOK, replace(answer, script.Token))
}

// rotate returns the next refresh token. It refuses one that was used before.
func (s *Server) rotate(used string) (next string, good bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if used != "" && used != fmt.Sprintf("refresh-%d", s.renewals) {
		return "", false
	}
	s.renewals++
	return fmt.Sprintf("refresh-%d", s.renewals), true
}

// sign makes an ID token. Only the one for a code has the nonce.
func (s *Server) sign(script Script, withNonce bool) (string, error) {
	now := s.Now()
	claims := map[string]any{"iss": s.URL, "aud": "client", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	s.mu.Lock()
	signer := s.signer
	if withNonce {
		claims["nonce"] = s.nonce
	}
	s.mu.Unlock()
	maps.Copy(claims, script.Claims)
	for _, name := range script.Omit {
		delete(claims, name)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding the claims: %w", err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return signed.CompactSerialize()
}

func (s *Server) userInfo(w http.ResponseWriter, _ *http.Request) {
	script := s.now()
	if script.UserInfo == nil {
		http.Error(w, "there is no such endpoint", http.StatusNotFound)
		return
	}
	script.UserInfo.write(w)
}

func (a *Answer) write(w http.ResponseWriter) {
	if a.Challenge != "" {
		w.Header().Set("WWW-Authenticate", a.Challenge)
	}
	w.Header().Set("Content-Type", "application/json")
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	if a.ContentType != "" {
		w.Header().Set("Content-Type", a.ContentType)
	}
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	if a.Text != "" {
		_, _ = w.Write([]byte(a.Text))
		return
	}
	_, _ = w.Write(a.Body)
}

// replace sets members of an object; null removes one.
func replace(object, with map[string]any) map[string]any {
	maps.Copy(object, with)
	for name, value := range with {
		if value == nil {
			delete(object, name)
		}
	}
	return object
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
