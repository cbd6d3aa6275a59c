package admin

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountKeys(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/keys", func(c echo.Context, r *request) error { return h.keys(c, r, "") })
	add(http.MethodPost, "/keys/rotate", h.rotate)
	add(http.MethodGet, "/keys/:id", func(c echo.Context, r *request) error { return h.key(c, r, "") })
	add(http.MethodPost, "/keys/:id/revoke", h.revokeKey)
}

// KeysData is the list of signing keys.
type KeysData struct {
	Rows       []KeyRow
	Algorithms []string
	JWKS       string
	Error      string
}

// KeyRow is a signing key in the list.
type KeyRow struct {
	keys.Info
	Path, Meaning string
}

// KeysPage is the list of signing keys.
func KeysPage() templates.Page[KeysData] { return templates.Define[KeysData]("admin/keys") }

func (h *Handler) keys(c echo.Context, r *request, fault string) error {
	list, err := h.Admin.SigningKeys(c.Request().Context(), r.caller)
	if err != nil {
		return err
	}
	data := KeysData{JWKS: h.Site.Absolute("/keys"), Error: fault}
	for _, k := range list {
		data.Rows = append(data.Rows, KeyRow{Info: k, Path: h.Site.Path("/admin/keys/" + k.ID), Meaning: meaning(k)})
	}
	for _, alg := range keys.Algorithms() {
		data.Algorithms = append(data.Algorithms, string(alg))
	}
	return show(h, c, r, web.View[KeysData]{Page: KeysPage(), Title: i18n.T("Keys"), Data: data})
}

func meaning(k keys.Info) string {
	switch string(k.State) {
	case "next":
		return "Published. It starts to sign when all clusters and clients can have read it."
	case "active":
		return "Signs all new tokens."
	case "retired":
		return "No longer signs. It stays published until its last token has expired."
	}
	return "Revoked by an admin. Its tokens are not valid."
}

func (h *Handler) rotate(c echo.Context, r *request) error {
	err := h.Admin.RotateKey(c.Request().Context(), r.caller, c.FormValue("algorithm"))
	if errs.Is(err, errs.Invalid) || errs.Is(err, errs.Conflict) || errs.Is(err, errs.Denied) {
		return h.keys(c, r, errs.Message(err))
	}
	if err != nil {
		return err
	}
	return h.done(c, "/keys", "rotating")
}

// KeyData is one key and what revoking it would do.
type KeyData struct {
	*keys.RevocationImpact
	ID, Error string
	Revoked   bool
}

// KeyPage is one key.
func KeyPage() templates.Page[KeyData] { return templates.Define[KeyData]("admin/key") }

func (h *Handler) key(c echo.Context, r *request, fault string) error {
	consequence, err := h.Admin.KeyConsequences(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	data := KeyData{RevocationImpact: consequence, ID: c.Param("id"), Error: fault, Revoked: string(consequence.Key.State) == "revoked"}
	view := web.View[KeyData]{Page: KeyPage(), Title: i18n.Verbatim("Key " + c.Param("id")), Data: data, Crumbs: h.crumbs(templates.Link{Label: "Keys", Path: "/keys"}, templates.Link{Label: c.Param("id")})}
	if fault != "" {
		view.Status = http.StatusUnprocessableEntity
	}
	return show(h, c, r, view)
}

func (h *Handler) revokeKey(c echo.Context, r *request) error {
	if strings.TrimSpace(c.FormValue("confirm")) != c.Param("id") {
		return h.key(c, r, "The key was not revoked: the ID does not match. Type the ID of the key to confirm.")
	}
	err := h.Admin.RevokeKey(c.Request().Context(), r.caller, c.Param("id"), strings.TrimSpace(c.FormValue("reason")))
	if errs.Is(err, errs.Invalid) || errs.Is(err, errs.Conflict) {
		return h.key(c, r, errs.Message(err))
	}
	if err != nil {
		return err
	}
	return h.done(c, "/keys", "key-revoked")
}
