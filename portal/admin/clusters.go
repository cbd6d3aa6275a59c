package admin

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/portal/authconfig"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountClusters(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/clusters/:id/connect", func(c echo.Context, r *request) error { return h.connect(c, r, false, "") })
	add(http.MethodPost, "/clusters/:id/connect", func(c echo.Context, r *request) error { return h.connect(c, r, true, "") })
	add(http.MethodPost, "/clusters/:id/proxies", h.makeCode)
	add(http.MethodPost, "/clients/:id/secrets", h.addSecret)
	add(http.MethodGet, "/clients/:id/secrets/remove", h.askRemoveSecret)
	add(http.MethodPost, "/clients/:id/secrets/remove", h.removeSecret)
	add(http.MethodPost, "/local-users/:id/invite", h.invite)
}

// Health is what a look at an API server brought.
type Health struct {
	Reachable bool
	// Version is Kubernetes' own; WhoAmI what the server says about the admin.
	Version string
	// Ends is when the server's certificate ends.
	Ends time.Time
	Days int
	// Fault and Remedy say what is wrong.
	Fault, Remedy string
	Took          time.Duration
}

// ConnectData is how a cluster is connected.
type ConnectData struct {
	ID, Name, Back string
	Mode           string
	Blocks         []Block
	Health         *Health
	// Proxies are those that have enrolled; Code enrols another and is shown this once.
	Proxies         []ops.ProxyInfo
	RevocationDelay string
	Code            string
	Enrol           string
	ReadOnly        bool
	Tabs            []templates.Link
	// Remove asks before a proxy is removed.
	Remove string
}

// Block is a text to copy, with what to do with it.
type Block struct{ Title, Help, Label, Text string }

// ConnectPage is how a cluster is connected.
func ConnectPage() templates.Page[ConnectData] { return templates.Define[ConnectData]("admin/connect") }

func (h *Handler) connect(c echo.Context, r *request, look bool, code string) error {
	ctx, id := c.Request().Context(), c.Param("id")
	item, err := h.Admin.Entry(ctx, r.caller, settings.Clusters, id)
	if err != nil {
		return err
	}
	cluster, err := h.Admin.Cluster(ctx, r.caller, id)
	if err != nil {
		return err
	}
	data := ConnectData{ID: id, Name: item.Name, Back: h.Site.Path("/admin/clusters/" + id), Mode: string(cluster.Mode)}
	data.Tabs, data.Remove = h.clusterTabs(id, "/connect"), h.Site.Path("/admin/proxies/bulk")
	if data.Blocks, err = h.blocks(cluster); err != nil {
		return err
	}
	if look {
		health := h.Probe(ctx, cluster)
		health.Days = int(health.Ends.Sub(h.Now()).Hours() / 24)
		data.Health = &health
	}
	if data.Proxies, err = h.Admin.Proxies(ctx, r.caller, id); err != nil {
		return err
	}
	data.RevocationDelay, data.Code, data.Enrol = ops.RevocationDelay(cluster, data.Proxies), code, h.Site.Path("/admin/clusters/"+url.PathEscape(id)+"/proxies")
	return show(h, c, r, web.View[ConnectData]{Page: ConnectPage(), Title: i18n.Verbatim("Connect " + id), Data: data, Crumbs: h.crumbs(templates.Link{Label: "Clusters", Path: "/clusters"}, templates.Link{Label: id, Path: "/clusters/" + url.PathEscape(id)}, templates.Link{Label: "Connect"})})
}

