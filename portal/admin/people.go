package admin

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountPeople(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/people", h.people)
	add(http.MethodGet, "/people/:id", func(c echo.Context, r *request) error { return h.person(c, r, "") })
	add(http.MethodPost, "/people/:id/disable", h.disablePerson)
	add(http.MethodPost, "/people/:id/enable", h.enablePerson)
	add(http.MethodPost, "/people/:id/revoke", h.revokePerson)
	add(http.MethodPost, "/people/:id/factors/:factor/remove", func(c echo.Context, r *request) error {
		return h.afterPerson(c, r, "removed", h.Admin.RemoveFactor(c.Request().Context(), r.caller, c.Param("id"), c.Param("factor")))
	})
}

// PeopleData is the list of people.
type PeopleData struct {
	Rows             []PersonRow
	Total            int64
	Query, Connector string
	Disabled         bool
	Next             string
	Paged            bool
}

// PersonRow is a person in the list.
type PersonRow struct {
	store.User
	Path string
}

// PeoplePage is the list of people.
func PeoplePage() templates.Page[PeopleData] { return templates.Define[PeopleData]("admin/people") }

func (h *Handler) people(c echo.Context, r *request) error {
	query := store.UserQuery{
		Text: strings.TrimSpace(c.QueryParam("q")), ConnectorID: c.QueryParam("connector"), Disabled: c.QueryParam("disabled") != "",
		After: c.QueryParam("after"), Limit: ops.PageSize,
	}
	rows, total, err := h.Admin.People(c.Request().Context(), r.caller, query)
	if err != nil {
		return err
	}
	data := PeopleData{Total: total, Query: query.Text, Connector: query.ConnectorID, Disabled: query.Disabled, Paged: query.After != ""}
	for _, u := range rows {
		data.Rows = append(data.Rows, PersonRow{User: u, Path: h.Site.Path("/admin/people/" + u.ID)})
	}
	if len(rows) == ops.PageSize {
		next := url.Values{"q": {query.Text}, "connector": {query.ConnectorID}, "after": {rows[len(rows)-1].NameKey}}
		if query.Disabled {
			next.Set("disabled", "yes")
		}
		data.Next = "?" + next.Encode()
	}
	return show(h, c, r, web.View[PeopleData]{Page: PeoplePage(), Title: i18n.T("People"), Data: data})
}

// PersonData is one person.
type PersonData struct {
	*ops.Person
	Self, Simulator, Events string
	Done, Error             string
	IsMe                    bool
}

// PersonPage is one person.
func PersonPage() templates.Page[PersonData] { return templates.Define[PersonData]("admin/person") }

func (h *Handler) person(c echo.Context, r *request, fault string) error {
	p, err := h.Admin.Person(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	view := web.View[PersonData]{Page: PersonPage(), Title: i18n.Verbatim(p.User.Label()), Data: PersonData{
		Person: p, Self: h.Site.Path("/admin/people/" + p.User.ID), Simulator: h.Site.Path("/admin/simulator?user=" + url.QueryEscape(p.User.KubeName)),
		Events: h.Site.Path("/admin/audit?user=" + url.QueryEscape(p.User.ID)), Done: doneWords(c), Error: fault, IsMe: p.User.ID == r.current.User.ID,
	}}
	if fault != "" {
		view.Status = http.StatusForbidden
	}
	return show(h, c, r, view)
}

func (h *Handler) disablePerson(c echo.Context, r *request) error {
	return h.afterPerson(c, r, "person-off", h.Admin.Disable(c.Request().Context(), r.caller, c.Param("id"), true))
}

func (h *Handler) enablePerson(c echo.Context, r *request) error {
	return h.afterPerson(c, r, "person-on", h.Admin.Disable(c.Request().Context(), r.caller, c.Param("id"), false))
}

func (h *Handler) revokePerson(c echo.Context, r *request) error {
	return h.afterPerson(c, r, "revoked", h.Admin.Revoke(c.Request().Context(), r.caller, c.Param("id"), c.FormValue("what")))
}

func (h *Handler) afterPerson(c echo.Context, r *request, done string, err error) error {
	if errs.Is(err, errs.Denied) {
		return h.person(c, r, errs.Message(err))
	}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	return h.done(c, "/people/"+c.Param("id"), done)
}
