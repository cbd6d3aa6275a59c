// Package device serves the device authorization grant (RFC 8628) for programs
// that can't open a browser. The program gets a device code and a user code; the
// user types the user code in a browser. Package token issues the tokens.
//
//	program ──► POST /device/authorize ──► device code, user code, addresses
//	person  ──► GET /device ──► types the code ──► signs in ──► is asked
//	        ──► POST /device/answer ──► yes or no
//	program ──► POST /token, again and again ──► tokens, or the refusal
package device

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/oidc/clientauth"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
)

// The paths of the endpoint and of the pages, below the issuer.
const (
	AuthorizationPath = "/device/authorize"
	Path              = "/device"
)

const (
	// codeLifetime is how long the user has to enter the code and sign in.
	codeLifetime = 10 * time.Minute
	// pollIntervalSeconds is the least time between polls, in seconds.
	pollIntervalSeconds = 5
)

// Handler serves the endpoint and the pages.
type Handler struct {
	Store    *store.Store
	Auth     *clientauth.Authenticator
	Clients  *clients.Registry
	Sessions *session.Manager
	Access   *access.Policy
	Limit    *ratelimit.Limiter
	Flows    *flow.Sealer
	Site     *web.Site
	Audit    *audit.Log
	Now      func() time.Time
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.POST(AuthorizationPath, h.authorize)
	g.GET(Path, h.showCodeForm)
	g.POST(Path, h.submitCode)
	g.GET(Path+"/ask", h.confirm)
	g.POST(Path+"/answer", h.submitAnswer)
}

// authorizationResponse is the response of RFC 8628 section 3.2.
type authorizationResponse struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int    `json:"expires_in"`
	Interval                int    `json:"interval"`
}

// authorize issues the codes.
func (h *Handler) authorize(c echo.Context) error {
	body, err := h.startDeviceFlow(c)
	if err != nil {
		oauth.FromError(err).Write(c.Response())
		return nil
	}
	oauth.WriteJSON(c.Response(), http.StatusOK, body)
	return nil
}

func (h *Handler) startDeviceFlow(c echo.Context) (*authorizationResponse, error) {
	params, err := oauth.ParseForm(c.Response(), c.Request())
	if err != nil {
		return nil, err
	}
	ctx := c.Request().Context()
	client, err := h.Auth.Authenticate(ctx, clientauth.Request{HTTP: c.Request(), Params: params, Address: c.RealIP()})
	if err != nil {
		return nil, err
	}
	if !client.MayUse(oauth.GrantDeviceCode) {
		return nil, oauth.Errorf(oauth.UnauthorizedClient, "This client may not use this grant type. Ask an admin to allow it.")
	}
	scopes := oauth.ParseScope(params["scope"])
	if !slices.Contains(scopes, oauth.ScopeOpenID) {
		return nil, oauth.Errorf(oauth.InvalidScope, "The scope openid is missing. Add it to the scope parameter.")
	}
	// This is the only row that an unauthenticated request can write.
	verdict, err := h.Limit.Attempt(ctx, ratelimit.DeviceRequest(c.RealIP()))
	if err != nil {
		return nil, err
	}
	if verdict.Wait > 0 {
		return nil, oauth.RateLimited(oauth.SlowDown, verdict.Wait)
	}
	return h.createCodes(ctx, client, scopes, origin{host: oauth.ClientHost(params), address: c.RealIP()})
}

// origin returns the host name that the device reports and the network address of its request.
type origin struct{ host, address string }

func (h *Handler) createCodes(ctx context.Context, client *clients.Client, scopes []string, from origin) (*authorizationResponse, error) {
	code, user, now := secret.Token().Reveal(), newUserCode(), h.Now()
	err := h.Store.CreateDeviceCode(ctx, &store.DeviceCode{
		Hash: secret.Hash(code), UserCodeHash: hashUserCode(user), ClientID: client.ID, Scopes: scopes,
		Host: from.host, Address: from.address, Created: store.At(now), Expires: store.At(now.Add(codeLifetime)),
		IntervalSeconds: pollIntervalSeconds, AMR: store.Strings{},
	})
	if err != nil {
		return nil, err
	}
	h.Audit.LogOnly(ctx, audit.Event{Name: audit.DeviceCodeRequested, ClientID: client.ID, Address: from.address, Detail: from.host})
	page := h.Site.Absolute(Path)
	return &authorizationResponse{
		DeviceCode: code, UserCode: user, VerificationURI: page,
		VerificationURIComplete: page + "?user_code=" + url.QueryEscape(user),
		ExpiresIn:               int(codeLifetime.Seconds()), Interval: pollIntervalSeconds,
	}, nil
}

// recordRefusal records a denial, or too many wrong codes.
func (h *Handler) recordRefusal(c echo.Context, current *session.Current, clientID, reason string) {
	h.Audit.Record(c.Request().Context(), audit.Event{
		Name: audit.DeviceCodeRefused, UserID: current.User.ID, UserName: current.User.KubeName, SignInID: current.SignIn.ID,
		ClientID: clientID, Address: c.RealIP(), Reason: reason,
	})
}

// errUnknownCode is the error for a code that is unknown, used or expired.
func errUnknownCode() error {
	return errs.New(errs.NotFound, "This code is not waiting for an answer. It may be mistyped, older than ten minutes, or answered already. Check it against your terminal, or start again there.")
}

// userCodeAlphabet are the letters of user codes: no vowels, so that codes spell no words, and no letters that look
// alike (RFC 8628 section 6.1).
const userCodeAlphabet = "BCDFGHJKLMNPQRSTVWXZ"

// newUserCode returns eight letters (34 bits), with a dash in the middle.
func newUserCode() string {
	var b strings.Builder
	for i, n := range secret.Digits(8, len(userCodeAlphabet)) {
		if i == 4 {
			b.WriteByte('-')
		}
		b.WriteByte(userCodeAlphabet[n])
	}
	return b.String()
}

// hashUserCode hashes a code as the user typed it. Case, dashes and spaces do not matter.
func hashUserCode(typed string) string {
	clean := strings.Map(func(r rune) rune {
		if strings.ContainsRune(userCodeAlphabet, r) {
			return r
		}
		return -1
	}, strings.ToUpper(typed))
	return secret.Hash("user code\x00" + clean)
}