// makeCode makes an enrolment code and shows it this once, in the command that needs it.
func (h *Handler) makeCode(c echo.Context, r *request) error {
	code, err := h.Admin.EnrolmentCode(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	return h.connect(c, r, false, code)
}

// clusterTabs are the pages about a cluster. The one at here, a path below the cluster's, is
// marked.
func (h *Handler) clusterTabs(id, here string) []templates.Link {
	self := h.entryPath(settings.Clusters, id)
	tabs := []templates.Link{
		{Label: "Settings", Path: self},
		{Label: "Connect this cluster", Path: self + "/connect"},
		{Label: mapTab, Path: h.mapPath(url.Values{"cluster": {id}})},
		{Label: "Check access", Path: h.Site.Path("/admin/simulator?cluster=" + url.QueryEscape(id))},
		{Label: "Preview claims", Path: h.Site.Path("/admin/claims?cluster=" + url.QueryEscape(id))},
		{Label: "Activity", Path: h.Site.Path("/admin/audit?cluster=" + url.QueryEscape(id))},
		{Label: "Changes", Path: h.Site.Path("/admin/history?kind=" + settings.Clusters + "&object=" + url.QueryEscape(id))},
	}
	for i := range tabs {
		tabs[i].Here = tabs[i].Path == self+here
	}
	return tabs
}

func (h *Handler) blocks(cluster *store.Cluster) ([]Block, error) {
	cfg := authconfig.Config{Issuer: h.Site.Absolute(""), CA: h.IssuerCA, Audience: cluster.Audience, Algorithm: cluster.Algorithm}
	structured, err := authconfig.Structured(cfg)
	if err != nil {
		return nil, err
	}
	if cluster.Mode == store.ModeProxy {
		return []Block{
			{"Run the proxy next to the API server", "Save this text as proxy.yaml. The proxy’s service account needs the right to impersonate users; the manifest is in deploy/kubernetes.", "Configuration of fairlead-proxy", h.proxyConfig()},
			{"Or, on Amazon EKS: connect without a proxy", "EKS accepts one OpenID Connect provider for each cluster. If you use Fairlead as that provider, you need no proxy: set “Connection type” to Direct.", "eksctl configuration for EKS", eks(cfg)},
		}, nil
	}
	return []Block{
		{"Kubernetes 1.30 and newer", "Save this text on the control plane, for example as /etc/kubernetes/fairlead.yaml. Start kube-apiserver with --authentication-config=/etc/kubernetes/fairlead.yaml. The API server reads the file again when it changes.", "AuthenticationConfiguration", string(structured)},
		{"Older API servers", "Add these flags to kube-apiserver. They don’t support the uid and extra values.", "Flags of kube-apiserver", strings.Join(authconfig.Flags(cfg), "\n")},
		{"Amazon EKS", "EKS accepts one OpenID Connect provider for each cluster. The change takes up to an hour. EKS accepts only RS256.", "eksctl configuration for EKS", eks(cfg)},
		{"Azure AKS", "Use this if your version of AKS supports structured authentication.", "Command for AKS", "az aks jwtauthenticator add --resource-group RESOURCE_GROUP --cluster-name " + cluster.ID + " --name fairlead --config-file fairlead-jwt.json"},
	}, nil
}

// proxyConfig is the configuration of a proxy for a cluster.
func (h *Handler) proxyConfig() string {
	text := "listen: 0.0.0.0:8443\ntls:\n  certificate: /etc/fairlead-proxy/tls.crt\n  key: /etc/fairlead-proxy/tls.key\n" +
		"state: /var/lib/fairlead-proxy\nserver:\n  url: " + h.Site.Absolute("") + "\n"
	if h.IssuerCA != "" {
		text += "  ca: /etc/fairlead-proxy/issuer-ca.pem\n"
	}
	return text
}

func eks(cfg authconfig.Config) string {
	return `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: NAME
  region: REGION
identityProviders:
- type: oidc
  name: fairlead
  issuerUrl: ` + cfg.Issuer + `
  clientId: ` + cfg.Audience + `
  usernameClaim: preferred_username
  groupsClaim: groups
`
}

func (h *Handler) invite(c echo.Context, r *request) error {
	login := c.Param("id")
	token, err := h.Admin.Invite(c.Request().Context(), r.caller, login)
	if err != nil {
		return err
	}
	data := SecretData{
		What: "Invitation link for the local user " + login, Label: "Invitation", Secret: h.Site.Absolute("/invitation/" + token), Back: h.Site.Path("/admin/local-users/" + login),
	}
	return show(h, c, r, web.View[SecretData]{Page: SecretPage(), Title: i18n.T("Invitation"), Data: data, Crumbs: h.crumbs(templates.Link{Label: "Local users", Path: "/local-users"}, templates.Link{Label: login, Path: "/local-users/" + url.PathEscape(login)}, templates.Link{Label: "Invitation"})})
}
