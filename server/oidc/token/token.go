// Package token serves the token endpoint (RFC 6749 section 3.2). It parses the
// form, authenticates the client and runs the grant; each grant has a file of its
// own. Package issuer signs the tokens, and package store makes their use atomic.
package token

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/oidc/clientauth"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/policy/workload"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// Path is the path of the endpoint, below the issuer.
const Path = "/token"

// Handler serves the endpoint.
type Handler struct {
	Store     *store.Store
	Auth      *clientauth.Authenticator
	Issuer    *issuer.Issuer
	Workloads *workload.Registry
	Access    *access.Policy
	Upstream  *upstream.Registry
	Audit     *audit.Log
	Now       func() time.Time
	// RuntimeSettings holds the lifetime of devices and the grace period of used refresh tokens.
	RuntimeSettings *runtimesettings.Settings
	// SetupCodes verifies setup codes. It is nil when they are disabled.
	SetupCodes bool
	// ClusterPagePrefix is the URL of the cluster pages, up to the id of the cluster.
	ClusterPagePrefix string
	// ObserveResult, when set, is called for each response, for metrics.
	ObserveResult func(grant, result string)

	outage databaseOutage
}

// grant handles one grant type. It returns the JSON of the response.
type grant func(ctx context.Context, req *request) ([]byte, error)

// request holds the parameters of a grant.
type request struct {
	client *clients.Client
	params oauth.Params
	// event is the audit event, which the grants complete.
	event audit.Event
}

// grants maps each grant type to its handler.
func (h *Handler) grants() map[string]grant {
	all := map[string]grant{
		oauth.GrantAuthorizationCode: h.authorizationCode,
		oauth.GrantRefreshToken:      h.refresh,
		oauth.GrantDeviceCode:        h.deviceCode,
		oauth.GrantClientCredentials: h.clientCredentials,
		oauth.GrantTokenExchange:     h.exchange,
	}
	if h.SetupCodes {
		all[oauth.GrantSetupCode] = h.setupCode
	}
	return all
}

// Grants returns the supported grant types.
func (h *Handler) Grants() []string { return slices.Sorted(maps.Keys(h.grants())) }

// Mount adds the route.
func (h *Handler) Mount(g *echo.Group) { g.POST(Path, h.serve) }

func (h *Handler) serve(c echo.Context) error {
	req := &request{event: audit.Event{Address: c.RealIP()}}
	body, err := h.runGrant(c, req)
	h.outage.record(err, h.Now())
	name := req.params["grant_type"]
	if err != nil {
		h.recordRefusal(c.Request().Context(), req, name, err)
		oauth.FromError(err).Write(c.Response())
		return nil
	}
	h.observe(name, "ok")
	oauth.WriteBody(c.Response(), http.StatusOK, body)
	return nil
}

func (h *Handler) runGrant(c echo.Context, req *request) ([]byte, error) {
	var err error
	if req.params, err = oauth.ParseForm(c.Response(), c.Request()); err != nil {
		return nil, err
	}
	ctx := c.Request().Context()
	if req.client, err = h.Auth.Authenticate(ctx, clientauth.Request{HTTP: c.Request(), Params: req.params, Address: c.RealIP()}); err != nil {
		return nil, err
	}
	req.event.ClientID = req.client.ID
	name := req.params["grant_type"]
	handle, known := h.grants()[name]
	if !known {
		return nil, oauth.Errorf(oauth.UnsupportedGrantType, "The grant_type is missing or not supported. Choose one from the discovery document.")
	}
	if !req.client.MayUse(name) {
		return nil, oauth.Errorf(oauth.UnauthorizedClient, "This client may not use this grant type. Ask an admin to allow it.")
	}
	return handle(ctx, req)
}

// recordRefusal records a refusal. Refusals of public or unauthenticated clients go to the log only, because anyone
// could fill the audit table with them.
func (h *Handler) recordRefusal(ctx context.Context, req *request, name string, err error) {
	e := oauth.FromError(err)
	h.observe(name, string(e.Code))
	if e.Code == oauth.AuthorizationPending || e.Code == oauth.SlowDown {
		return
	}
	event := req.event
	event.Name, event.Reason, event.Detail = audit.TokenRefused, e.Reason, e.Error()
	if req.client == nil || req.client.Public && req.event.UserID == "" {
		h.Audit.LogOnly(ctx, event)
		return
	}
	h.Audit.Record(ctx, event)
}

func (h *Handler) observe(grantType, result string) {
	if h.ObserveResult == nil {
		return
	}
	if _, known := h.grants()[grantType]; !known {
		grantType = "unknown"
	}
	h.ObserveResult(grantType, result)
}

// tokenResponse is the JSON of RFC 6749 section 5.1 and RFC 8693 section 2.2.1.
type tokenResponse struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int    `json:"expires_in"`
	RefreshToken    string `json:"refresh_token,omitempty"`
	IDToken         string `json:"id_token,omitempty"`
	Scope           string `json:"scope,omitempty"`
}

// authorizeUser rechecks the user at the upstream. For a cluster it also checks the access rules.
func (h *Handler) authorizeUser(ctx context.Context, userID string, cluster *store.Cluster, req *request) (*store.User, error) {
	user, err := h.recheckUserByID(ctx, userID, req)
	if err != nil || cluster == nil {
		return user, err
	}
	return h.authorizeCluster(ctx, user, cluster, req)
}

// recheckUserByID returns the user as their upstream knows them now.
func (h *Handler) recheckUserByID(ctx context.Context, userID string, req *request) (*store.User, error) {
	user, err := h.Upstream.RecheckUserByID(ctx, userID)
	return recheckResult(user, err, req)
}

// recheckUser is like recheckUserByID for a user who was just read.
func (h *Handler) recheckUser(ctx context.Context, user *store.User, req *request) (*store.User, error) {
	user, err := h.Upstream.RecheckUser(ctx, user)
	return recheckResult(user, err, req)
}

func recheckResult(user *store.User, err error, req *request) (*store.User, error) {
	if err != nil {
		return nil, asInvalidGrant(err, "account")
	}
	req.event.UserID, req.event.UserName, req.event.ConnectorID = user.ID, user.KubeName, user.ConnectorID
	return user, nil
}

// authorizeCluster checks the access rules.
func (h *Handler) authorizeCluster(ctx context.Context, user *store.User, cluster *store.Cluster, req *request) (*store.User, error) {
	req.event.UserID, req.event.UserName, req.event.ConnectorID = user.ID, user.KubeName, user.ConnectorID
	req.event.ClusterID = cluster.ID
	if _, err := h.Access.Authorize(ctx, user, cluster, req.event); err != nil {
		return nil, asInvalidGrant(err, "no_access_rule")
	}
	return user, nil
}

// recordClusterUse records that a client that is a cluster got a token.
func (h *Handler) recordClusterUse(ctx context.Context, req *request) error {
	if req.client.Cluster == nil {
		return nil
	}
	return h.Store.RecordClusterUse(ctx, req.event.UserID, req.client.Cluster.ID, h.Now())
}

// asInvalidGrant turns a refusal into invalid_grant and keeps other errors.
func asInvalidGrant(err error, reason string) error {
	if errs.Is(err, errs.Denied) || errs.Is(err, errs.NotFound) {
		return oauth.Errorf(oauth.InvalidGrant, "%s", errs.Message(err)).WithReason(reason)
	}
	return err
}
