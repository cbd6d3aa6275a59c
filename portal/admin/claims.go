package admin

import (
	"encoding/json"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// ClaimsData is what a token would say.
type ClaimsData struct {
	User, Cluster, Client string
	Error, Refused        string
	// Claims are as in the token, indented.
	Claims string
	Bytes  int
}

// ClaimsPage shows what a token would say.
func ClaimsPage() templates.Page[ClaimsData] { return templates.Define[ClaimsData]("admin/claims") }

func (h *Handler) claims(c echo.Context, r *request) error {
	data := ClaimsData{User: strings.TrimSpace(c.QueryParam("user")), Cluster: strings.TrimSpace(c.QueryParam("cluster")), Client: strings.TrimSpace(c.QueryParam("client"))}
	if data.User != "" && data.Cluster+data.Client != "" {
		if err := h.fillClaims(c, r, &data); err != nil {
			return err
		}
	}
	return show(h, c, r, web.View[ClaimsData]{Page: ClaimsPage(), Title: i18n.T("Preview of token claims"), Data: data})
}

func (h *Handler) fillClaims(c echo.Context, r *request, data *ClaimsData) error {
	found, err := h.Admin.PreviewClaims(c.Request().Context(), r.caller, ops.ClaimsQuestion{User: data.User, Cluster: data.Cluster, Client: data.Client})
	if errs.Is(err, errs.NotFound) {
		data.Error = errs.Message(err)
		return nil
	}
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(found.Claims, "", "  ")
	data.Refused, data.Claims, data.Bytes = found.Refused, string(text), found.Bytes
	return err
}
