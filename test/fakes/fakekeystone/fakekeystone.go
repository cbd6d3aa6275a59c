// Package fakekeystone stands in for OpenStack Keystone: the calls of its Identity
// API v3 that sign-ins make.
package fakekeystone

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// The people who are there from the start, all in the domain with the id "default" and
// the name "Default". The service user has the role reader on the domain.
const (
	Service      = "fairlead"
	ServicesWord = "s3cret-of-the-service-user"
	Jane         = "jane"
	JanesWord    = "jane's password"
	janesID      = "4242"
)

// Server is the upstream.
type Server struct {
	*httptest.Server

	mu       sync.Mutex
	tokens   map[string]bool // to whether it may read users
	gone     bool
	disabled bool
}

// Start runs Keystone until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{tokens: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v3/auth/tokens", s.token)
	mux.HandleFunc("GET /v3/users/{id}", s.read(map[string]any{"user": map[string]any{"id": janesID, "name": Jane, "email": "jane@example.test", "enabled": true}}))
	mux.HandleFunc("GET /v3/users/{id}/groups", s.read(map[string]any{"groups": []any{map[string]string{"id": "1", "name": "platform"}, map[string]string{"id": "2", "name": "acme"}}}))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// Leave deletes jane.
func (s *Server) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
}

// Disable switches jane's account off.
func (s *Server) Disable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled = true
}

type domain struct{ ID, Name string }

func (d domain) right() bool { return d.ID == "default" || d.Name == "Default" }

type request struct {
	Auth struct {
		Identity struct {
			Methods  []string
			Password struct {
				User struct {
					Name, Password string
					Domain         domain
				}
			}
		}
		Scope any
	}
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	var said request
	if json.NewDecoder(r.Body).Decode(&said) != nil || len(said.Auth.Identity.Methods) != 1 {
		refuse(w, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	user := said.Auth.Identity.Password.User
	id := ""
	switch {
	case !user.Domain.right():
	case strings.EqualFold(user.Name, Jane) && user.Password == JanesWord && !s.gone && !s.disabled: // its database ignores case
		id = janesID
	case user.Name == Service && user.Password == ServicesWord:
		id = "1"
	}
	_, scoped := said.Auth.Scope.(map[string]any)
	if id == "" || scoped && id != "1" { // only the service user has a role
		refuse(w, http.StatusUnauthorized)
		return
	}
	token := rand.Text()
	s.tokens[token] = scoped
	w.Header().Set("X-Subject-Token", token)
	answer(w, http.StatusCreated, map[string]any{"token": map[string]any{"user": map[string]any{"id": id, "name": user.Name, "domain": map[string]string{"id": "default", "name": "Default"}}}})
}

func (s *Server) read(body map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		reads, known := s.tokens[r.Header.Get("X-Auth-Token")]
		switch {
		case !known:
			refuse(w, http.StatusUnauthorized)
		case !reads:
			refuse(w, http.StatusForbidden)
		case s.gone || r.PathValue("id") != janesID:
			refuse(w, http.StatusNotFound)
		default:
			if user, ok := body["user"].(map[string]any); ok {
				user["enabled"] = !s.disabled
			}
			answer(w, http.StatusOK, body)
		}
	}
}

func refuse(w http.ResponseWriter, status int) {
	answer(w, status, map[string]any{"error": map[string]any{"code": status, "title": http.StatusText(status), "message": "Keystone says no"}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
