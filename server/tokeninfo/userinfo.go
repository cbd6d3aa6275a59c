package tokeninfo

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/issuer"
	"github.com/fairlead-auth/fairlead/server/oauth"
	"github.com/fairlead-auth/fairlead/server/store"
)

// userInfoAnswer is OpenID Connect Core section 5.3.2.
type userInfoAnswer struct {
	Subject           string   `json:"sub"`
	Name              string   `json:"name,omitempty"`
	PreferredUsername string   `json:"preferred_username,omitempty"`
	Email             string   `json:"email,omitempty"`
	EmailVerified     *bool    `json:"email_verified,omitempty"`
	Groups            []string `json:"groups,omitempty"`
}

func (h *Handler) userInfo(c echo.Context) error {
	row, user, err := h.bearer(c)
	if err != nil {
		oauth.From(err).Write(c.Response())
		return nil
	}
	claims := issuer.PersonClaims(user, row.Scopes)
	oauth.WriteJSON(c.Response(), http.StatusOK, userInfoAnswer{
		Subject: claims.Subject, Name: claims.Name, PreferredUsername: claims.PreferredUsername,
		Email: claims.Email, EmailVerified: claims.EmailVerified, Groups: claims.Groups,
	})
	return nil
}

// bearer finds the access token of the Authorization header. A token in a query
// is not looked at: it would be in logs.
func (h *Handler) bearer(c echo.Context) (*store.AccessToken, *store.User, error) {
	headers := c.Request().Header.Values("Authorization")
	if len(headers) != 1 {
		return nil, nil, oauth.Errorf(oauth.InvalidToken, "Send one access token as Authorization: Bearer.")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, nil, oauth.Errorf(oauth.InvalidToken, "Send one access token as Authorization: Bearer.")
	}
	return h.live(c, token)
}

func (h *Handler) live(c echo.Context, token string) (*store.AccessToken, *store.User, error) {
	dead := oauth.Errorf(oauth.InvalidToken, "The access token is not valid, has expired or was revoked.")
	ctx := c.Request().Context()
	row, err := h.Store.AccessToken(ctx, token)
	if errs.Is(err, errs.NotFound) {
		return nil, nil, dead
	}
	if err != nil {
		return nil, nil, err
	}
	if !row.Live(h.Now()) || !slices.Contains(row.Scopes, oauth.ScopeOpenID) {
		return nil, nil, dead
	}
	user, err := h.Store.User(ctx, row.UserID)
	if err != nil {
		return nil, nil, err
	}
	if user.Disabled {
		return nil, nil, dead
	}
	return row, user, nil
}
