// Package fakecrowd stands in for Atlassian Crowd: the calls of its REST interface
// (rest/usermanagement/1) that sign-ins make.
package fakecrowd

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// The application, and the person who is there from the start.
const (
	Application = "fairlead"
	Password    = "s3cret-of-the-application"
	Jane        = "jane"
	JanesWord   = "jane's password"
)

// Server is the upstream.
type Server struct {
	*httptest.Server

	mu      sync.Mutex
	gone    bool
	blocked bool
}

// Start runs Crowd under the context path /crowd until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{}
	const root = "/crowd/rest/usermanagement/1"
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+root+"/authentication", s.application(s.authenticate))
	mux.HandleFunc("GET "+root+"/user", s.application(s.user))
	mux.HandleFunc("GET "+root+"/user/group/nested", s.application(s.groups))
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

// Deactivate switches jane's account off.
func (s *Server) Deactivate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked = true
}

func (s *Server) application(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		if name != Application || password != Password {
			http.Error(w, "Application failed to authenticate", http.StatusUnauthorized)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		next(w, r)
	}
}

// known reports whether the request is about jane. Crowd ignores the case of names.
func (s *Server) known(w http.ResponseWriter, r *http.Request) bool {
	name, key := r.URL.Query().Get("username"), r.URL.Query().Get("key")
	if !s.gone && (name == Jane || name == "JANE" || key == "32769:42") {
		return true
	}
	refuse(w, http.StatusNotFound, "USER_NOT_FOUND")
	return false
}

func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) {
	var said struct{ Value string }
	if json.NewDecoder(r.Body).Decode(&said) != nil {
		refuse(w, http.StatusBadRequest, "ILLEGAL_ARGUMENT")
		return
	}
	name := r.URL.Query().Get("username")
	switch {
	case s.gone || name != Jane && name != "JANE":
		refuse(w, http.StatusBadRequest, "USER_NOT_FOUND")
	case s.blocked:
		refuse(w, http.StatusBadRequest, "INACTIVE_ACCOUNT")
	case said.Value != JanesWord:
		refuse(w, http.StatusBadRequest, "INVALID_USER_AUTHENTICATION")
	default:
		s.user(w, r)
	}
}

func (s *Server) user(w http.ResponseWriter, r *http.Request) {
	if s.known(w, r) {
		answer(w, http.StatusOK, map[string]any{
			"name": Jane, "display-name": "Jane Doe", "email": "jane@example.test", "active": !s.blocked, "key": "32769:42",
		})
	}
}

func (s *Server) groups(w http.ResponseWriter, r *http.Request) {
	if s.known(w, r) {
		answer(w, http.StatusOK, map[string]any{"groups": []any{map[string]string{"name": "platform"}, map[string]string{"name": "acme"}}})
	}
}

func refuse(w http.ResponseWriter, status int, reason string) {
	answer(w, status, map[string]string{"reason": reason, "message": "Crowd says no"})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
