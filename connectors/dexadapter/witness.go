package dexadapter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	dex "github.com/dexidp/dex/connector"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
)

// maxKept is how much of an answer is read, in bytes.
const maxKept = 64 << 10

// witness keeps the upstream's last answer during one call of a connector of Dex.
// Dex formats most causes into text, so the answer itself decides what it means.
type witness struct {
	status            int
	code, description string
	// refreshToken is the one that the upstream gave during the call, if any.
	refreshToken string
	// profile is the end of the path whose answer is kept in said.
	profile string
	said    claims.Set
}

type witnessKey struct{}

// watched returns a client that tells the witness of each request's context what the
// upstream answered.
func watched(client *http.Client) *http.Client {
	own := *client
	own.Transport = watching{client.Transport}
	return &own
}

type watching struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t watching) RoundTrip(r *http.Request) (*http.Response, error) {
	w, watched := r.Context().Value(witnessKey{}).(*witness)
	if watched {
		*w = witness{refreshToken: w.refreshToken, profile: w.profile, said: w.said}
	}
	res, err := t.base.RoundTrip(r)
	if !watched || err != nil {
		return res, err
	}
	w.status = res.StatusCode
	renewal := r.Method == http.MethodPost && res.StatusCode == http.StatusOK
	profile := w.profile != "" && strings.HasSuffix(r.URL.Path, w.profile) && res.StatusCode == http.StatusOK
	if res.StatusCode < http.StatusBadRequest && !renewal && !profile {
		return res, nil
	}
	start, err := io.ReadAll(io.LimitReader(res.Body, maxKept))
	if err != nil {
		return nil, errors.Join(err, res.Body.Close())
	}
	switch {
	case renewal:
		w.keep(start)
	case profile:
		w.said, _ = claims.Decode(start) // Dex's connector says what is wrong with it
	default:
		w.read(start)
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), res.Body), res.Body}
	return res, nil
}

// keep keeps the refresh token of a token response (RFC 6749 section 5.1).
func (w *witness) keep(body []byte) {
	var said struct {
		Token string `json:"refresh_token"`
	}
	if json.Unmarshal(body, &said) == nil && said.Token != "" {
		w.refreshToken = said.Token
	}
}

// replaced returns the connector's data with the refresh token that the upstream gave during the call, or nil. Dex's
// connectors drop the new token when a request after it fails.
func (w *witness) replaced(data []byte) []byte {
	kept := map[string]any{}
	if w.refreshToken == "" || json.Unmarshal(data, &kept) != nil || kept["refreshToken"] == nil {
		return nil
	}
	kept["refreshToken"] = w.refreshToken
	changed, err := json.Marshal(kept)
	if err != nil {
		return nil
	}
	return changed
}

// read reads the error of a token endpoint (RFC 6749 section 5.2) and of the
// interfaces of Microsoft Graph, Bitbucket, GitLab, Gitea and Kubernetes.
func (w *witness) read(body []byte) {
	var said struct {
		Error       json.RawMessage `json:"error"`
		Description string          `json:"error_description"`
		Message     string          `json:"message"`
		Kind        string          `json:"kind"`
	}
	if json.Unmarshal(body, &said) != nil {
		return
	}
	w.description = said.Description
	if w.description == "" {
		w.description = said.Message
	}
	var nested struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	switch {
	case json.Unmarshal(said.Error, &w.code) == nil: // as OAuth says it
		if strings.Contains(w.code, " ") { // GitLab: "404 Not Found"
			w.code, w.description = w.interfaceCode("access_denied"), w.code
		}
	case json.Unmarshal(said.Error, &nested) == nil: // Microsoft Graph, Bitbucket
		w.description = nested.Message
		w.code = w.interfaceCode("insufficient_scope")
	case said.Kind == "Status": // Kubernetes
		w.code = w.interfaceCode("insufficient_scope")
	case said.Message != "": // GitLab and Gitea: 403 is about the account
		w.code = w.interfaceCode("access_denied")
	}
}

// interfaceCode returns the OAuth error code that fits the status of an interface that
// has codes of its own.
func (w *witness) interfaceCode(forbidden string) string {
	switch w.status {
	case http.StatusUnauthorized:
		return "invalid_token"
	case http.StatusForbidden:
		if curable(w.description) {
			return "interaction_required"
		}
		return forbidden
	}
	return ""
}

// curable reports whether the user can lift the refusal in the upstream's own pages. The words are those of GitLab
// (user_access_denied_reason.rb) and of Gitea (services/context/api.go).
func curable(description string) bool {
	return slices.ContainsFunc([]string{
		"must accept the Terms of Service", "log back in", "email address is not confirmed", "password expired", "must change your password", "enable two-factor authentication",
	}, func(words string) bool { return strings.Contains(description, words) })
}

// classify gives an error of Dex's connector its outcome.
func (w *witness) classify(err error) error {
	if notMember(err) {
		return connectors.NewError(connectors.OutcomeDenied, err, "The account is in none of the groups that may sign in.", "Ask an admin to add it to one of them.")
	}
	if w.status < http.StatusBadRequest {
		return unanswered(err)
	}
	code := w.code
	if code == "" && w.status == http.StatusUnauthorized {
		code = "invalid_token"
	}
	return fmt.Errorf("asking the provider: %w", connectors.OAuthError(w.status, code, w.description))
}

// unanswered gives an error its outcome that is no answer of the upstream: Dex's connectors say it in text only.
func unanswered(err error) error {
	switch {
	case strings.Contains(err.Error(), "token expired and refresh token is not set"):
		return connectors.Unconfirmed()
	case strings.Contains(err.Error(), "no confirmed, primary email"): // Bitbucket
		return connectors.NewError(connectors.OutcomeUnusableIdentity, err, "The account has no confirmed primary mail address, which is its user name.", "Confirm it at the provider.")
	}
	return err
}

// notMember reports that Dex misses a group. Most of its connectors say it in text
// only. Each connector's contract test fails if a newer Dex uses other words.
func notMember(err error) bool {
	_, typed := errors.AsType[*dex.UserNotInRequiredGroupsError](err)
	return typed || strings.Contains(err.Error(), "not a member of allowed groups") || strings.Contains(err.Error(), "not in any of the required") ||
		strings.Contains(err.Error(), "does not belong to any of the approved groups")
}

// watch returns a context whose requests the witness sees.
func (w *witness) watch(ctx context.Context) context.Context {
	return context.WithValue(ctx, witnessKey{}, w)
}
