package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountEntries(add func(method, path string, handle handler)) {
	for _, k := range settings.Kinds() {
		path := "/" + k.Path
		if k.Name != settings.Connectors { // which has a list of its own
			add(http.MethodGet, path, func(c echo.Context, r *request) error { return h.list(c, r, k) })
		}
		add(http.MethodGet, path+"/new", func(c echo.Context, r *request) error { return h.newEntry(c, r, k) })
		add(http.MethodPost, path+"/new", func(c echo.Context, r *request) error { return h.save(c, r, k, "") })
		add(http.MethodGet, path+"/:id", func(c echo.Context, r *request) error { return h.edit(c, r, k) })
		add(http.MethodPost, path+"/:id", func(c echo.Context, r *request) error { return h.save(c, r, k, c.Param("id")) })
		add(http.MethodGet, path+"/:id/delete", func(c echo.Context, r *request) error { return h.askDelete(c, r, k, "") })
		add(http.MethodPost, path+"/:id/delete", func(c echo.Context, r *request) error { return h.delete(c, r, k) })
	}
}

// FormData is a form for one entry.
type FormData struct {
	Kind settings.Kind
	// ID is empty for a new one.
	ID, Name, Action, Version string
	Sections                  []form.Section
	Problems                  []Fault
	Done                      string
	// Locked says why nothing can be changed: "fairlead.yaml:12".
	Locked   string
	ReadOnly bool
	YAML     string
	Preview  *ops.Preview
	// Previewed is the state of the values that the preview is about.
	Previewed string
	// Outdated shows what somebody else made of it meanwhile.
	Outdated []form.Change
	Reason   string
	// Secret is shown this once.
	Secret    string
	Connector *ConnectorForm
	Client    *ClientForm
	// Links lead to pages about the entry.
	Links []templates.Link
	// Invite is an invitation link for a local user, shown this once.
	Invite string
}

// Fault is a problem in the summary at the top of a form.
type Fault struct{ Label, Message, Link string }

// FormPage is the form for an entry.
func FormPage() templates.Page[FormData] { return templates.Define[FormData]("admin/form") }

// editing is what a form is drawn from.
type editing struct {
	kind     settings.Kind
	id       string
	doc      form.Doc
	stored   form.Doc
	version  string
	origin   store.Origin
	problems []form.Problem
	status   int
	data     FormData
}

func (h *Handler) newEntry(c echo.Context, r *request, k settings.Kind) error {
	doc := form.Doc{}
	if k.Name == settings.Connectors {
		started, err := h.startConnector(c)
		if err != nil || started == nil {
			return errors.Join(err, h.chooseType(c, r, started))
		}
		doc = started
	}
	if k.Name == settings.Clients {
		doc = h.startClient(c)
	}
	if k.Name == settings.Rules && c.QueryParam("admin") != "" {
		doc = form.Doc{"admin": true, "id": "admins", "description": "Admins"}
	}
	if from := c.QueryParam("from"); from != "" {
		item, err := h.Admin.Entry(c.Request().Context(), r.caller, k.Name, from)
		if err != nil {
			return err
		}
		doc = item.Doc.Clone()
		doc.Set(k.IDKey, nil)
		doc.Set("secretHashes", nil)
		doc.Set("secretNotes", nil)
		doc.Set("enabled", nil)
		for _, f := range settings.Fields(k.Name, h.Types, doc) {
			if f.Kind == form.Secret {
				doc.Set(f.Key, nil)
			}
		}
	}
	return h.draw(c, r, &editing{kind: k, doc: doc})
}

func (h *Handler) edit(c echo.Context, r *request, k settings.Kind) error {
	item, err := h.Admin.Entry(c.Request().Context(), r.caller, k.Name, c.Param("id"))
	if err != nil {
		return err
	}
	e := &editing{kind: k, id: item.ID, doc: item.Doc, stored: item.Doc, version: item.Version, origin: item.Origin}
	e.data.Done = doneWords(c)
	return h.draw(c, r, e)
}

