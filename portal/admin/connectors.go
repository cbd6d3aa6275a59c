package admin

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountConnectors(add func(method, path string, handle handler)) {
	add(http.MethodPost, "/connectors/:id/enable", h.enableConnector)
	for _, kind := range []string{settings.Connectors, settings.Workloads} {
		for _, way := range []string{"up", "down"} {
			add(http.MethodPost, "/"+kind+"/:id/"+way, func(c echo.Context, r *request) error { return h.move(c, r, kind, way == "up") })
		}
	}
	add(http.MethodGet, "/tests/:id", h.test)
	add(http.MethodPost, "/tests/:id", h.testPassword)
	add(http.MethodGet, "/tests/:id/go", h.leaveForTest)
}

// TypesData is the choice of a type.
type TypesData struct{ Types []TypeCard }

// TypeCard is a type with what it is good for.
type TypeCard struct {
	Name, Icon, Label, About, Path string
	Can                            []string
	Presets                        []templates.Link
}

// TypesPage is the choice of a type.
func TypesPage() templates.Page[TypesData] { return templates.Define[TypesData]("admin/types") }

// chooseType shows the kinds of connector, unless one was chosen.
func (h *Handler) chooseType(c echo.Context, r *request, chosen form.Doc) error {
	if chosen != nil {
		return nil
	}
	var data TypesData
	for _, name := range slices.Sorted(maps.Keys(h.Types)) {
		t := h.Types[name]
		card := TypeCard{Name: name, Icon: t.Icon, Label: t.Label, About: t.About, Can: t.Can, Path: h.Site.Path("/admin/connectors/new?type=" + name)}
		for _, p := range t.Presets {
			card.Presets = append(card.Presets, templates.Link{Label: p.Label, Path: card.Path + "&preset=" + p.Name})
		}
		data.Types = append(data.Types, card)
	}
	slices.SortFunc(data.Types, func(a, b TypeCard) int { return strings.Compare(a.Label, b.Label) })
	return show(h, c, r, web.View[TypesData]{Page: TypesPage(), Title: i18n.T("Choose an identity provider"), Data: data, Crumbs: h.crumbs(templates.Link{Label: "Connectors", Path: "/connectors"}, templates.Link{Label: "New connector"})})
}

// startConnector is the document that a new connector begins with; nil when no type
// was chosen yet.
func (h *Handler) startConnector(c echo.Context) (form.Doc, error) {
	name := c.QueryParam("type")
	if name == "" {
		return nil, nil
	}
	t, known := h.Types[name]
	if !known {
		return nil, errs.New(errs.NotFound, "This type of connector does not exist. Choose one from the list.")
	}
	doc := form.Doc{"type": name, "id": name, "name": t.Label}
	for _, p := range t.Presets {
		if p.Name == c.QueryParam("preset") {
			doc["id"], doc["name"] = p.Name, p.Label
			doc.Set("config", form.Doc(p.Values).Clone())
		}
	}
	return doc, nil
}

// ConnectorForm is what the form of a connector has besides its fields.
type ConnectorForm struct {
	Type    connectors.Type
	Steps   []StepView
	Preset  string
	State   ops.ConnectorState
	Fault   string
	Warning string
	// Findings are those of a check; Found is who was looked up.
	Findings []connectors.Finding
	Checked  bool
	Found    *ops.LookupResult
	Lookup   string
	// Filled are the labels of the fields that a filler of the type has filled in.
	Filled []string
	// CanLookup says that people can be looked up.
	CanLookup bool
	Enable    string
	Disable   string
	// Retired counts the users of a deleted connector with this id. RetiredPath leads to what an admin can do with them.
	Retired     int
	RetiredPath string
	Tested      bool
}

// StepView is a step with the values to paste.
type StepView struct {
	Text, Link string
	Copy       []CopyView
}

// CopyView is a value with the provider's word for it.
type CopyView struct{ Label, Text string }

