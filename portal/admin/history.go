package admin

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountHistory(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/history", h.history)
	add(http.MethodGet, "/history/:id", func(c echo.Context, r *request) error { return h.revision(c, r, nil) })
	add(http.MethodPost, "/history/:id/restore", h.restore)
	add(http.MethodPost, "/history/:id/confirm", func(c echo.Context, r *request) error {
		return h.endTrial(c, r, "confirmed", h.Admin.Confirm(c.Request().Context(), r.caller, c.Param("id")))
	})
	add(http.MethodPost, "/history/:id/roll-back", func(c echo.Context, r *request) error {
		return h.endTrial(c, r, "rolled-back", h.Admin.RollBack(c.Request().Context(), r.caller, c.Param("id")))
	})
}

// HistoryData is the list of changes.
type HistoryData struct {
	Rows         []ChangeRow
	Kind, Object string
	Next         string
}

// ChangeRow is a change in the list.
type ChangeRow struct {
	ops.Change
	Path, What, Word string
}

// HistoryPage is the list of changes.
func HistoryPage() templates.Page[HistoryData] { return templates.Define[HistoryData]("admin/history") }

func (h *Handler) changeRow(change ops.Change) ChangeRow {
	word := map[string]string{store.ActionCreate: "created", store.ActionUpdate: "changed", store.ActionDelete: "deleted"}[change.Action]
	return ChangeRow{Change: change, Path: h.Site.Path("/admin/history/" + change.ID), What: ops.WordOf(change.Kind) + " " + change.ObjectID, Word: word}
}

func (h *Handler) history(c echo.Context, r *request) error {
	before, _ := strconv.ParseInt(c.QueryParam("before"), 10, 64) // anything else is the newest
	data := HistoryData{Kind: c.QueryParam("kind"), Object: c.QueryParam("object")}
	changes, err := h.Admin.History(c.Request().Context(), r.caller, store.RevisionQuery{Kind: data.Kind, ObjectID: data.Object, Before: before})
	if err != nil {
		return err
	}
	for _, change := range changes {
		data.Rows = append(data.Rows, h.changeRow(change))
	}
	if len(changes) == ops.PageSize {
		data.Next = "?" + url.Values{"kind": {data.Kind}, "object": {data.Object}, "before": {strconv.FormatInt(changes[len(changes)-1].Number, 10)}}.Encode()
	}
	return show(h, c, r, web.View[HistoryData]{Page: HistoryPage(), Title: i18n.T("Changes"), Data: data})
}

// RevisionData is one change.
type RevisionData struct {
	ChangeRow
	// Trial says that the change waits to be confirmed; Fresh that this sign-in may.
	Trial, Fresh bool
	// CanUndo says that restoring makes sense.
	CanUndo  bool
	Error    string
	Done     string
	ReadOnly bool
}

// RevisionPage is one change.
func RevisionPage() templates.Page[RevisionData] {
	return templates.Define[RevisionData]("admin/revision")
}

func (h *Handler) revision(c echo.Context, r *request, fault error) error {
	change, err := h.Admin.Revision(c.Request().Context(), r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	data := RevisionData{
		ChangeRow: h.changeRow(change), Trial: change.Outcome == store.OutcomeTrial, Fresh: r.caller.Proves(&change.Revision),
		Error: errs.Message(fault), Done: doneWords(c), ReadOnly: h.Admin.ReadOnly,
	}
	data.CanUndo = !data.Trial && change.Outcome != store.OutcomeRolledBack
	view := web.View[RevisionData]{Page: RevisionPage(), Title: i18n.Verbatim("Revision " + strconv.FormatInt(change.Number, 10)), Data: data}
	if fault != nil {
		view.Status = http.StatusUnprocessableEntity
	} else if data.Trial {
		view.Refresh = 15
	}
	return show(h, c, r, view)
}

func (h *Handler) restore(c echo.Context, r *request) error {
	revision, err := h.Admin.Restore(c.Request().Context(), r.caller, c.Param("id"), c.FormValue("to") == "after", c.FormValue("reason"))
	if fault := errs.KindOf(err); err != nil && (fault == errs.Invalid || fault == errs.Denied || fault == errs.Conflict || fault == errs.NotFound) {
		return h.revision(c, r, err)
	}
	if err != nil {
		return err
	}
	return h.done(c, "/history/"+revision.ID, "restored")
}

func (h *Handler) endTrial(c echo.Context, r *request, done string, err error) error {
	if errs.Is(err, errs.Denied) || errs.Is(err, errs.Conflict) {
		return h.revision(c, r, err)
	}
	if err != nil {
		return err
	}
	return h.done(c, "/history/"+c.Param("id"), done)
}