// draw shows a form.
func (h *Handler) draw(c echo.Context, r *request, e *editing) error {
	data := e.data
	data.Kind, data.ID, data.Version, data.ReadOnly = e.kind, e.id, e.version, h.Admin.ReadOnly
	data.Name, data.Action = e.id, h.Site.Path("/admin/"+e.kind.Path+"/new")
	title := "New " + e.kind.One
	if e.id != "" {
		data.Action = h.Site.Path("/admin/" + e.kind.Path + "/" + url.PathEscape(e.id))
		title = e.id
		if name := e.doc.Text("name"); name != "" {
			data.Name = name
		}
	}
	if e.origin.Origin == store.OriginFile {
		data.Locked = e.origin.OriginRef
	}
	fields := settings.Fields(e.kind.Name, h.Types, e.doc)
	data.Sections = form.Drawing{
		Fields: fields, Doc: e.doc, Stored: e.stored, Problems: e.problems, Locked: data.Locked != "" || data.ReadOnly, Edit: e.id != "",
	}.Sections()
	data.Problems = faults(fields, e.problems)
	data.YAML = asYAML(e.kind, form.Mask(fields, e.doc))
	if err := h.extras(c, r, e, &data); err != nil {
		return err
	}
	return show(h, c, r, web.View[FormData]{Page: FormPage(), Title: i18n.Verbatim(title), Data: data, Status: e.status})
}

// extras are what some kinds have besides the form.
func (h *Handler) extras(c echo.Context, r *request, e *editing, data *FormData) (err error) {
	link := func(label, path string) {
		data.Links = append(data.Links, templates.Link{Label: label, Path: h.Site.Path("/admin" + path)})
	}
	switch e.kind.Name {
	case settings.Connectors:
		if data.Connector == nil {
			data.Connector = &ConnectorForm{}
		}
		err = h.connectorForm(c, r, e, data.Connector)
	case settings.Clients:
		if data.Client, err = h.clientForm(c, r, e); e.id != "" {
			link("Preview claims", "/claims?client="+url.QueryEscape(e.id))
		}
	case settings.General:
		data.Name = map[string]string{settings.Sessions: "Sessions", settings.Branding: "Name and appearance"}[e.id]
	case settings.Clusters:
		if e.id != "" {
			link("Connect this cluster", "/clusters/"+e.id+"/connect")
			link("Check access", "/simulator?cluster="+url.QueryEscape(e.id))
			link("Preview claims", "/claims?cluster="+url.QueryEscape(e.id))
		}
	}
	if e.id != "" {
		link("Changes", "/history?kind="+e.kind.Name+"&object="+url.QueryEscape(e.id))
	}
	return err
}

// faults lists problems with links to the fields.
func faults(fields []form.Field, problems []form.Problem) []Fault {
	var list []Fault
	for _, p := range problems {
		f := Fault{Label: p.Field, Message: p.Message, Link: "#main"}
		base, _, _ := strings.Cut(p.Field, "[")
		for _, field := range fields {
			if field.Key == p.Field || field.Key == base {
				f.Label = field.Label
				f.Link = "#f-" + strings.NewReplacer(".", "-", "[", "-", "]", "").Replace(field.Key)
				if field.Kind == form.Rows {
					f.Link = "#f-" + strings.NewReplacer(".", "-", "[", "-", "]", "").Replace(p.Field)
				}
			}
		}
		list = append(list, f)
	}
	return list
}

func asYAML(k settings.Kind, doc form.Doc) string {
	text, err := yaml.Marshal(map[string]any{k.Name: []any{map[string]any(doc.Compact())}})
	if err != nil {
		return ""
	}
	return string(text)
}

// sent reads the form that was posted.
func (h *Handler) sent(c echo.Context, k settings.Kind, id string) (*editing, url.Values, error) {
	values, err := c.FormParams()
	if err != nil {
		return nil, nil, errs.Wrap(errs.Invalid, err, "The form could not be read. Open the page again and retry.")
	}
	shape := form.Doc{"type": values.Get("type"), "id": id} // which fields there are depends on these
	doc, problems := form.Parse(settings.Fields(k.Name, h.Types, shape), values)
	if k.Name == settings.Connectors {
		doc["type"] = values.Get("type")
	}
	return &editing{kind: k, id: id, doc: doc, version: values.Get("version"), problems: problems, status: http.StatusUnprocessableEntity}, values, nil
}

