// Package fakeforge stands in for upstreams that we can't run: GitLab, Gitea,
// Microsoft Entra ID with Graph, Bitbucket Cloud, LinkedIn, OpenShift, and a plain
// OAuth 2.0 provider.
// It speaks their OAuth code flow and answers the calls that sign-ins make, on
// their own paths.
package fakeforge

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// The client that is registered.
const (
	ClientID     = "fairlead"
	ClientSecret = "s3cret-of-the-client"
)

// Server is the upstream.
type Server struct {
	*httptest.Server
	callback string

	mu     sync.Mutex
	codes  map[string]string // to the code challenge, or ""
	tokens map[string]bool
	// renewals are the refresh tokens that are good for one use.
	renewals map[string]bool
	gone     bool
}

// Start runs an upstream until the test ends. Callback is the registered URL.
func Start(t testing.TB, callback string) *Server {
	t.Helper()
	s := &Server{callback: callback, codes: map[string]string{}, tokens: map[string]bool{}, renewals: map[string]bool{}}
	mux := http.NewServeMux()
	for _, path := range []string{"/oauth/authorize", "/login/oauth/authorize", "/{tenant}/oauth2/v2.0/authorize", "/site/oauth2/authorize", "/authorize", "/oauth/v2/authorization"} {
		mux.HandleFunc("GET "+path, s.authorize)
	}
	for _, path := range []string{"/oauth/token", "/login/oauth/access_token", "/{tenant}/oauth2/v2.0/token", "/site/oauth2/access_token", "/token", "/oauth/v2/accessToken"} {
		mux.HandleFunc("POST "+path, s.token)
	}
	for path, answer := range answers() {
		mux.HandleFunc(path, s.api(answer))
	}
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"issuer": s.URL, "authorization_endpoint": s.URL + "/oauth/authorize", "token_endpoint": s.URL + "/oauth/token"})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// answers are what the interfaces say about jane.
func answers() map[string]any {
	list := func(values ...any) map[string]any { return map[string]any{"values": values, "value": values} }
	return map[string]any{
		"GET /api/v4/user": map[string]any{"id": 42, "name": "Jane Doe", "username": "jane", "email": "jane@example.test", "state": "active", "confirmed_at": "2024-02-01T09:12:11.000Z"},
		"GET /oauth/userinfo": map[string]any{
			"sub": "42", "groups": []string{"acme", "acme/platform"}, "https://gitlab.org/claims/groups/developer": []string{"acme/platform"},
		},
		"GET /api/v1/user":                         map[string]any{"id": 42, "full_name": "Jane Doe", "login": "jane", "email": "jane@example.test", "active": true},
		"GET /api/v1/user/teams":                   []any{map[string]any{"id": 1, "name": "platform", "organization": map[string]any{"id": 1, "username": "acme"}}},
		"GET /v1.0/me":                             map[string]any{"id": "42", "displayName": "Jane Doe", "userPrincipalName": "jane@example.test", "mailNickname": "jane"},
		"POST /v1.0/me/getMemberGroups":            map[string]any{"value": []string{"11111111-2222-3333-4444-555555555555"}},
		"POST /v1.0/directoryObjects/getByIds":     map[string]any{"value": []any{map[string]any{"displayName": "platform"}}},
		"GET /2.0/user":                            map[string]any{"username": "jane", "uuid": "{42}"},
		"GET /2.0/user/emails":                     list(map[string]any{"is_primary": true, "is_confirmed": true, "email": "jane@example.test"}),
		"GET /2.0/user/workspaces":                 list(map[string]any{"workspace": map[string]any{"slug": "acme"}}),
		"GET /2.0/user/workspaces/acme/permission": map[string]any{"permission": "member"},
		"GET /v2/userinfo":                         map[string]any{"sub": "42", "name": "Jane Doe", "given_name": "Jane", "family_name": "Doe", "email": "jane@example.test", "email_verified": true},
		"GET /apis/user.openshift.io/v1/users/~":   map[string]any{"kind": "User", "metadata": map[string]any{"name": "jane", "uid": "42"}, "fullName": "Jane Doe", "identities": []string{"ldap:jane"}, "groups": []string{"acme", "platform"}},
		"GET /userinfo":                            map[string]any{"id": "42", "preferred_username": "jane", "user_name": "Jane Doe", "email": "jane@example.test", "email_verified": true, "groups": []string{"acme", "platform"}},
	}
}

// Register changes the registered callback.
func (s *Server) Register(callback string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callback = callback
}

// Leave makes jane's account go: her tokens are worth nothing.
func (s *Server) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone, s.tokens = true, map[string]bool{}
}

func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	// Bitbucket uses the registered address when none is given.
	named := q.Get("redirect_uri") == s.callback || q.Get("redirect_uri") == "" && strings.HasPrefix(r.URL.Path, "/site/")
	if q.Get("client_id") != ClientID || !named || q.Get("response_type") != "code" {
		http.Error(w, "The redirect URI is not registered for this application.", http.StatusBadRequest)
		return
	}
	if q.Has("code_challenge") && (q.Get("code_challenge_method") != "S256" || strings.HasPrefix(r.URL.Path, "/oauth/v2/")) { // LinkedIn refuses any
		http.Error(w, "There is a code challenge that is not known here.", http.StatusBadRequest)
		return
	}
	if s.gone {
		http.Redirect(w, r, s.callback+"?"+url.Values{"error": {"access_denied"}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
		return
	}
	code := rand.Text()
	s.codes[code] = q.Get("code_challenge")
	http.Redirect(w, r, s.callback+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != ClientID || secret != ClientSecret {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	code := r.PostFormValue("code")
	challenge, known := s.codes[code]
	delete(s.codes, code)
	renewal := r.PostFormValue("refresh_token")
	good := s.renewals[renewal] && !s.gone || known && meets(challenge, r.PostFormValue("code_verifier"))
	if !good {
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	token, next := rand.Text(), rand.Text()
	delete(s.renewals, renewal)
	s.tokens[token], s.renewals[next] = true, true
	answer(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "bearer", "refresh_token": next, "expires_in": 7200})
}

// meets reports whether a verifier fits its challenge (RFC 7636 section 4.6).
func meets(challenge, verifier string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return challenge == "" && verifier == "" || challenge == base64.RawURLEncoding.EncodeToString(sum[:])
}

func (s *Server) api(body any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		known := s.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		s.mu.Unlock()
		if !known {
			answer(w, http.StatusUnauthorized, map[string]any{"error": map[string]string{"code": "InvalidAuthenticationToken", "message": "401 Unauthorized"}})
			return
		}
		if page := r.URL.Query().Get("page"); page != "" && page != "1" {
			answer(w, http.StatusOK, []any{})
			return
		}
		answer(w, http.StatusOK, body)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// Transport sends every request to the upstream, whatever its host: for upstreams
// whose address is fixed.
func (s *Server) Transport() http.RoundTripper { return detour{s} }

type detour struct{ s *Server }

// RoundTrip implements http.RoundTripper.
func (d detour) RoundTrip(r *http.Request) (*http.Response, error) {
	u, err := url.Parse(d.s.URL)
	if err != nil {
		return nil, err
	}
	sent := r.Clone(r.Context())
	sent.URL.Scheme, sent.URL.Host = u.Scheme, u.Host
	return http.DefaultTransport.RoundTrip(sent)
}
