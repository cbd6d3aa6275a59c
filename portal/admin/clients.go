package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// ClientForm is what the form of a client has besides its fields.
type ClientForm struct {
	Presets []templates.Link
	Secrets []ops.ClientSecret
	// Add and Remove are where those forms are sent.
	Add, Remove string
	// Paste is what to put into the application.
	Paste []CopyView
	Hint  string
}

// clientPreset is an application whose settings are known.
type clientPreset struct {
	name, label, hint string
	doc               form.Doc
}

func clientPresets() []clientPreset {
	web := func(id, name, redirect string) form.Doc {
		return form.Doc{"id": id, "name": name, "redirectURIs": []any{redirect}, "firstParty": true}
	}
	return []clientPreset{
		{"kubelogin", "kubectl oidc-login", "You don’t need a client for kubectl oidc-login with a cluster: the cluster’s audience is its client ID. Create one only for another purpose.", form.Doc{"id": "kubelogin", "name": "kubectl oidc-login", "public": true, "redirectURIs": []any{"http://localhost:8000", "http://localhost:18000"}}},
		{"oauth2-proxy", "oauth2-proxy", "Start it with --provider=oidc --code-challenge-method=S256.", web("oauth2-proxy", "oauth2-proxy", "https://app.example.com/oauth2/callback")},
		{"argocd", "Argo CD", "After you save, copy the settings into argocd-cm, and map groups to roles in argocd-rbac-cm.", web("argocd", "Argo CD", "https://argocd.example.com/auth/callback")},
		{"grafana", "Grafana", "After you save, copy the settings into [auth.generic_oauth] and set use_pkce = true.", web("grafana", "Grafana", "https://grafana.example.com/login/generic_oauth")},
		{"headlamp", "Headlamp", "If Headlamp connects to only one cluster, use that cluster’s audience as its client ID instead.", web("headlamp", "Headlamp", "https://headlamp.example.com/oidc-callback")},
		{"dashboard", "Kubernetes dashboard", "Put oauth2-proxy in front of the dashboard, with --pass-authorization-header.", web("dashboard", "Kubernetes dashboard", "https://dashboard.example.com/oauth2/callback")},
		{"web", "Another web application", "", web("", "", "https://app.example.com/callback")},
		{"cli", "Another command-line tool", "A public client that may use every loopback port and the device code.", form.Doc{"public": true, "redirectURIs": []any{"http://127.0.0.1/callback"}, "grants": []any{"authorization_code", "device_code", "refresh_token"}}},
		{"ci", "A program without a user", "It gets tokens for clusters with its secret, as the user service:ID. If its platform issues tokens of its own, create a trusted issuer and a workload instead.", form.Doc{"grants": []any{"client_credentials"}}},
	}
}

// startClient is the document that a new client begins with.
func (h *Handler) startClient(c echo.Context) form.Doc {
	for _, p := range clientPresets() {
		if p.name == c.QueryParam("preset") {
			return p.doc.Clone()
		}
	}
	return form.Doc{}
}

func (h *Handler) clientForm(c echo.Context, r *request, e *editing) (*ClientForm, error) {
	f := &ClientForm{}
	for _, p := range clientPresets() {
		f.Presets = append(f.Presets, templates.Link{Label: p.label, Path: h.Site.Path("/admin/clients/new?preset=" + p.name), Here: p.name == c.QueryParam("preset")})
		if p.name == c.QueryParam("preset") {
			f.Hint = p.hint
		}
	}
	if e.id == "" {
		return f, nil
	}
	f.Presets = nil
	self := h.Site.Path("/admin/clients/" + url.PathEscape(e.id))
	f.Add, f.Remove = self+"/secrets", self+"/secrets/remove"
	f.Paste = []CopyView{
		{"Issuer", h.Site.Absolute("")},
		{"Client ID", e.id},
		{"Discovery document", h.Site.Absolute("/.well-known/openid-configuration")},
		{"Authorization endpoint", h.Site.Absolute("/authorize")},
		{"Token endpoint", h.Site.Absolute("/token")},
		{"User info endpoint", h.Site.Absolute("/userinfo")},
		{"Scopes", "openid profile email groups offline_access"},
	}
	var err error
	f.Secrets, err = h.Admin.ClientSecrets(c.Request().Context(), r.caller, e.id)
	return f, err
}

