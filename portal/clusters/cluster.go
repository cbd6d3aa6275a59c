package clusters

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
	"github.com/fairlead-auth/fairlead/portal/authconfig"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) loginCommand() page.Block {
	return page.Block{Label: i18n.T("Command to sign this computer in"), Text: "kubectl fairlead login " + h.Site.Absolute("")}
}

func tryCommand(context string) page.Block {
	return page.Block{Label: i18n.T("Command to try it"), Text: "kubectl auth whoami --context " + context}
}

func useCommand(context string) page.Block {
	return page.Block{Label: i18n.T("Command to select this cluster"), Text: "kubectl config use-context " + context}
}

// Extra is an extra value of the user that the cluster sees.
type Extra struct {
	Key   string
	Value i18n.Text
}

// ClusterData is the data of a cluster's page.
type ClusterData struct {
	ID, Name, Description, Environment, Color, Server, Context string
	// Namespace is the default namespace of the context; empty when none is configured.
	Namespace string
	State     State
	Why       i18n.Text
	// Used is when the user last got a token for this cluster; zero for never.
	Used                       time.Time
	Login, Use, Try, Kubelogin page.Block
	// SignedIn is set when kubectl is signed in on one of the user's computers.
	SignedIn bool
	// TokenFile is how long a token in a kubeconfig file is valid; zero when admins do not allow
	// such files.
	TokenFile       time.Duration
	TokenLife, Idle time.Duration
	SessionEnds     time.Time
	User, UID       string
	Groups          []string
	Extra           []Extra
	// Direct and Flags configure the API server. They are set for admins, for a cluster in direct
	// mode.
	Direct, Flags *page.Block
}

// ClusterPage is the page of one cluster.
func ClusterPage() templates.Page[ClusterData] {
	return templates.Define[ClusterData]("portal/cluster")
}

func (h *Handler) cluster(c echo.Context, current *session.Current) error {
	ctx := c.Request().Context()
	cluster, decision, err := h.find(c, current)
	if err != nil {
		return err
	}
	context := h.ContextPrefix + cluster.ID
	data := ClusterData{
		ID: cluster.ID, Name: cluster.Name, Description: cluster.Description, Environment: cluster.Environment, Color: cluster.Color,
		Server: cluster.Server, Context: context, Namespace: cluster.Namespace, Why: decision.Why, State: h.states(ctx, []*store.Cluster{cluster})[cluster.ID],
		Login: h.loginCommand(), Use: useCommand(context), Try: tryCommand(context),
		TokenFile: cluster.TokenFileLife(), TokenLife: cluster.TokenLife(), Idle: h.Guard.Sessions.RuntimeSettings.Get().IdleTimeout, SessionEnds: current.SignIn.Expires.Time(),
		User: current.User.KubeName, UID: current.User.ID, Groups: clusterGroups(current.User),
		Extra: []Extra{
			{authconfig.ExtraSignIn, i18n.Verbatim(current.SignIn.ID)},
			{authconfig.ExtraDevice, i18n.T("the device that kubectl runs on")},
			{"authentication.kubernetes.io/credential-id", i18n.T("JTI= and the id of the token")},
		},
	}
	if err := h.addUse(ctx, current.User.ID, cluster.ID, &data); err != nil {
		return err
	}
	if err := h.addConfigs(c, current, cluster, &data); err != nil {
		return err
	}
	view := web.View[ClusterData]{Page: ClusterPage(), Title: i18n.Verbatim(cluster.Name), Data: data, Person: page.Person(current), Crumbs: h.crumbs(c, cluster.Name)}
	if data.State.Starting != "" {
		view.Refresh = 5
	}
	return web.Render(c, h.Site, view)
}

// crumbs returns the way from the landing page to a page.
func (h *Handler) crumbs(c echo.Context, name string) []templates.Link {
	return []templates.Link{{Label: h.Site.Language(c).Say(i18n.T("Clusters")), Path: h.Site.Path("/")}, {Label: name}}
}

// addUse adds what the user has done so far: signed a computer in, used the cluster.
func (h *Handler) addUse(ctx context.Context, userID, clusterID string, data *ClusterData) error {
	computer, err := h.computer(ctx, userID)
	if err != nil {
		return err
	}
	own, err := h.Store.UserClusters(ctx, userID)
	data.SignedIn, data.Used = computer != nil, own[clusterID].Used.Time()
	return err
}

// clusterGroups returns the groups that a cluster sees. Kubernetes adds the last one to every
// authenticated user.
func clusterGroups(u *store.User) []string {
	return append(append([]string{}, u.GroupNames...), "system:authenticated")
}

