package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/suggest"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// FormData is the page of one entry: its state, its form, and what a check or a preview found.
type FormData struct {
	Kind settings.Kind
	// ID is empty for a new one.
	ID, Name, Action, Version string
	// State is how the entry is now; empty for a new one. LastChange is the newest revision.
	State      ops.RowState
	LastChange *ChangeRow
	Sections   []form.Section
	Problems   []Fault
	// Changed says that the form has values that are not saved.
	Changed bool
	// Locked says why nothing can be changed: "fairlead.yaml:12".
	Locked   string
	ReadOnly bool
	YAML     string
	Preview  *ops.Preview
	// Difference is the preview on the access map, or nil. First and Others are the sentences of
	// the preview; Others are folded. Left are how many more there are.
	Difference    *Difference
	First, Others []string
	Left          int
	// Previewed is the state of the values that the preview is about.
	Previewed string
	// Outdated compares what another admin saved in the meantime with the form.
	Outdated  []form.Change
	Reason    string
	Connector *ConnectorForm
	Client    *ClientForm
	// Links are the pages about the entry, this one first.
	Links []templates.Link
	// Delete is the page that asks before the entry is deleted; empty if it can't be.
	Delete string
	// Environment and Color are those of a cluster.
	Environment, Color string
}

func (d *FormData) title() string {
	if d.ID == "" {
		return "New " + d.Kind.One
	}
	return cmp.Or(d.Name, d.ID)
}

// Fault is a problem in the summary at the top of a form.
type Fault struct{ Label, Message, Link string }

// FormPage is the page of an entry.
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
	// status is that of the answer. It is zero for a form that has not been sent.
	status int
	data   FormData
}

// How many sentences of a preview are shown at once, and how many in all.
const (
	firstSentences = 8
	maxSentences   = 60
)