// SecretData is a secret that is shown this once.
type SecretData struct{ What, Secret, Back, Label string }

// SecretPage shows a secret this once.
func SecretPage() templates.Page[SecretData] { return templates.Define[SecretData]("admin/secret") }

func (h *Handler) showSecret(c echo.Context, r *request, id, token string) error {
	data := SecretData{What: "Secret of the client " + id, Label: "Client secret", Secret: token, Back: h.Site.Path("/admin/clients/" + url.PathEscape(id))}
	return show(h, c, r, web.View[SecretData]{Page: SecretPage(), Title: i18n.T("Client secret"), Data: data, Crumbs: h.crumbs(templates.Link{Label: "Clients", Path: "/clients"}, templates.Link{Label: id, Path: "/clients/" + url.PathEscape(id)}, templates.Link{Label: "Client secret"})})
}

func (h *Handler) addSecret(c echo.Context, r *request) error {
	token, err := h.Admin.AddClientSecret(c.Request().Context(), r.caller, c.Param("id"), ops.SecretLabel{Label: c.FormValue("label"), Ends: c.FormValue("ends")})
	if err != nil {
		return h.clientAgain(c, r, err)
	}
	return h.showSecret(c, r, c.Param("id"), token)
}

// askRemoveSecret asks before a secret of a client is removed.
func (h *Handler) askRemoveSecret(c echo.Context, r *request) error {
	id, hash := c.Param("id"), c.QueryParam("hash")
	secrets, err := h.Admin.ClientSecrets(c.Request().Context(), r.caller, id)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(secrets, func(s ops.ClientSecret) bool { return s.Hash == hash })
	self := "/clients/" + url.PathEscape(id)
	if at < 0 {
		return h.to(c, self)
	}
	used := "It was never used."
	if !secrets[at].LastUsed.IsZero() {
		used = "It was last used on " + secrets[at].LastUsed.UTC().Format("2 January 2006 at 15:04 UTC") + "."
	}
	data := ConfirmData{
		Title: "Remove this secret of " + id + "?", Names: []string{strings.TrimSpace(secrets[at].Label + " " + hash + "…")}, Label: "Remove secret", Danger: true,
		Sentences: []string{used, "An application that still uses it can no longer sign users in or renew tokens.", "Secrets that remain: " + strconv.Itoa(len(secrets)-1) + ".", "You can undo this from the history."},
		Action:    h.Site.Path("/admin" + self + "/secrets/remove"), Kept: []ListKept{{"hash", hash}}, Back: h.Site.Path("/admin" + self),
	}
	return h.confirm(c, r, h.crumbs(templates.Link{Label: "Clients", Path: "/clients"}, templates.Link{Label: id, Path: self}, templates.Link{Label: "Remove secret"}), data)
}

func (h *Handler) removeSecret(c echo.Context, r *request) error {
	err := h.Admin.RemoveClientSecret(c.Request().Context(), r.caller, c.Param("id"), strings.TrimSpace(c.FormValue("hash")))
	if err != nil {
		return h.clientAgain(c, r, err)
	}
	return h.done(c, "/clients/"+url.PathEscape(c.Param("id")), "removed")
}

func (h *Handler) clientAgain(c echo.Context, r *request, fault error) error {
	k, known := settings.KindOf(settings.Clients)
	if !known {
		return errs.New(errs.NotFound, "This server has no clients. Open the overview.")
	}
	item, err := h.Admin.Entry(c.Request().Context(), r.caller, k.Name, c.Param("id"))
	if err != nil {
		return err
	}
	e := &editing{kind: k, id: item.ID, doc: item.Doc, stored: item.Doc, version: item.Version, origin: item.Origin, status: http.StatusUnprocessableEntity}
	return h.again(c, r, e, fault)
}
