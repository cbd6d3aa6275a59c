package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

// fakeServer answers the plugin as a Fairlead server does, without checking anything.
type fakeServer struct {
	*httptest.Server
	mu       sync.Mutex
	clusters []apitypes.Cluster
	ends     time.Time
	// ended makes the server refuse the session's tokens.
	ended bool
	// delay delays the list of clusters.
	delay time.Duration
}

func startServer(t *testing.T, clusters ...apitypes.Cluster) *fakeServer {
	t.Helper()
	s := &fakeServer{clusters: clusters, ends: time.Now().Add(6*24*time.Hour + time.Hour)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		respond(w, http.StatusOK, map[string]any{"issuer": "http://" + r.Host})
	})
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /device/authorize", func(w http.ResponseWriter, r *http.Request) {
		respond(w, http.StatusOK, map[string]any{"device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "http://" + r.Host + "/device", "expires_in": 600, "interval": 1})
	})
	mux.HandleFunc("POST /revoke", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET "+apitypes.ClustersPath, s.listClusters)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func respond(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *fakeServer) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.FormValue("grant_type") == "urn:ietf:params:oauth:grant-type:device_code":
		respond(w, http.StatusBadRequest, map[string]any{"error": "authorization_pending", "error_description": "Not yet."})
	case s.ended:
		respond(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "The session was ended on the account page."})
	default:
		respond(w, http.StatusOK, map[string]any{"access_token": "access", "refresh_token": "refresh", "expires_in": 300})
	}
}

func (s *fakeServer) listClusters(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	delay, ended, list := s.delay, s.ended, apitypes.Clusters{User: "local:jane@example.test", Clusters: s.clusters, SignInEnds: s.ends}
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return
	}
	if ended {
		respond(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token", "error_description": "The session was ended on the account page."})
		return
	}
	respond(w, http.StatusOK, list)
}

// set changes the server's behaviour.
func (s *fakeServer) set(change func(s *fakeServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}
