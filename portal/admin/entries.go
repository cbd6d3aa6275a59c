package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

func (h *Handler) mountEntries(add func(method, path string, handle handler)) {
	for _, k := range settings.Kinds() {
		path := "/" + k.Path
		add(http.MethodGet, path, func(c echo.Context, r *request) error { return h.list(c, r, k) })
		add(http.MethodGet, path+"/new", func(c echo.Context, r *request) error { return h.newEntry(c, r, k) })
		add(http.MethodPost, path+"/new", func(c echo.Context, r *request) error { return h.save(c, r, k, "") })
		add(http.MethodGet, path+"/:id", func(c echo.Context, r *request) error { return h.edit(c, r, k) })
		add(http.MethodPost, path+"/:id", func(c echo.Context, r *request) error { return h.save(c, r, k, c.Param("id")) })
		add(http.MethodGet, path+"/:id/delete", func(c echo.Context, r *request) error { return h.askDelete(c, r, k, "") })
		add(http.MethodPost, path+"/:id/delete", func(c echo.Context, r *request) error { return h.delete(c, r, k) })
	}
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
	return h.draw(c, r, e)
}

// sent reads the form that was posted.
func (h *Handler) sent(c echo.Context, r *request, k settings.Kind, id string) (*editing, url.Values, error) {
	values, err := c.FormParams()
	if err != nil {
		return nil, nil, errs.Wrap(errs.Invalid, err, "The form could not be read. Open the page again and retry.")
	}
	shape := form.Doc{"type": values.Get("type"), "id": id} // which fields there are depends on these
	doc, problems := form.Parse(settings.Fields(k.Name, h.Types, shape), values)
	if k.Name == settings.Connectors {
		doc["type"] = values.Get("type")
	}
	e := &editing{kind: k, id: id, doc: doc, version: values.Get("version"), problems: problems, status: http.StatusUnprocessableEntity}
	h.openSecrets(r, e, settings.Fields(k.Name, h.Types, shape), values)
	return e, values, nil
}

// save takes a form: to save it, to look at what it would do, or to try it.
func (h *Handler) save(c echo.Context, r *request, k settings.Kind, id string) error {
	e, values, err := h.sent(c, r, k, id)
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
	if wants := values.Get("do"); wants == "preview" || wants == "enter" || k.Name == settings.Rules && values.Get("previewed") != state {
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
	return h.saved(c, k, revision)
}

// saved sends the browser to the entry, or to the list of a kind whose entries are mostly looked
// at together. The toast there can undo the change.
func (h *Handler) saved(c echo.Context, k settings.Kind, revision *store.Revision) error {
	path := "/" + k.Path
	if k.Name != settings.Rules && k.Name != settings.Issuers && k.Name != settings.Workloads {
		path += "/" + url.PathEscape(revision.ObjectID)
	}
	return h.to(c, path+"?"+url.Values{"done": {"saved"}, "undo": {revision.ID}}.Encode())
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
