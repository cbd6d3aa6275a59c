package authorize

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/oidc/authresponse"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
)

// The largest parameters, in bytes.
const (
	maxRedirectURIBytes = 2048
	maxStateBytes       = 2048
	maxNonceBytes       = 512
	maxClaimsBytes      = 4096
)

var challengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// request is a validated request.
type request struct {
	client *clients.Client
	flow   *flow.Flow
	// silent is prompt=none: the server may not show a page.
	silent bool
	// signIn is the session of the browser, once it was read.
	signIn *session.Current
}

// clientError is an error that must not go to the redirect URI, because the client or the URI itself is invalid
// (RFC 6749 section 4.1.2.1).
func clientError(message string) error { return errs.New(errs.Invalid, message) }

// parse validates a request. A plain error is for a page. An *oauth.Error is for the client, at the redirect URI in
// the returned flow.
func (h *Handler) parse(ctx context.Context, params oauth.Params, repeated error) (*request, error) {
	client, err := h.Clients.Find(ctx, params["client_id"])
	if errs.Is(err, errs.NotFound) {
		return nil, clientError("This server does not know the application that sent you here. Ask the owner of the application to check the client ID.")
	}
	if err != nil {
		return nil, err
	}
	uri := params["redirect_uri"]
	if len(uri) > maxRedirectURIBytes || !client.AllowsRedirect(uri) {
		return nil, clientError("The application’s redirect URI is not registered on this server. Ask the owner of the application to check it.")
	}
	p := &request{client: client, flow: &flow.Flow{Request: &flow.Request{ClientID: client.ID, RedirectURI: uri}}}
	if len(params["state"]) <= maxStateBytes {
		p.flow.Request.State = params["state"]
	}
	if params["response_mode"] == authresponse.FormPost && strings.HasPrefix(uri, "http") {
		p.flow.Request.ResponseMode = authresponse.FormPost
	}
	if repeated != nil {
		return p, repeated
	}
	return p, h.check(p, params)
}

func (h *Handler) check(p *request, params oauth.Params) error {
	for _, check := range []func(*request, oauth.Params) error{checkUnsupported, checkShape, checkPKCE, h.checkPrompt, checkScope, checkClaims, h.checkHint} {
		if err := check(p, params); err != nil {
			return err
		}
	}
	req := p.flow.Request
	req.Nonce, req.LoginHint, req.ConnectorID = params["nonce"], params["login_hint"], params["connector_id"]
	req.ClientHost = oauth.ClientHost(params)
	return nil
}

func checkUnsupported(_ *request, params oauth.Params) error {
	switch {
	case params["request"] != "":
		return oauth.Errorf(oauth.RequestNotSupported, "This server does not support request objects. Send the parameters one by one.")
	case params["request_uri"] != "":
		return oauth.Errorf(oauth.RequestURINotSupported, "This server does not support request_uri. Send the parameters one by one.")
	case params["registration"] != "":
		return oauth.Errorf(oauth.RegistrationNotSupported, "This server does not support client registration in a request. Ask an admin to register the client.")
	case params["response_type"] != "code":
		return oauth.Errorf(oauth.UnsupportedResponseType, "This server supports only response_type=code. Set response_type to code.")
	case params["response_mode"] != "" && !slices.Contains(authresponse.Modes(), params["response_mode"]):
		return oauth.Errorf(oauth.InvalidRequest, "The response_mode is not supported. Use one of: %s.", strings.Join(authresponse.Modes(), ", "))
	}
	return nil
}

func checkScope(p *request, params oauth.Params) error {
	p.flow.Request.Scopes = oauth.ParseScope(params["scope"])
	if !slices.Contains(p.flow.Request.Scopes, oauth.ScopeOpenID) {
		return oauth.Errorf(oauth.InvalidScope, "The scope openid is missing. Add it to the scope parameter.")
	}
	return nil
}

