// Package fakegithub is a stand-in for GitHub that speaks its protocol over
// HTTP: OAuth with PKCE and single-use codes, and the REST calls that a sign-in
// makes, with paging, errors and revoked tokens. It is strict where GitHub is.
package fakegithub

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The OAuth app that is registered.
const (
	ClientID     = "Iv1.fairlead"
	ClientSecret = "github-secret"
)

// Account is a user of the fake.
type Account struct {
	ID     int64
	Login  string
	Name   string
	Emails []Email
	// Orgs are logins, Teams are "org/slug".
	Orgs, Teams []string
	Suspended   bool
}

// Email is an address of an account.
type Email struct {
	Email    string `json:"email"`
	Primary  bool   `json:"primary"`
	Verified bool   `json:"verified"`
}

// Server is a running fake. In its browser, SignedIn decides who presses
// "Authorize".
type Server struct {
	*httptest.Server
	// PerPage is the page size, small so that paging is exercised.
	PerPage int

	mu       sync.Mutex
	accounts map[string]*Account
	signedIn string
	deny     bool
	broken   int
	codes    map[string]grant
	tokens   map[string]string
	// renewals are the refresh tokens, each good for one use, and whose they are.
	renewals map[string]string
	callback string
}

type grant struct{ login, redirect, challenge string }

// Start runs a fake until the test ends. Callback is the registered URL, or
// a prefix of the ones that are accepted, as at GitHub.
func Start(t testing.TB, callback string) *Server {
	t.Helper()
	s := &Server{
		PerPage: 2, accounts: map[string]*Account{}, codes: map[string]grant{}, tokens: map[string]string{}, renewals: map[string]string{}, callback: callback,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login/oauth/authorize", s.authorize)
	mux.HandleFunc("POST /login/oauth/access_token", s.accessToken)
	mux.HandleFunc("GET /api/v3/user", s.api(s.user))
	mux.HandleFunc("GET /api/v3/user/emails", s.api(s.emails))
	mux.HandleFunc("GET /api/v3/user/orgs", s.api(s.orgs))
	mux.HandleFunc("GET /api/v3/user/teams", s.api(s.teams))
	mux.HandleFunc("GET /api/v3/orgs/{org}", s.org)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// Set adds or replaces an account, found by id, and signs it in at the fake.
func (s *Server) Set(a Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for login, old := range s.accounts {
		if old.ID == a.ID && login != a.Login { // renamed
			delete(s.accounts, login)
			for token, owner := range s.tokens {
				if owner == login {
					s.tokens[token] = a.Login
				}
			}
		}
	}
	s.accounts[a.Login], s.signedIn = &a, a.Login
}

// Deny makes the person press "Cancel".
func (s *Server) Deny() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deny = true
}

// RevokeTokens makes every token invalid, as "Revoke access" does.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = map[string]string{}
}

// Break makes the API answer with a status, 0 for healthy.
func (s *Server) Break(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = status
}

func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	back := q.Get("redirect_uri")
	if q.Get("client_id") != ClientID || !strings.HasPrefix(back, s.callback) {
		http.Error(w, "The redirect_uri is not associated with this application.", http.StatusNotFound)
		return
	}
	answer := url.Values{"state": {q.Get("state")}}
	if s.deny {
		answer.Set("error", "access_denied")
		http.Redirect(w, r, back+"?"+answer.Encode(), http.StatusFound)
		return
	}
	if q.Get("code_challenge_method") != "S256" {
		http.Error(w, "unsupported challenge", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	s.codes[code] = grant{login: s.signedIn, redirect: back, challenge: q.Get("code_challenge")}
	answer.Set("code", code)
	http.Redirect(w, r, back+"?"+answer.Encode(), http.StatusFound)
}

// issue makes tokens that end, as those of a GitHub App do.
func (s *Server) issue(login string) url.Values {
	token, renewal := "gho_"+rand.Text(), "ghr_"+rand.Text()
	s.tokens[token], s.renewals[renewal] = login, login
	return url.Values{"access_token": {token}, "token_type": {"bearer"}, "scope": {"read:org,user:email"}, "expires_in": {"28800"}, "refresh_token": {renewal}}
}

func (s *Server) renew(renewal string) url.Values {
	login, known := s.renewals[renewal]
	delete(s.renewals, renewal)
	if !known {
		return url.Values{"error": {"bad_refresh_token"}}
	}
	return s.issue(login)
}

// accessToken answers 200 even for errors, form-encoded unless JSON is asked
// for: that is how GitHub does it.
func (s *Server) accessToken(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, known := s.codes[r.PostFormValue("code")]
	delete(s.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	answer := url.Values{}
	switch {
	case r.PostFormValue("client_id") != ClientID || r.PostFormValue("client_secret") != ClientSecret:
		answer.Set("error", "incorrect_client_credentials")
	case r.PostFormValue("grant_type") == "refresh_token":
		answer = s.renew(r.PostFormValue("refresh_token"))
	case !known:
		answer.Set("error", "bad_verification_code")
	case r.PostFormValue("redirect_uri") != g.redirect:
		answer.Set("error", "redirect_uri_mismatch")
	case base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge:
		answer.Set("error", "bad_verification_code")
	default:
		answer = s.issue(g.login)
	}
	if !strings.Contains(r.Header.Get("Accept"), "json") {
		w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		fmt.Fprint(w, answer.Encode())
		return
	}
	flat := map[string]string{}
	for name := range answer {
		flat[name] = answer.Get(name)
	}
	writeJSON(w, http.StatusOK, flat)
}

func (s *Server) api(handle func(*Account) []any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.broken != 0 {
			writeJSON(w, s.broken, map[string]string{"message": "Broken on purpose"})
			return
		}
		token := strings.TrimPrefix(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "token ")
		account := s.accounts[s.tokens[token]]
		if account == nil {
			writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "Bad credentials"})
			return
		}
		items := handle(account)
		if r.URL.Path == "/api/v3/user" {
			writeJSON(w, http.StatusOK, items[0])
			return
		}
		s.paged(w, r, items)
	}
}

func (s *Server) paged(w http.ResponseWriter, r *http.Request, items []any) {
	page, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || page < 1 {
		page = 1
	}
	first := min((page-1)*s.PerPage, len(items))
	last := min(first+s.PerPage, len(items))
	if last < len(items) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?page=%d>; rel="next"`, s.URL, r.URL.Path, page+1))
	}
	writeJSON(w, http.StatusOK, items[first:last])
}

func (s *Server) user(a *Account) []any {
	u := map[string]any{"id": a.ID, "login": a.Login, "name": a.Name}
	if a.Suspended {
		u["suspended_at"] = "2026-01-01T00:00:00Z"
	}
	return []any{u}
}

func (s *Server) emails(a *Account) []any {
	items := []any{}
	for _, e := range a.Emails {
		items = append(items, e)
	}
	return items
}

func (s *Server) orgs(a *Account) []any {
	items := []any{}
	for _, org := range a.Orgs {
		items = append(items, map[string]any{"login": org})
	}
	return items
}

// org is public: it says whether an organisation of that name has members here.
func (s *Server) org(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if slices.Contains(a.Orgs, r.PathValue("org")) {
			writeJSON(w, http.StatusOK, map[string]any{"login": r.PathValue("org")})
			return
		}
	}
	writeJSON(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
}

func (s *Server) teams(a *Account) []any {
	items := []any{}
	for _, team := range a.Teams {
		org, slug, _ := strings.Cut(team, "/")
		items = append(items, map[string]any{"slug": slug, "name": strings.ToUpper(slug), "organization": map[string]any{"login": org}})
	}
	return items
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
