package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountHistory(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/history", h.history)
	add(http.MethodGet, "/history/:id", func(c echo.Context, r *request) error { return h.revision(c, r, nil) })
	add(http.MethodPost, "/history/:id/restore", h.restore)
	add(http.MethodPost, "/history/:id/undo", h.undo)
	add(http.MethodPost, "/history/:id/confirm", func(c echo.Context, r *request) error {
		return h.endTrial(c, r, "confirmed", h.Admin.ConfirmTrial(c.Request().Context(), r.caller, c.Param("id")))
	})
	add(http.MethodPost, "/history/:id/roll-back", func(c echo.Context, r *request) error {
		return h.endTrial(c, r, "rolled-back", h.Admin.RollBackTrial(c.Request().Context(), r.caller, c.Param("id")))
	})
}

// ChangeRow is a change with its page and its words.
type ChangeRow struct {
	ops.Change
	Path, What, Word string
}

func (h *Handler) changeRow(change ops.Change) ChangeRow {
	word := map[string]string{store.ActionCreate: "created", store.ActionUpdate: "changed", store.ActionDelete: "deleted", store.ActionMove: "moved"}[change.Action]
	return ChangeRow{Change: change, Path: h.Site.Path("/admin/history/" + change.ID), What: ops.KindLabel(change.Kind) + " " + change.ObjectID, Word: word}
}

// history shows the changes to the configuration, the newest first.
func (h *Handler) history(c echo.Context, r *request) error {
	w := wanted(c)
	before, err := strconv.ParseInt(w.values.Get("before"), 10, 64)
	if err != nil {
		before = 0 // the first page
	}
	query := store.RevisionQuery{Kind: w.values.Get("kind"), ObjectID: cmp.Or(w.query, w.values.Get("object")), Before: before}
	changes, err := h.Admin.History(c.Request().Context(), r.caller, query)
	if err != nil {
		return err
	}
	data := ListData{
		Title: "Changes", About: "Every change to the configuration that an admin or a program made here.",
		Columns: []ListColumn{{Label: "Outcome"}, {Label: "Change"}, {Label: "Author"}, {Label: "Reason"}, {Label: "Time"}},
		Filters: []ListFilter{kindFilter(query.Kind)},
		Empty:   ListEmpty{Title: "No change yet", Text: "Each change that is made in these pages, with the API or by an import appears here, with its author and a way to undo it."},
	}
	for _, change := range changes {
		row := h.changeRow(change)
		data.Rows = append(data.Rows, ListRow{
			Name: row.What + " " + row.Word, Path: row.Path, State: outcomeState(change.Outcome), Sub: "revision " + strconv.FormatInt(change.Number, 10),
			Cells: []ListCell{{Label: "Author", Text: change.AuthorName}, {Label: "Reason", Text: change.Reason}, {Label: "Time", At: change.Time.Time()}},
		})
	}
	data.From, data.To, data.Total = 1, len(data.Rows), len(data.Rows)
	if len(changes) == ops.PageSize {
		data.Next = w.link("before", strconv.FormatInt(changes[len(changes)-1].Number, 10))
	}
	if before > 0 {
		data.Prev = w.link("before", "")
	}
	return h.showList(c, r, w, data)
}

func kindFilter(chosen string) ListFilter {
	filter := ListFilter{Name: "kind", Label: "Kind", Options: []ListOption{{Label: "All kinds"}}}
	for _, k := range settings.Kinds() {
		filter.Options = append(filter.Options, ListOption{Value: k.Name, Label: k.Many, Chosen: k.Name == chosen})
	}
	return filter
}

func outcomeState(outcome string) ops.RowState {
	switch outcome {
	case store.OutcomeTrial:
		return ops.RowState{Level: ops.LevelWarning, Text: "On trial"}
	case store.OutcomeRolledBack:
		return ops.RowState{Level: ops.LevelOff, Text: "Undone"}
	case store.OutcomeReplaced:
		return ops.RowState{Level: ops.LevelOff, Text: "Replaced"}
	case store.OutcomeConfirmed:
		return ops.RowState{Level: ops.LevelGood, Text: "Confirmed"}
	}
	return ops.RowState{Level: ops.LevelGood, Text: "Applied"}
}

// RevisionData is one change.
type RevisionData struct {
	ChangeRow
	State ops.RowState
	// Trial says that the change waits to be confirmed; Fresh that this sign-in can confirm it.
	Trial, Fresh bool
	// Restores are the versions that can be restored, with what that would do.
	Restores []RestoreChoice
	Error    string
	ReadOnly bool
}

