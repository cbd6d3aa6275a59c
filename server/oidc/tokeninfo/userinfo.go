package tokeninfo

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// userInfoResponse is the response of OpenID Connect Core section 5.3.2.
type userInfoResponse struct {
	Subject           string   `json:"sub"`
	Name              string   `json:"name,omitempty"`
	PreferredUsername string   `json:"preferred_username,omitempty"`
	Email             string   `json:"email,omitempty"`
	EmailVerified     *bool    `json:"email_verified,omitempty"`
	Groups            []string `json:"groups,omitempty"`
}

func (h *Handler) userInfo(c echo.Context) error {
	row, user, err := h.Bearer.Authenticate(c.Request())
	if err != nil {
		oauth.FromError(err).Write(c.Response())
		return nil
	}
	claims := issuer.UserClaims(user, row.Scopes)
	oauth.WriteJSON(c.Response(), http.StatusOK, userInfoResponse{
		Subject: claims.Subject, Name: claims.Name, PreferredUsername: claims.PreferredUsername,
		Email: claims.Email, EmailVerified: claims.EmailVerified, Groups: claims.Groups,
	})
	return nil
}