func (h *Handler) connectorForm(c echo.Context, r *request, e *editing, f *ConnectorForm) error {
	t := h.Types[e.doc.Text("type")]
	f.Type = t
	for _, p := range t.Presets {
		if p.Name == c.QueryParam("preset") {
			f.Preset = p.Help
		}
	}
	id := e.doc.Text("id")
	for _, step := range t.Steps {
		view := StepView{Text: step.Text, Link: step.Link}
		for _, value := range step.Copy {
			text := h.CallbackURL(id)
			switch value.Value {
			case connectors.CopyHome:
				text = h.Site.Absolute("/")
			case connectors.CopyMetadata:
				text += "/metadata"
			}
			view.Copy = append(view.Copy, CopyView{value.Label, text})
		}
		f.Steps = append(f.Steps, view)
	}
	if c.Request().Host != h.Site.Host() {
		f.Warning = "Your browser is at " + c.Request().Host + ", but the configured address of this server is " + h.Site.Host() + ". The callback address uses the configured one. Check that it is correct."
	}
	f.CanLookup = slices.Contains(t.Can, "look up")
	if e.id == "" {
		return nil
	}
	self := h.Site.Path("/admin/connectors/" + url.PathEscape(e.id))
	f.Enable, f.RetiredPath = self+"/enable", self+"/retired"
	f.Disable = h.Site.Path("/admin/connectors/bulk?" + url.Values{"act": {string(ops.BulkDisable)}, "id": {e.id}, "from": {"entry"}}.Encode())
	var err error
	if f.Retired, err = h.Admin.Retired(c.Request().Context(), r.caller, e.id); err != nil {
		return err
	}
	infos, err := h.Admin.Connectors(c.Request().Context(), r.caller)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if info.ID == e.id {
			f.State, f.Fault, f.Tested = info.State, info.Fault, info.State == ops.StateTested
		}
	}
	return nil
}

// fillConnector fills in fields of the form. It returns their labels.
func (h *Handler) fillConnector(c echo.Context, r *request, e *editing, filler, text string) ([]string, error) {
	filled, err := h.Admin.Fill(c.Request().Context(), r.caller, ops.ConnectorDraft{ID: e.id, Doc: e.doc}, filler, text)
	if err != nil {
		return nil, err
	}
	var labels []string
	for _, f := range h.Types[e.doc.Text("type")].Fields {
		if value, has := filled[f.Key]; has {
			e.doc.Set("config."+f.Key, value)
			labels = append(labels, f.Label)
		}
	}
	return labels, nil
}

// tryConnector fills in, checks or looks up, when the form asks for that. It reports whether the form is
// to be shown again.
func (h *Handler) tryConnector(c echo.Context, r *request, e *editing, values url.Values) (bool, error) {
	if e.kind.Name != settings.Connectors {
		return false, nil
	}
	ctx, draft := c.Request().Context(), ops.ConnectorDraft{ID: e.id, Doc: e.doc}
	view := &ConnectorForm{Lookup: values.Get("lookup")}
	var err error
	act := values.Get("do")
	if act == "enter" { // in a field of the form: do what changes nothing
		act = "check"
		if view.Lookup != "" {
			act = "lookup"
		}
	}
	switch act {
	case "check":
		view.Findings, err = h.Admin.Check(ctx, r.caller, draft)
		view.Checked = true
	case "lookup":
		view.Found, err = h.Admin.Lookup(ctx, r.caller, draft, view.Lookup)
	default:
		filler, asked := strings.CutPrefix(act, "fill:")
		if !asked {
			return false, nil
		}
		view.Filled, err = h.fillConnector(c, r, e, filler, values.Get("fill."+filler))
	}
	e.data.Connector, e.status = view, http.StatusOK
	if err != nil {
		e.data.Connector, e.status = nil, http.StatusUnprocessableEntity
	}
	return true, err
}

// beginTest shows the page where a test sign-in begins. The browser can't be sent
// to the upstream at once: a form on our pages may not lead to another site, over
// redirects either, but a link may.
func (h *Handler) beginTest(c echo.Context, r *request, e *editing) error {
	ctx := c.Request().Context()
	id, err := h.Admin.BeginTest(ctx, r.caller, ops.ConnectorDraft{ID: e.id, Doc: e.doc})
	if err != nil {
		return h.again(c, r, e, err)
	}
	if _, _, err := h.Admin.OpenTestConnector(ctx, r.caller, id); err != nil {
		return h.again(c, r, e, err)
	}
	return h.to(c, "/tests/"+id)
}

