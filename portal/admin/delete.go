package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// DeleteData is the page that asks before something is deleted.
type DeleteData struct {
	Kind             settings.Kind
	ID, Version      string
	Action, Back     string
	Preview          *ops.Preview
	Difference       *Difference
	Problem, Disable string
}

// DeletePage asks before something is deleted.
func DeletePage() templates.Page[DeleteData] { return templates.Define[DeleteData]("admin/delete") }

func (h *Handler) askDelete(c echo.Context, r *request, k settings.Kind, problem string) error {
	ctx, id := c.Request().Context(), c.Param("id")
	item, err := h.Admin.Entry(ctx, r.caller, k.Name, id)
	if err != nil {
		return err
	}
	preview, err := h.Admin.Preview(ctx, r.caller, ops.Draft{Kind: k.Name, ID: id, Version: item.Version})
	if err != nil {
		return err
	}
	self := h.Site.Path("/admin/" + k.Path + "/" + url.PathEscape(id))
	data := DeleteData{Kind: k, ID: id, Version: item.Version, Action: self + "/delete", Back: self, Preview: preview, Difference: h.difference(preview), Problem: problem}
	if k.Name == settings.Connectors && item.Doc.Get("enabled") != false {
		data.Disable = h.Site.Path("/admin/connectors/bulk?" + url.Values{"act": {string(ops.BulkDisable)}, "id": {id}, "from": {"entry"}}.Encode())
	}
	view := web.View[DeleteData]{Page: DeletePage(), Title: i18n.Verbatim("Delete " + id), Data: data, Crumbs: h.crumbs(templates.Link{Label: k.Many, Path: "/" + k.Path}, templates.Link{Label: id, Path: "/" + k.Path + "/" + url.PathEscape(id)}, templates.Link{Label: "Delete"})}
	if problem != "" {
		view.Status = http.StatusUnprocessableEntity
	}
	return show(h, c, r, view)
}

func (h *Handler) delete(c echo.Context, r *request, k settings.Kind) error {
	if strings.TrimSpace(c.FormValue("confirm")) != c.Param("id") {
		return h.askDelete(c, r, k, "Not deleted: the ID does not match. Type the ID to confirm.")
	}
	_, err := h.Admin.Apply(c.Request().Context(), r.caller, ops.Draft{
		Kind: k.Name, ID: c.Param("id"), Version: c.FormValue("version"), Reason: c.FormValue("reason"),
	})
	if refused, ok := errors.AsType[*ops.RefusedError](err); ok {
		return h.askDelete(c, r, k, strings.Join(refused.Elsewhere, " "))
	}
	if errs.Is(err, errs.Denied) || errs.Is(err, errs.Conflict) {
		return h.askDelete(c, r, k, errs.Message(err))
	}
	if err != nil {
		return err
	}
	return h.done(c, "/"+k.Path, "deleted")
}
