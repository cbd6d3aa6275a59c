package admin

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountAccess(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/simulator", h.simulator)
	add(http.MethodGet, "/claims", h.claims)
}

// SimulatorData is the simulator.
type SimulatorData struct {
	User, Connector, Groups, Email, Cluster string
	Answers                                 []AnswerRow
	Asked                                   bool
	Error                                   string
	Allowed                                 int
	Who                                     access.HypotheticalUser
	Admin                                   bool
}

// AnswerRow is an answer for one cluster.
type AnswerRow struct {
	ops.Answer
	RulePath, ClusterPath string
}

// SimulatorPage is the simulator.
func SimulatorPage() templates.Page[SimulatorData] {
	return templates.Define[SimulatorData]("admin/simulator")
}

// maxAnswers is how many clusters are shown at once.
const maxAnswers = 100

func (h *Handler) simulator(c echo.Context, r *request) error {
	data := SimulatorData{
		User: strings.TrimSpace(c.QueryParam("user")), Connector: strings.TrimSpace(c.QueryParam("connector")),
		Groups: c.QueryParam("groups"), Email: strings.TrimSpace(c.QueryParam("email")), Cluster: strings.TrimSpace(c.QueryParam("cluster")),
	}
	data.Asked = data.User+data.Connector+strings.TrimSpace(data.Groups)+data.Email != ""
	if !data.Asked {
		return show(h, c, r, web.View[SimulatorData]{Page: SimulatorPage(), Title: i18n.T("Check access"), Data: data})
	}
	answers, err := h.Admin.Simulate(c.Request().Context(), r.caller, ops.Question{User: data.User, Cluster: data.Cluster, Who: access.HypotheticalUser{
		ConnectorID: data.Connector, Groups: strings.Fields(strings.ReplaceAll(data.Groups, ",", " ")), Email: data.Email, EmailVerified: data.Email != "",
	}})
	if errs.Is(err, errs.NotFound) {
		data.Error, data.Asked = errs.Message(err), false
		return show(h, c, r, web.View[SimulatorData]{Page: SimulatorPage(), Title: i18n.T("Check access"), Data: data})
	}
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Allowed {
			data.Allowed++
		}
		data.Who, data.Admin = a.Who, a.Admin
		if len(data.Answers) < maxAnswers {
			data.Answers = append(data.Answers, AnswerRow{
				Answer: a, RulePath: h.Site.Path("/admin/rules/" + url.PathEscape(a.Rule)), ClusterPath: h.Site.Path("/admin/clusters/" + url.PathEscape(a.Cluster.ID)),
			})
		}
	}
	return show(h, c, r, web.View[SimulatorData]{Page: SimulatorPage(), Title: i18n.T("Check access"), Data: data})
}
