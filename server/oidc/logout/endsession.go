package logout

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// EndSessionPath is the path of the end-session endpoint (OpenID Connect RP-Initiated Logout), below the issuer.
const EndSessionPath = "/end-session"

// endSession ends the session if id_token_hint proves that this user signed in at the client. Otherwise it asks the
// user. It redirects only to a URI that is registered for the client of the hint, or of client_id.
func (h *Handler) endSession(c echo.Context) error {
	values := c.QueryParams()
	if c.Request().Method == http.MethodPost {
		if err := c.Request().ParseForm(); err != nil {
			return errs.Wrap(errs.Invalid, err, "This server can’t read the application’s request. Go back to the application and start again.")
		}
		values = c.Request().PostForm //nolint:forbidigo // a media type, not a call
	}
	params, err := oauth.SingleValues(values)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "The application’s sign-out request repeats a parameter. You are still signed in. Use the account menu to sign out.")
	}
	proof, err := h.readHint(params)
	if err != nil {
		return err
	}
	to, err := h.postLogout(c, params, proof)
	if err != nil {
		return err
	}
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	if current != nil && !hintMatches(proof, current) {
		return h.ask(c, to)
	}
	if current != nil {
		if err := h.Sessions.End(c.Response(), c.Request(), current); err != nil {
			return err
		}
	}
	return h.leave(c, to.PostLogoutURI, to.State)
}

// readHint reads the hint. It ignores a hint that this server did not sign.
func (h *Handler) readHint(params oauth.Params) (*issuer.IDTokenHint, error) {
	proof, err := h.Issuer.ReadIDTokenHint(params["id_token_hint"])
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // the hint proves nothing, and nothing has failed
	}
	if id := params["client_id"]; id != "" && id != proof.Audience {
		return nil, errs.New(errs.Invalid, "The client ID in the application’s sign-out request does not match its ID token. You are still signed in. Use the account menu to sign out.")
	}
	return proof, nil
}

// postLogout returns where the user goes after the sign-out. It refuses an address that is not registered. It runs
// before the session ends, so that a refused request changes nothing.
func (h *Handler) postLogout(c echo.Context, params oauth.Params, proof *issuer.IDTokenHint) (Confirmation, error) {
	uri := params["post_logout_redirect_uri"]
	if uri == "" {
		return Confirmation{}, nil
	}
	client, err := h.client(c, clientOf(params, proof))
	if err != nil {
		return Confirmation{}, err
	}
	if client == nil || !slices.Contains(client.PostLogoutURIs, uri) {
		h.recordRefusal(c, client, proof)
		return Confirmation{}, errs.New(errs.Invalid, "The application’s return address is not registered on this server. You are still signed in. Use the account menu to sign out.")
	}
	return Confirmation{ClientID: client.ID, ClientName: client.Name, PostLogoutURI: uri, State: params["state"]}, nil
}

// clientOf returns the id of the client that wants the sign-out: of the hint, of client_id, or of a hint that proves
// nothing, because its key is gone. An address must be registered for the client all the same, and without a proof
// the user is asked.
func clientOf(params oauth.Params, proof *issuer.IDTokenHint) string {
	if proof != nil {
		return proof.Audience
	}
	if id := params["client_id"]; id != "" {
		return id
	}
	return issuer.UnverifiedAudience(params["id_token_hint"])
}

func (h *Handler) recordRefusal(c echo.Context, client *clients.Client, proof *issuer.IDTokenHint) {
	if client == nil || proof == nil {
		return // anyone can send such a request
	}
	h.Sessions.Audit.Record(c.Request().Context(), audit.Event{
		Name: audit.AuthorizationRefused, UserID: proof.Subject, SignInID: proof.SignInID, ClientID: client.ID,
		Address: c.RealIP(), Reason: "post_logout_redirect_uri",
	})
}

// hintMatches reports whether the hint is about the user of this session.
func hintMatches(proof *issuer.IDTokenHint, current *session.Current) bool {
	return proof != nil && proof.Subject == current.User.ID && (proof.SignInID == "" || proof.SignInID == current.SignIn.ID)
}
