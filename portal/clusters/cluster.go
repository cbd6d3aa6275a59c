package clusters

import (
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

// Extra is one extra value that the cluster sees.
type Extra struct {
	Key   string
	Value i18n.Text
}

// ClusterData is one cluster.
type ClusterData struct {
	ID, Name, Description, Environment, Server, Context, Doing string
	Why                                                        i18n.Text
	Login, Try, Kubelogin                                      page.Block
	// TokenFile is how long a token in a file lives; zero where nobody may have one.
	TokenFile       time.Duration
	TokenLife, Idle time.Duration
	SessionEnds     time.Time
	User, UID       string
	Groups          []string
	Extra           []Extra
	// Direct is set for admins of a cluster in direct mode.
	Direct, Flags *page.Block
}

// ClusterPage is one cluster.
func ClusterPage() templates.Page[ClusterData] {
	return templates.Define[ClusterData]("portal/cluster")
}

func (h *Handler) cluster(c echo.Context, current *session.Current) error {
	cluster, decision, err := h.find(c, current)
	if err != nil {
		return err
	}
	w := h.wire(cluster)
	data := ClusterData{
		ID: cluster.ID, Name: cluster.Name, Description: cluster.Description, Environment: cluster.Environment,
		Server: cluster.Server, Context: w.Context, Why: decision.Why, Doing: h.doing(c.Request().Context(), cluster),
		Login:     h.loginCommand(),
		Try:       tryCommand(w.Context),
		TokenFile: cluster.TokenFileLife(),
		TokenLife: cluster.TokenLife(), Idle: h.Guard.Sessions.RuntimeSettings.Get().IdleTimeout, SessionEnds: current.SignIn.Expires.Time(),
		User: current.User.KubeName, UID: current.User.ID, Groups: clusterGroups(current.User),
		Extra: []Extra{
			{authconfig.ExtraSignIn, i18n.Verbatim(current.SignIn.ID)},
			{authconfig.ExtraDevice, i18n.T("the device that kubectl runs on")},
			{"authentication.kubernetes.io/credential-id", i18n.T("JTI= and the id of the token")},
		},
	}
	if err := h.addConfigs(c, current, cluster, &data); err != nil {
		return err
	}
	view := web.View[ClusterData]{Page: ClusterPage(), Title: i18n.Verbatim(cluster.Name), Data: data, Person: page.Person(current)}
	if data.Doing != "" {
		view.Refresh = 5
	}
	return web.Render(c, h.Site, view)
}

// clusterGroups are the groups as a cluster sees them. Kubernetes adds the last
// one to everybody who is signed in.
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

// downloadAll gives the file of all clusters, or of those that were chosen.
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
		return errs.New(errs.NotFound, "None of these clusters is shared with you (any more).")
	}
	return h.download(c, current, list, "clusters")
}

// tokenFile answers with a file that is a secret.
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

// attach answers with a kubeconfig. Its name is made of ids and a prefix, all slugs: nothing to
// quote.
func attach(c echo.Context, name string, text []byte) error {
	c.Response().Header().Set("Content-Disposition", `attachment; filename="`+name+`.kubeconfig.yaml"`)
	return c.Blob(http.StatusOK, "application/yaml", text)
}

// download answers with a file. It holds no secret, but says which clusters a
// person may use, so it is recorded and never cached.
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