// save takes a form: to save it, to look at what it would do, or to try it.
func (h *Handler) save(c echo.Context, r *request, k settings.Kind, id string) error {
	e, values, err := h.sent(c, k, id)
	if err != nil {
		return err
	}
	if err := h.withStored(c, r, e); err != nil {
		return err
	}
	e.data.Reason = values.Get("reason")
	if len(e.problems) > 0 {
		return h.draw(c, r, e)
	}
	if k.Name == settings.Connectors && values.Get("do") == "test" {
		return h.beginTest(c, r, e)
	}
	if done, err := h.tryConnector(c, r, e, values); done || err != nil {
		return h.again(c, r, e, err)
	}
	return h.commit(c, r, e, values)
}

// commit previews or saves what the form has.
func (h *Handler) commit(c echo.Context, r *request, e *editing, values url.Values) error {
	k := e.kind
	draft := ops.Draft{Kind: k.Name, ID: e.id, Doc: e.doc, Version: e.version, Reason: values.Get("reason")}
	// A rule is shown what it does before it does it.
	state := ops.Version(e.doc)
	if wants := values.Get("do"); wants == "preview" || k.Name == settings.Rules && values.Get("previewed") != state {
		var err error
		e.data.Preview, err = h.Admin.Preview(c.Request().Context(), r.caller, draft)
		e.data.Previewed = state
		e.status = http.StatusOK
		return h.again(c, r, e, err)
	}
	revision, token, err := h.apply(c, r, draft)
	if err != nil {
		return h.again(c, r, e, err)
	}
	if token != "" {
		return h.showSecret(c, r, revision.ObjectID, token)
	}
	if revision.Outcome == store.OutcomeTrial {
		return h.to(c, "/history/"+revision.ID)
	}
	if k.Name == settings.Rules || k.Name == settings.Issuers || k.Name == settings.Workloads {
		return h.done(c, "/"+k.Path, "saved")
	}
	return h.done(c, "/"+k.Path+"/"+url.PathEscape(revision.ObjectID), "saved")
}

func (h *Handler) apply(c echo.Context, r *request, draft ops.Draft) (*store.Revision, string, error) {
	if draft.Kind == settings.Clients && draft.ID == "" {
		return h.Admin.CreateClient(c.Request().Context(), r.caller, draft)
	}
	revision, err := h.Admin.Apply(c.Request().Context(), r.caller, draft)
	return revision, "", err
}

// withStored adds what is stored, which says which secrets there are.
func (h *Handler) withStored(c echo.Context, r *request, e *editing) error {
	if e.id == "" {
		return nil
	}
	item, err := h.Admin.Entry(c.Request().Context(), r.caller, e.kind.Name, e.id)
	if err != nil {
		return err
	}
	e.stored, e.origin = item.Doc, item.Origin
	e.doc.Set(e.kind.IDKey, e.id)
	return nil
}

// again shows a form once more, with what was wrong.
func (h *Handler) again(c echo.Context, r *request, e *editing, err error) error {
	if err == nil {
		return h.draw(c, r, e)
	}
	if refused, ok := errors.AsType[*ops.RefusedError](err); ok {
		e.problems = refused.Problems
		for _, text := range refused.Elsewhere {
			e.problems = append(e.problems, form.Problem{Message: text})
		}
		return h.draw(c, r, e)
	}
	if outdated, ok := errors.AsType[*ops.OutdatedError](err); ok {
		fields := settings.Fields(e.kind.Name, h.Types, e.doc)
		e.data.Outdated = form.Diff(withoutSecrets(fields), outdated.Current, e.doc)
		e.version, e.status = outdated.Version, http.StatusConflict
		return h.draw(c, r, e)
	}
	if kind := errs.KindOf(err); kind == errs.Denied || kind == errs.Invalid || kind == errs.Unavailable {
		e.problems = []form.Problem{{Message: errs.Message(err)}}
		if kind == errs.Denied {
			e.status = http.StatusForbidden
		}
		return h.draw(c, r, e)
	}
	return err
}

func withoutSecrets(fields []form.Field) []form.Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f form.Field) bool { return f.Kind == form.Secret })
}