// draw shows a form.
func (h *Handler) draw(c echo.Context, r *request, e *editing) error {
	data := e.data
	data.Difference = h.difference(data.Preview)
	if data.Preview != nil {
		all := data.Preview.Sentences
		first, last := min(firstSentences, len(all)), min(maxSentences, len(all))
		data.First, data.Others, data.Left = all[:first], all[first:last], len(all)-last
	}
	data.Kind, data.ID, data.Version, data.ReadOnly = e.kind, e.id, e.version, h.Admin.ReadOnly
	data.Name, data.Action, data.Changed = e.id, h.newPath(c, e.kind), e.status != 0
	if e.id != "" {
		data.Action = h.entryPath(e.kind.Name, e.id)
		data.Name = cmp.Or(e.doc.Text("name"), e.doc.Text("description"), e.id)
		if e.kind.Name != settings.General {
			data.Delete = data.Action + "/delete"
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
	h.sealSecrets(r, e, fields, data.Sections)
	for _, add := range []func(echo.Context, *request, *editing, *FormData) error{h.extras, h.entryState, h.unknownGroups} {
		if err := add(c, r, e, &data); err != nil {
			return err
		}
	}
	view := web.View[FormData]{Page: FormPage(), Title: i18n.Verbatim(data.title()), Data: data, Status: e.status}
	view.Crumbs = h.crumbs(templates.Link{Label: e.kind.Many, Path: "/" + e.kind.Path}, templates.Link{Label: data.title()})
	return show(h, c, r, view)
}

// newPath is where the form of a new entry is sent. It keeps the type and the preset that the
// form began with, so that the page can be loaded again.
func (h *Handler) newPath(c echo.Context, k settings.Kind) string {
	path, kept := h.Site.Path("/admin/"+k.Path+"/new"), url.Values{}
	for _, name := range []string{"type", "preset"} {
		if value := c.QueryParam(name); value != "" {
			kept.Set(name, value)
		}
	}
	if len(kept) == 0 {
		return path
	}
	return path + "?" + kept.Encode()
}

// extras are what some kinds have besides the form.
func (h *Handler) extras(c echo.Context, r *request, e *editing, data *FormData) (err error) {
	link := func(label, path string) {
		data.Links = append(data.Links, templates.Link{Label: label, Path: h.Site.Path("/admin" + path)})
	}
	if e.id != "" {
		data.Links = []templates.Link{{Label: "Settings", Path: data.Action, Here: true}}
	}
	switch e.kind.Name {
	case settings.Connectors:
		if data.Connector == nil {
			data.Connector = &ConnectorForm{}
		}
		err = h.connectorForm(c, r, e, data.Connector)
		if e.id != "" {
			link("Users", "/people?connector="+url.QueryEscape(e.id))
		}
	case settings.Clients:
		if data.Client, err = h.clientForm(c, r, e); e.id != "" {
			link("Preview claims", "/claims?client="+url.QueryEscape(e.id))
		}
	case settings.General:
		data.Name = map[string]string{settings.Sessions: "Sessions", settings.Branding: "Name and appearance"}[e.id]
	case settings.Rules, settings.Clusters:
		h.tabbed(e, data)
		return nil
	}
	if e.id != "" {
		link("Changes", "/history?kind="+e.kind.Name+"&object="+url.QueryEscape(e.id))
	}
	return err
}

// tabbed adds what the kinds with a map of access have besides the form.
func (h *Handler) tabbed(e *editing, data *FormData) {
	data.Environment, data.Color = e.doc.Text("environment"), e.doc.Text("color")
	switch {
	case e.id == "":
	case e.kind.Name == settings.Rules:
		data.Links = h.ruleTabs(e.id, "Settings")
	default:
		data.Links = h.clusterTabs(e.id, "")
	}
}

// entryState adds how the entry is now, as its list shows it, and its last change.
func (h *Handler) entryState(c echo.Context, r *request, e *editing, data *FormData) error {
	if e.id == "" {
		return nil
	}
	rows, _, err := h.lists()[e.kind.Name](c, r)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Path == data.Action {
			data.State = row.State
		}
	}
	changes, err := h.Admin.History(c.Request().Context(), r.caller, store.RevisionQuery{Kind: e.kind.Name, ObjectID: e.id, Limit: 1})
	if err == nil && len(changes) > 0 {
		row := h.changeRow(changes[0])
		data.LastChange = &row
	}
	return err
}

// unknownGroups warns of the groups of a rule that no user has: often they are misspelt.
func (h *Handler) unknownGroups(c echo.Context, r *request, e *editing, data *FormData) error {
	if e.kind.Name != settings.Rules {
		return nil
	}
	known, err := h.Admin.UserGroups(c.Request().Context(), r.caller)
	if err != nil || len(known) == 0 {
		return err
	}
	var names []string
	for name := range known {
		names = append(names, name)
	}
	var warnings []string
	for _, group := range form.Lines(strings.Join(texts(e.doc.Get("who.groups")), "\n")) {
		name, _ := group.(string)
		if known[name] > 0 {
			continue
		}
		warning := fmt.Sprintf("No user has signed in with the group “%s”.", name)
		if closest := suggest.Closest(name, names); closest != "" {
			warning += fmt.Sprintf(" Did you mean “%s” (%s)?", closest, plural(int(known[closest]), "user", "users"))
		}
		warnings = append(warnings, warning)
	}
	for s := range data.Sections {
		for i := range data.Sections[s].Inputs {
			if input := &data.Sections[s].Inputs[i]; input.Key == "who.groups" {
				input.Warning = strings.Join(warnings, " ")
			}
		}
	}
	return nil
}

// texts are the texts of a list in a document.
func texts(value any) []string {
	list, _ := value.([]any)
	var out []string
	for _, v := range list {
		if text, ok := v.(string); ok {
			out = append(out, text)
		}
	}
	return out
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

// draftSecretLife is how long a form keeps a secret that was typed and not saved.
const draftSecretLife = 2 * time.Hour

// sealContext binds a secret of a form to the field, the entry, the admin's session and
// the destination: after a change of the address the secret must be typed again, as a
// stored one must.
func sealContext(r *request, e *editing, fields []form.Field, field string) string {
	session := ""
	if r.caller.SignIn != nil {
		session = r.caller.SignIn.ID
	}
	bound := []any{"form.secret", session, e.kind.Name, e.id, field}
	for _, f := range fields {
		if f.Destination {
			bound = append(bound, f.Key, e.doc.Get(f.Key))
		}
	}
	text, err := json.Marshal(bound)
	if err != nil {
		return "form.secret" // a document holds only values that can be encoded
	}
	return string(text)
}

// sealSecrets puts the secrets that were typed into the form, encrypted. They are never shown,
// and only this admin's session can send them back.
func (h *Handler) sealSecrets(r *request, e *editing, fields []form.Field, sections []form.Section) {
	if e.status == 0 {
		return
	}
	seal := func(inputs []form.Input) {
		for i := range inputs {
			if in := &inputs[i]; in.Kind == form.Secret && e.doc.Text(in.Key) != "" && e.doc.Text(in.Key) != form.Masked {
				ends := h.Now().Add(draftSecretLife).UTC().Format(time.RFC3339)
				in.Sealed = h.Keyring.Seal(sealContext(r, e, fields, in.Key), []byte(ends+"\n"+e.doc.Text(in.Key)))
			}
		}
	}
	for i := range sections {
		seal(sections[i].Inputs)
		seal(sections[i].Advanced)
	}
}

// openSecrets takes secrets that the form sent back for those that were not typed again.
func (h *Handler) openSecrets(r *request, e *editing, fields []form.Field, values url.Values) {
	for _, f := range fields {
		sealed := values.Get(f.Key + ".sealed")
		if f.Kind != form.Secret || sealed == "" || e.doc.Get(f.Key) != nil {
			continue
		}
		plain, err := h.Keyring.Open(sealContext(r, e, fields, f.Key), sealed)
		if err != nil {
			continue // from another session, entry or destination: the field asks again
		}
		until, value, _ := strings.Cut(string(plain), "\n")
		if ends, err := time.Parse(time.RFC3339, until); err == nil && h.Now().Before(ends) {
			e.doc.Set(f.Key, value)
		}
	}
}