func (h *Handler) addConfigs(c echo.Context, current *session.Current, cluster *store.Cluster, data *ClusterData) error {
	text, err := kubeconfig.Render([]apitypes.Cluster{h.wire(cluster)}, kubeconfig.WithKubelogin(h.Site.Absolute("")))
	if err != nil {
		return err
	}
	data.Kubelogin = page.Block{Label: i18n.T("Kubeconfig for kubectl oidc-login"), Text: string(text)}
	admin, err := h.Access.IsAdmin(c.Request().Context(), current.User)
	if err != nil || !admin || cluster.Mode != store.ModeDirect {
		return err
	}
	cfg := authconfig.Config{Issuer: h.Site.Absolute(""), CA: h.IssuerCA, Audience: cluster.Audience, Algorithm: cluster.Algorithm}
	structured, err := authconfig.Structured(cfg)
	if err != nil {
		return err
	}
	data.Direct = &page.Block{Label: i18n.T("AuthenticationConfiguration for the API server"), Text: string(structured)}
	data.Flags = &page.Block{Label: i18n.T("Flags for the API server"), Text: strings.Join(authconfig.Flags(cfg), "\n")}
	return nil
}

func (h *Handler) downloadOne(c echo.Context, current *session.Current) error {
	cluster, _, err := h.find(c, current)
	if err != nil {
		return err
	}
	return h.download(c, current, []apitypes.Cluster{h.wire(cluster)}, h.ContextPrefix+cluster.ID)
}

// downloadAll serves a kubeconfig for all clusters, or for the chosen ones.
func (h *Handler) downloadAll(c echo.Context, current *session.Current) error {
	mine, err := h.Access.Clusters(c.Request().Context(), current.User)
	if err != nil {
		return err
	}
	chosen := c.QueryParams()["cluster"]
	if len(chosen) == 0 && c.QueryParam("selected") != "" {
		return c.Redirect(http.StatusSeeOther, h.Site.Path("/?none=chosen"))
	}
	var list []apitypes.Cluster
	for _, a := range mine {
		if len(chosen) == 0 || slices.Contains(chosen, a.Cluster.ID) {
			list = append(list, h.wire(&a.Cluster))
		}
	}
	if len(list) == 0 && len(chosen) > 0 {
		return errs.New(errs.NotFound, "No access rule lets you use any of these clusters. Choose others on the clusters page.")
	}
	return h.download(c, current, list, "clusters")
}

// tokenFile serves a kubeconfig that contains a token. The file is a secret.
func (h *Handler) tokenFile(c echo.Context, current *session.Current) error {
	cluster, _, err := h.find(c, current)
	if err != nil {
		return err
	}
	minted, err := h.TokenFiles.Make(c.Request().Context(), session.Caller{Current: current, Address: c.RealIP()}, cluster)
	if err != nil {
		return err
	}
	text, err := kubeconfig.RenderToken(h.wire(cluster), minted.Token)
	if err != nil {
		return err
	}
	name := h.ContextPrefix + cluster.ID + "-until-" + minted.Expires.Format("1504") + "-utc"
	return attach(c, name, text)
}

// attach serves a kubeconfig as a download. The name needs no quoting: ids and the prefix are slugs.
func attach(c echo.Context, name string, text []byte) error {
	c.Response().Header().Set("Content-Disposition", `attachment; filename="`+name+`.kubeconfig.yaml"`)
	return c.Blob(http.StatusOK, "application/yaml", text)
}

// download serves a kubeconfig. It contains no secret, but shows which clusters the user may use:
// the download is recorded, and never cached.
func (h *Handler) download(c echo.Context, current *session.Current, list []apitypes.Cluster, name string) error {
	as := kubeconfig.WithPlugin(kubeconfig.Plugin, h.Site.Absolute(""), "")
	if c.QueryParam("for") == "kubelogin" {
		as = kubeconfig.WithKubelogin(h.Site.Absolute(""))
	}
	text, err := kubeconfig.Render(list, as)
	if err != nil {
		return err
	}
	event := audit.Event{
		Name: audit.KubeconfigDownloaded, UserID: current.User.ID, UserName: current.User.KubeName,
		SignInID: current.SignIn.ID, Address: c.RealIP(), Detail: name,
	}
	if len(list) == 1 {
		event.ClusterID = list[0].ID
	}
	h.Audit.Record(c.Request().Context(), event)
	return attach(c, name, text)
}

func writeError(c echo.Context, err error) error {
	oauth.FromError(err).Write(c.Response())
	return nil
}
