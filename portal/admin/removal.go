package admin

import (
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/templates"
)

// askRemovePerson asks before a user is removed.
func (h *Handler) askRemovePerson(c echo.Context, r *request) error {
	p, err := h.Admin.Person(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	self := "/people/" + p.User.ID
	data := ConfirmData{
		Title: "Remove " + p.User.Label() + "?", Names: []string{p.User.KubeName}, Danger: true, Label: "Remove user", Reason: "for the audit log",
		Sentences: []string{
			"Sessions, devices, API tokens and second factors of the user end at once.",
			"The name is free: the next user whom a connector gives this name may sign in with it, and gets what clusters and rules grant to the name.",
			"Remove a user who has a new ID at the provider, or whose local account was created again. To keep a user out, disable them.",
		},
		Action: h.Site.Path("/admin" + self + "/remove"), Back: h.Site.Path("/admin" + self),
	}
	return h.confirm(c, r, h.crumbs(templates.Link{Label: "People", Path: "/people"}, templates.Link{Label: p.User.Label(), Path: self}, templates.Link{Label: "Remove"}), data)
}

func (h *Handler) removePerson(c echo.Context, r *request) error {
	err := h.Admin.RemovePerson(c.Request().Context(), r.caller, c.Param("id"), c.FormValue("reason"))
	if errs.Is(err, errs.Denied) {
		return h.person(c, r, errs.Message(err))
	}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	return h.done(c, "/people", "removed")
}

// askRetired asks before the users of a deleted connector are removed, or returned to the connector with its id.
func (h *Handler) askRetired(c echo.Context, r *request) error {
	id := c.Param("id")
	n, err := h.Admin.Retired(c.Request().Context(), r.caller, id)
	if err != nil {
		return err
	}
	self := "/connectors/" + url.PathEscape(id)
	data := ConfirmData{
		Title: "Are these the same people?", Label: "Return them", Danger: true,
		Sentences: []string{
			"Each user gets the account, second factors and settings of the user that had the same ID at the deleted connector.",
			"Return them only if both connectors ask the same upstream. At another upstream, the same ID may be another person.",
		},
		Back: h.Site.Path("/admin" + self),
	}
	if c.Param("act") == retiredRemove {
		data.Title, data.Label = "Remove the people of the deleted connector?", "Remove them"
		data.Sentences = []string{"Their second factors, consents and settings are deleted.", "Their names are free: users of this connector may sign in with them, and get what clusters and rules grant to the names."}
	}
	if n > 0 {
		data.Names = []string{strconv.Itoa(n) + " users of the deleted connector " + id}
	}
	data.Action = data.Back + "/retired/" + url.PathEscape(c.Param("act"))
	return h.confirm(c, r, h.crumbs(templates.Link{Label: "Connectors", Path: "/connectors"}, templates.Link{Label: id, Path: self}, templates.Link{Label: "People of a deleted connector"}), data)
}

// retiredRemove is the act in the address that removes. The other one returns.
const (
	retiredRemove = "remove"
	retiredReturn = "return"
)

func (h *Handler) actOnRetired(c echo.Context, r *request) error {
	acts := map[string]func(*ops.Admin) error{
		retiredRemove: func(a *ops.Admin) error {
			_, err := a.RemoveRetired(c.Request().Context(), r.caller, c.Param("id"))
			return err
		},
		retiredReturn: func(a *ops.Admin) error {
			_, err := a.ReturnPeople(c.Request().Context(), r.caller, c.Param("id"))
			return err
		},
	}
	act, known := acts[c.Param("act")]
	if !known {
		return errs.New(errs.NotFound, "There is no such page. Go back and choose again.")
	}
	if err := act(h.Admin); err != nil {
		return err
	}
	return h.done(c, "/connectors/"+url.PathEscape(c.Param("id")), "saved")
}