// leaveForTest sends the browser to the upstream.
func (h *Handler) leaveForTest(c echo.Context, r *request) error {
	row, opened, err := h.Admin.OpenTestConnector(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	return h.Leave(c, row, opened, c.Param("id"))
}

// move moves a row of a list. The toast can undo it.
func (h *Handler) move(c echo.Context, r *request, kind string, up bool) error {
	revision, err := h.Admin.Move(c.Request().Context(), r.caller, kind, c.Param("id"), up)
	if err != nil {
		return err
	}
	if revision == nil { // it is first or last
		return h.to(c, "/"+kind)
	}
	return h.to(c, "/"+kind+"?"+url.Values{"done": {"moved"}, "undo": {revision.ID}}.Encode())
}

func (h *Handler) enableConnector(c echo.Context, r *request) error {
	ctx, id := c.Request().Context(), c.Param("id")
	revision, err := h.Admin.Enable(ctx, r.caller, id, true, c.FormValue("reason"))
	if err != nil {
		return h.editAgain(c, r, err)
	}
	if revision.Outcome == store.OutcomeTrial {
		return h.to(c, "/history/"+revision.ID)
	}
	return h.done(c, "/connectors/"+url.PathEscape(id), "enabled")
}

// editAgain shows a connector's form with what went wrong.
func (h *Handler) editAgain(c echo.Context, r *request, fault error) error {
	k := settings.Kinds()[0]
	item, err := h.Admin.Entry(c.Request().Context(), r.caller, k.Name, c.Param("id"))
	if err != nil {
		return err
	}
	e := &editing{kind: k, id: item.ID, doc: item.Doc, stored: item.Doc, version: item.Version, origin: item.Origin, status: http.StatusUnprocessableEntity}
	return h.again(c, r, e, fault)
}

// TestData is a test sign-in: the form, or what came of it.
type TestData struct {
	Connector, Name, Back string
	// Password shows a form for name and password.
	Password bool
	// Go is where the browser leaves for the upstream.
	Go            string
	UsernameLabel string
	Result        *ops.LookupResult
	Error         string
	Enable        string
	Took          time.Duration
	Attributes    []Attribute
}

// Attribute is what the upstream said about a person.
type Attribute struct {
	Name   string
	Values []string
}

// TestPage is a test sign-in.
func TestPage() templates.Page[TestData] { return templates.Define[TestData]("admin/test") }

func (h *Handler) test(c echo.Context, r *request) error { return h.showTest(c, r, "") }

func (h *Handler) showTest(c echo.Context, r *request, fault string) error {
	ctx := c.Request().Context()
	t, err := h.Admin.TestResult(ctx, r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	data := TestData{Connector: t.ConnectorID, Name: t.Name, Result: t.Result, Error: fault, Back: h.Site.Path("/admin/connectors")}
	if _, err := h.Admin.Entry(ctx, r.caller, settings.Connectors, t.ConnectorID); err == nil {
		data.Back += "/" + url.PathEscape(t.ConnectorID)
		data.Enable = data.Back + "/enable"
	}
	if t.Result == nil {
		err = h.askTest(c, r, &data)
	} else {
		data.Attributes = attributes(t.Result.Attributes)
	}
	if err != nil {
		return err
	}
	return show(h, c, r, web.View[TestData]{Page: TestPage(), Title: i18n.T("Test sign-in"), Data: data, Crumbs: h.crumbs(templates.Link{Label: "Connectors", Path: "/connectors"}, templates.Link{Label: data.Name, Path: "/connectors/" + url.PathEscape(t.ConnectorID)}, templates.Link{Label: "Test sign-in"})})
}

// askTest shows how to sign in: a form, or the way to the upstream.
func (h *Handler) askTest(c echo.Context, r *request, data *TestData) error {
	_, opened, err := h.Admin.OpenTestConnector(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	if p, ok := opened.(connectors.Passworder); ok {
		data.Password, data.UsernameLabel = true, p.UsernameLabel()
		return nil
	}
	data.Go = h.Site.Path("/admin/tests/" + c.Param("id") + "/go")
	return nil
}

func attributes(all map[string][]string) []Attribute {
	var list []Attribute
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, Attribute{name, all[name]})
	}
	return list
}

// testPassword signs in with a name and a password, for a test.
func (h *Handler) testPassword(c echo.Context, r *request) error {
	ctx, id := connectors.Observe(c.Request().Context()), c.Param("id")
	_, opened, err := h.Admin.OpenTestConnector(ctx, r.caller, id)
	if err != nil {
		return err
	}
	p, ok := opened.(connectors.Passworder)
	if !ok {
		return errs.New(errs.Invalid, "This connector does not use a password. Start the test again from the connector’s page.")
	}
	said, fault := p.Login(ctx, c.FormValue("username"), c.FormValue("password"))
	if err := h.Admin.FinishTest(ctx, r.caller, id, said, fault); err != nil {
		return err
	}
	return h.to(c, "/tests/"+id)
}