// checkHint reads the user from id_token_hint. A hint that this server did not sign, or whose key is gone, says
// nothing: the user signs in as without it, and a request with prompt=none is told login_required.
func (h *Handler) checkHint(p *request, params oauth.Params) error {
	if params["id_token_hint"] == "" {
		return nil
	}
	hint, err := h.Codes.Issuer.ReadIDTokenHint(params["id_token_hint"])
	if err != nil && p.silent {
		return oauth.Errorf(oauth.LoginRequired, "This server does not recognize the id_token_hint. Ask the user to sign in.")
	}
	if err != nil {
		return nil //nolint:nilerr // the hint says nothing, and nothing has failed
	}
	if p.flow.Request.HintedUserID != "" && p.flow.Request.HintedUserID != hint.Subject {
		return oauth.Errorf(oauth.InvalidRequest, "The id_token_hint and the claims parameter name different users. Send only one of them.")
	}
	p.flow.Request.HintedUserID = hint.Subject
	return nil
}

func checkShape(p *request, params oauth.Params) error {
	switch {
	case len(params["state"]) > maxStateBytes:
		return oauth.Errorf(oauth.InvalidRequest, "The state is longer than %d bytes. Send a shorter one.", maxStateBytes)
	case len(params["nonce"]) > maxNonceBytes:
		return oauth.Errorf(oauth.InvalidRequest, "The nonce is longer than %d bytes. Send a shorter one.", maxNonceBytes)
	case params["response_mode"] == authresponse.FormPost && p.flow.Request.ResponseMode != authresponse.FormPost:
		return oauth.Errorf(oauth.InvalidRequest, "The response_mode form_post needs an http or https redirect_uri. Use response_mode=query.")
	case !p.client.MayUse(oauth.GrantAuthorizationCode):
		return oauth.Errorf(oauth.UnauthorizedClient, "This client may not use the authorization code grant. Ask an admin to allow it.")
	}
	return nil
}

// checkPKCE requires S256, because "plain" does not protect the code (RFC 7636 section 7.2).
func checkPKCE(p *request, params oauth.Params) error {
	challenge, method := params["code_challenge"], params["code_challenge_method"]
	switch {
	case challenge == "" && method == "" && !p.client.PKCERequired:
		return nil
	case challenge == "":
		return oauth.Errorf(oauth.InvalidRequest, "PKCE is required. Send code_challenge and code_challenge_method=S256.")
	case method != "S256":
		return oauth.Errorf(oauth.InvalidRequest, "The code_challenge_method is not supported. Set it to S256.")
	case !challengePattern.MatchString(challenge):
		return oauth.Errorf(oauth.InvalidRequest, "The code_challenge is not a base64url-encoded SHA-256 hash. Send 43 characters without padding.")
	}
	p.flow.Request.Challenge = challenge
	return nil
}

func (h *Handler) checkPrompt(p *request, params oauth.Params) error {
	prompts := strings.Fields(params["prompt"])
	now := h.Now()
	for _, prompt := range prompts {
		switch prompt {
		case "none":
			p.silent = true
		case "login", "select_account":
			p.flow.AuthenticatedAfter = store.At(now)
		case "consent":
			p.flow.Request.ForceConsent = true
		default:
			return oauth.Errorf(oauth.InvalidRequest, "The prompt value %q is not supported. Use none, login, consent or select_account.", prompt)
		}
	}
	if p.silent && len(prompts) > 1 {
		return oauth.Errorf(oauth.InvalidRequest, "The prompt value none can't be combined with other values. Send it alone.")
	}
	if params["max_age"] == "" {
		return nil
	}
	seconds, err := strconv.Atoi(params["max_age"])
	if err != nil || seconds < 0 {
		return oauth.Errorf(oauth.InvalidRequest, "The max_age is not a number of seconds. Send an integer of 0 or more.")
	}
	p.flow.AuthenticatedAfter = max(p.flow.AuthenticatedAfter, store.At(now.Add(-time.Duration(seconds)*time.Second)))
	return nil
}
