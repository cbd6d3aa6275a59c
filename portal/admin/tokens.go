package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountTokens(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/tokens", h.tokens)
	add(http.MethodGet, "/tokens/new", func(c echo.Context, r *request) error { return h.newToken(c, r, "") })
	add(http.MethodPost, "/tokens/new", h.createToken)
	add(http.MethodGet, "/recovery", h.recovery)
}

// TokenForm is the form for a new API token.
type TokenForm struct {
	Scopes []ScopeChoice
	// Name, Days and the chosen scopes are what was typed.
	Name, Days string
	Error      string
	API        string
}

// ScopeChoice is a scope with what it allows.
type ScopeChoice struct {
	Name, Meaning string
	Chosen        bool
}

// TokenPage is the form for a new API token.
func TokenPage() templates.Page[TokenForm] { return templates.Define[TokenForm]("admin/token") }

func scopeChoices(chosen []string) []ScopeChoice {
	meanings := map[ops.Scope]string{
		ops.ReadSettings: "read the configuration, without secrets", ops.WriteSettings: "change the configuration, including who is an admin",
		ops.ReadPeople: "read users and their sessions", ops.WritePeople: "disable users, end their sessions and invite local users",
		ops.ReadKeys: "read the signing keys", ops.WriteKeys: "rotate and revoke signing keys", ops.ReadAudit: "read the audit log",
	}
	var list []ScopeChoice
	for _, s := range ops.Scopes() {
		list = append(list, ScopeChoice{Name: string(s), Meaning: meanings[s], Chosen: slices.Contains(chosen, string(s))})
	}
	return list
}

// newToken shows the form for a new token, again if it has a fault.
func (h *Handler) newToken(c echo.Context, r *request, fault string) error {
	values, err := c.FormParams()
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "The form could not be read. Open the page again and retry.")
	}
	data := TokenForm{Scopes: scopeChoices(values["scope"]), Error: fault, Name: values.Get("name"), Days: cmp.Or(values.Get("days"), "90"), API: h.Site.Absolute("/api/admin/v1/openapi.json")}
	view := web.View[TokenForm]{Page: TokenPage(), Title: i18n.T("New API token"), Data: data, Crumbs: h.crumbs(templates.Link{Label: "API tokens", Path: "/tokens"}, templates.Link{Label: "New token"})}
	if fault != "" {
		view.Status = http.StatusUnprocessableEntity
	}
	return show(h, c, r, view)
}

func (h *Handler) createToken(c echo.Context, r *request) error {
	form, err := c.FormParams()
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "The form could not be read. Open the page again and retry.")
	}
	days, _ := strconv.Atoi(form.Get("days")) // anything else is refused as too short
	token, err := h.Admin.CreateAPIToken(c.Request().Context(), r.caller, form.Get("name"), form["scope"], time.Duration(days)*24*time.Hour)
	if errs.Is(err, errs.Invalid) {
		return h.newToken(c, r, errs.Message(err))
	}
	if err != nil {
		return err
	}
	data := SecretData{What: "API token for " + form.Get("name"), Label: "API token", Secret: token, Back: h.Site.Path("/admin/tokens")}
	return show(h, c, r, web.View[SecretData]{Page: SecretPage(), Title: i18n.T("API token"), Data: data, Crumbs: h.crumbs(templates.Link{Label: "API tokens", Path: "/tokens"}, templates.Link{Label: "New token"})})
}

// RecoveryData is the page about recovery accounts.
type RecoveryData struct {
	Accounts []store.RecoveryAccount
	Events   []EventLine
	Address  string
}

// RecoveryPage is the page about recovery accounts.
func RecoveryPage() templates.Page[RecoveryData] {
	return templates.Define[RecoveryData]("admin/recovery")
}

func (h *Handler) recovery(c echo.Context, r *request) error {
	ctx := c.Request().Context()
	accounts, err := h.Admin.RecoveryAccounts(ctx, r.caller)
	if err != nil {
		return err
	}
	events, err := h.Admin.Events(ctx, r.caller, store.EventQuery{Name: "recovery."})
	if err != nil {
		return err
	}
	data := RecoveryData{Accounts: accounts, Events: h.lines(events), Address: h.Site.Absolute("/admin/recover")}
	return show(h, c, r, web.View[RecoveryData]{Page: RecoveryPage(), Title: i18n.T("Recovery accounts"), Data: data})
}
