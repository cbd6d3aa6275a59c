package logout

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// EndSessionPath is the path of the end-session endpoint (OpenID Connect RP-Initiated Logout), below the issuer.
const EndSessionPath = "/end-session"

// endSession ends the session if id_token_hint proves that this user signed in at the client. Otherwise it asks the
// user. It redirects only to a URI that is registered for the client of the hint.
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
	if err := h.checkPostLogoutURI(c, params, proof); err != nil {
		return err
	}
	current, err := h.Sessions.Current(c.Request())
	if err != nil {
		return err
	}
	if current != nil && !hintMatches(proof, current) {
		return web.Render(c, h.Site, web.View[NoData]{Page: ConfirmPage(), Title: i18n.T("Sign out")})
	}
	if current != nil {
		if err := h.Sessions.End(c.Response(), c.Request(), current); err != nil {
			return err
		}
	}
	if uri := params["post_logout_redirect_uri"]; uri != "" {
		return c.Redirect(http.StatusSeeOther, oauth.RedirectURL(uri, map[string]string{"state": params["state"]}))
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/signed-out"))
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

// checkPostLogoutURI refuses an address that is not registered. It runs before the session ends, so that a refused
// request changes nothing.
func (h *Handler) checkPostLogoutURI(c echo.Context, params oauth.Params, proof *issuer.IDTokenHint) error {
	uri := params["post_logout_redirect_uri"]
	if uri == "" {
		return nil
	}
	refusal := errs.New(errs.Invalid, "The application’s return address is not registered on this server. You are still signed in. Use the account menu to sign out.")
	if proof == nil {
		return refusal
	}
	client, err := h.Clients.Find(c.Request().Context(), proof.Audience)
	if errs.Is(err, errs.NotFound) {
		return refusal
	}
	if err != nil {
		return err
	}
	if !slices.Contains(client.PostLogoutURIs, uri) {
		h.Sessions.Audit.Record(c.Request().Context(), audit.Event{
			Name: audit.AuthorizationRefused, UserID: proof.Subject, SignInID: proof.SignInID, ClientID: client.ID,
			Address: c.RealIP(), Reason: "post_logout_redirect_uri",
		})
		return refusal
	}
	return nil
}

// hintMatches reports whether the hint is about the user of this session.
func hintMatches(proof *issuer.IDTokenHint, current *session.Current) bool {
	return proof != nil && proof.Subject == current.User.ID && (proof.SignInID == "" || proof.SignInID == current.SignIn.ID)
}
