// Package token is the token endpoint: one pipeline (read the form, find and
// authenticate the client, check the grant) and one file per grant. It leaves
// minting to server/issuer and atomicity to server/store.
package token

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/access"
	"github.com/fairlead-auth/fairlead/server/clients"
	"github.com/fairlead-auth/fairlead/server/issuer"
	"github.com/fairlead-auth/fairlead/server/oauth"
	"github.com/fairlead-auth/fairlead/server/session"
	"github.com/fairlead-auth/fairlead/server/store"
	"github.com/fairlead-auth/fairlead/server/upstream"
)

// Path is where the endpoint is, below the issuer.
const Path = "/token"

// Handler is the endpoint.
type Handler struct {
	Store    *store.Store
	Clients  *clients.Registry
	Issuer   *issuer.Issuer
	Access   *access.Policy
	Upstream *upstream.Registry
	Audit    *audit.Log
	Now      func() time.Time
	// Policy is how long devices last.
	Policy session.Policy
	// Grace is how long a refresh token that was just used still gives the same
	// answer.
	Grace time.Duration
	// Issued, when set, is told about each answer, for metrics.
	Issued func(grant, result string)
}

// grant is one way to get a token. It returns the JSON of the answer.
type grant func(ctx context.Context, req *request) ([]byte, error)

// request is what a grant may look at.
type request struct {
	client *clients.Client
	params oauth.Params
	// event is the start of what will be recorded; grants complete it.
	event audit.Event
}

// grants is the list. Discovery reads it through Grants.
func (h *Handler) grants() map[string]grant {
	return map[string]grant{
		oauth.GrantAuthorizationCode: h.authorizationCode,
		oauth.GrantRefreshToken:      h.refresh,
		oauth.GrantTokenExchange:     h.exchange,
	}
}

// Grants returns the grant types that the endpoint knows.
func Grants() []string {
	return []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantTokenExchange}
}

// Mount adds the route.
func (h *Handler) Mount(g *echo.Group) { g.POST(Path, h.serve) }

func (h *Handler) serve(c echo.Context) error {
	req := &request{event: audit.Event{Address: c.RealIP()}}
	body, err := h.answer(c, req)
	name := req.params["grant_type"]
	if err != nil {
		h.refuse(c.Request().Context(), req, name, err)
		oauth.From(err).Write(c.Response())
		return nil
	}
	h.count(name, "ok")
	oauth.WriteBody(c.Response(), http.StatusOK, body)
	return nil
}

func (h *Handler) answer(c echo.Context, req *request) ([]byte, error) {
	var err error
	if req.params, err = oauth.Form(c.Response(), c.Request()); err != nil {
		return nil, err
	}
	ctx := c.Request().Context()
	if req.client, err = Authenticate(ctx, h.Clients, c.Request(), req.params); err != nil {
		return nil, err
	}
	req.event.ClientID = req.client.ID
	name := req.params["grant_type"]
	handle, known := h.grants()[name]
	if !known {
		return nil, oauth.Errorf(oauth.UnsupportedGrantType, "The grant type is missing or not supported here.")
	}
	if !req.client.MayUse(name) {
		return nil, oauth.Errorf(oauth.UnauthorizedClient, "The client may not use this grant type.")
	}
	return handle(ctx, req)
}

// refuse records a refusal. What an unknown client sends is not worth a row.
func (h *Handler) refuse(ctx context.Context, req *request, name string, err error) {
	e := oauth.From(err)
	h.count(name, string(e.Code))
	if req.client == nil {
		return
	}
	event := req.event
	event.Name, event.Reason, event.Detail = audit.TokenRefused, e.Reason, e.Error()
	h.Audit.Record(ctx, event)
}

func (h *Handler) count(grantType, result string) {
	if h.Issued == nil {
		return
	}
	if _, known := h.grants()[grantType]; !known {
		grantType = "unknown"
	}
	h.Issued(grantType, result)
}

// Authenticate finds the client of a request and checks its secret, sent as
// Basic or in the form but not both (RFC 6749 section 2.3).
func Authenticate(ctx context.Context, registry *clients.Registry, r *http.Request, params oauth.Params) (*clients.Client, error) {
	id, given, basic, err := credentials(r, params)
	if err != nil {
		return nil, err
	}
	client, err := registry.Find(ctx, id)
	if errs.Is(err, errs.NotFound) || id == "" {
		return nil, oauth.Errorf(oauth.InvalidClient, "The client is not known here.")
	}
	if err != nil {
		return nil, err
	}
	switch {
	case client.Public && given == "" && !basic:
		return client, nil
	case !client.Public && client.CheckSecret(given):
		return client, nil
	}
	return nil, oauth.Errorf(oauth.InvalidClient, "The client could not be authenticated. Check its id and secret.")
}

func credentials(r *http.Request, params oauth.Params) (id, given string, basic bool, err error) { //nolint:revive // three parts of one credential
	user, pass, basic := r.BasicAuth()
	if !basic {
		return params["client_id"], params["client_secret"], false, nil
	}
	id, errID := url.QueryUnescape(user)
	given, errSecret := url.QueryUnescape(pass)
	if errID != nil || errSecret != nil {
		return "", "", true, oauth.Errorf(oauth.InvalidClient, "The Basic credentials are not form-encoded.")
	}
	if params["client_secret"] != "" || (params["client_id"] != "" && params["client_id"] != id) {
		return "", "", true, oauth.Errorf(oauth.InvalidRequest, "The client authenticated in two ways.")
	}
	return id, given, true, nil
}

// answer is the JSON of RFC 6749 section 5.1 and RFC 8693 section 2.2.1.
type answer struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int    `json:"expires_in"`
	RefreshToken    string `json:"refresh_token,omitempty"`
	IDToken         string `json:"id_token,omitempty"`
	Scope           string `json:"scope,omitempty"`
}

// allowed asks the upstream about the person and, for a cluster, the rules.
func (h *Handler) allowed(ctx context.Context, userID string, cluster *store.Cluster, req *request) (*store.User, error) {
	user, err := h.Upstream.Fresh(ctx, userID)
	if err != nil {
		return nil, denied(err, oauth.InvalidGrant, "account")
	}
	req.event.UserID, req.event.UserName, req.event.ConnectorID = user.ID, user.KubeName, user.ConnectorID
	if cluster == nil {
		return user, nil
	}
	req.event.ClusterID = cluster.ID
	if _, err := h.Access.Use(ctx, user, cluster, req.event); err != nil {
		return nil, denied(err, oauth.InvalidGrant, "no_access_rule")
	}
	return user, nil
}

// denied turns a refusal into the protocol's words and keeps other errors.
func denied(err error, code oauth.Code, reason string) error {
	if errs.Is(err, errs.Denied) || errs.Is(err, errs.NotFound) {
		return oauth.Errorf(code, "%s", errs.Message(err)).Because(reason)
	}
	return err
}