// RestoreChoice is a version of an entry that can be restored.
type RestoreChoice struct {
	*ops.RestorePreview
	// To is "before" or "after"; Label is the button's, Deletes says that the entry did not exist.
	To, Label string
	Deletes   bool
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
		ChangeRow: h.changeRow(change), State: outcomeState(change.Outcome), Trial: change.Outcome == store.OutcomeTrial, Fresh: r.caller.CanConfirm(&change.Revision),
		Error: errs.Message(fault), ReadOnly: h.Admin.ReadOnly,
	}
	if !data.Trial && change.Outcome != store.OutcomeRolledBack && !data.ReadOnly {
		if data.Restores, err = h.restores(c, r, &change); err != nil {
			return err
		}
	}
	title := "Revision " + strconv.FormatInt(change.Number, 10)
	view := web.View[RevisionData]{Page: RevisionPage(), Title: i18n.Verbatim(title), Data: data, Crumbs: h.crumbs(templates.Link{Label: "Changes", Path: "/history"}, templates.Link{Label: title})}
	if fault != nil {
		view.Status = http.StatusUnprocessableEntity
	} else if data.Trial {
		view.Refresh = 15
	}
	return show(h, c, r, view)
}

// restores works out what restoring the version before the change would do and, if a later
// change was made, the version after it.
func (h *Handler) restores(c echo.Context, r *request, change *ops.Change) ([]RestoreChoice, error) {
	var list []RestoreChoice
	for _, to := range []string{"before", "after"} {
		if to == "after" && change.Action == store.ActionDelete {
			continue
		}
		preview, err := h.Admin.PreviewRestore(c.Request().Context(), r.caller, ops.Restoration{RevisionID: change.ID, After: to == "after", Reason: restoreReason(to == "after", change.Number)})
		if err != nil {
			return nil, err
		}
		if preview.NoChange {
			continue
		}
		choice := RestoreChoice{RestorePreview: preview, To: to, Label: "Restore the version before this change", Deletes: to == "before" && change.Action == store.ActionCreate}
		if preview.Newest && to == "before" {
			choice.Label = "Undo this change"
		}
		if to == "after" {
			choice.Label = "Restore the version after this change"
		}
		list = append(list, choice)
	}
	return list, nil
}

func (h *Handler) restore(c echo.Context, r *request) error {
	after := c.FormValue("to") == "after"
	ctx := c.Request().Context()
	change, err := h.Admin.Revision(ctx, r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	current := c.FormValue("current")
	reason := cmp.Or(strings.TrimSpace(c.FormValue("reason")), restoreReason(after, change.Number))
	revision, err := h.Admin.Restore(ctx, r.caller, ops.Restoration{RevisionID: change.ID, After: after, Reason: reason, Expected: &current})
	if errs.Is(err, errs.Conflict) {
		return h.revision(c, r, errs.New(errs.Conflict, "Not restored: the entry has changed since this page was opened. Read the new preview, then restore again."))
	}
	if fault := errs.KindOf(err); err != nil && (fault == errs.Invalid || fault == errs.Denied || fault == errs.NotFound) {
		return h.revision(c, r, err)
	}
	if err != nil {
		return err
	}
	return h.done(c, "/history/"+revision.ID, "restored")
}

func restoreReason(after bool, number int64) string {
	return fmt.Sprintf("Restores the version %s revision %d", map[bool]string{false: "before", true: "after"}[after], number)
}

// undo takes back a change that was just made. A rule is previewed first, and so is an entry
// with a later change: the page of the revision shows what restoring would do.
func (h *Handler) undo(c echo.Context, r *request) error {
	ctx := c.Request().Context()
	change, err := h.Admin.Revision(ctx, r.caller, c.Param("id"))
	if err != nil {
		return err
	}
	reason := fmt.Sprintf("Undoes revision %d", change.Number)
	preview, err := h.Admin.PreviewRestore(ctx, r.caller, ops.Restoration{RevisionID: change.ID, Reason: reason})
	if err != nil {
		return err
	}
	if change.Kind == settings.Rules || !preview.Newest || preview.NoChange || preview.Refused != "" || preview.Trial {
		return h.to(c, "/history/"+change.ID)
	}
	revision, err := h.Admin.Restore(ctx, r.caller, ops.Restoration{
		RevisionID: change.ID, Reason: reason, Expected: &preview.Current,
	})
	if err != nil {
		return h.revision(c, r, err)
	}
	k, _ := settings.KindOf(change.Kind)
	path := "/" + k.Path
	if change.Action != store.ActionCreate {
		path += "/" + url.PathEscape(change.ObjectID)
	}
	return h.to(c, path+"?done=restored&undo="+revision.ID)
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
