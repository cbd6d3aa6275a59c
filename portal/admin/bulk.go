package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

// bulkList is a list with bulk acts: its name, its path, and words for its rows.
type bulkList struct{ name, path, title, one, many string }

func bulkLists() []bulkList {
	lists := []bulkList{
		{ops.BulkPeople, "/people", "People", "user", "users"}, {ops.BulkTokens, "/tokens", "API tokens", "token", "tokens"}, {ops.BulkProxies, "/proxies", "Proxies", "proxy", "proxies"},
	}
	for _, k := range settings.Kinds() {
		if len(ops.BulkActs(k.Name)) > 0 {
			lists = append(lists, bulkList{k.Name, "/" + k.Path, k.Many, k.One, strings.ToLower(k.Many)})
		}
	}
	return lists
}

func (h *Handler) mountBulk(add func(method, path string, handle handler)) {
	for _, list := range bulkLists() {
		add(http.MethodGet, list.path+"/bulk", func(c echo.Context, r *request) error { return h.askBulk(c, r, list, "") })
		add(http.MethodPost, list.path+"/bulk", func(c echo.Context, r *request) error { return h.applyBulk(c, r, list) })
	}
}

// ConfirmData is a page that asks before something is done, and says what it ends.
type ConfirmData struct {
	Title string
	// Names are what it is about. Sentences are the consequences, counted now.
	Names, Sentences []string
	// Skipped is what stays as it is.
	Skipped []ops.BulkSkip
	Problem string
	// Action takes the POST with the fields Kept. Label is the button's.
	Action, Label string
	Kept          []ListKept
	Danger        bool
	// Reason asks for a reason, and says where it is kept.
	Reason string
	Back   string
}

// ConfirmPage asks before something is done.
func ConfirmPage() templates.Page[ConfirmData] { return templates.Define[ConfirmData]("admin/confirm") }

// confirm shows the page that asks. Without anything to do there is no button.
func (h *Handler) confirm(c echo.Context, r *request, crumbs []templates.Link, data ConfirmData) error {
	view := web.View[ConfirmData]{Page: ConfirmPage(), Title: i18n.Verbatim(data.Title), Data: data, Crumbs: crumbs}
	if data.Problem != "" {
		view.Status = http.StatusUnprocessableEntity
	}
	return show(h, c, r, view)
}

// askBulk shows what a bulk act would do.
func (h *Handler) askBulk(c echo.Context, r *request, list bulkList, problem string) error {
	values, err := c.FormParams()
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "The form could not be read. Open the page again and retry.")
	}
	bulk := ops.Bulk{List: list.name, Act: ops.BulkAct(values.Get("act")), IDs: values["id"]}
	preview, err := h.Admin.PreviewBulk(c.Request().Context(), r.caller, bulk)
	if err != nil {
		return err
	}
	label := bulkWord(bulk.Act) + " " + plural(len(preview.Names), list.one, list.many)
	data := ConfirmData{
		Title: label + "?", Names: preview.Names, Sentences: preview.Sentences, Skipped: preview.Skipped, Problem: problem,
		Action: h.Site.Path("/admin" + list.path + "/bulk"), Label: label, Danger: bulk.Act != ops.BulkEnable && bulk.Act != ops.BulkInvite, Back: h.Site.Path("/admin" + list.path),
		Kept: []ListKept{{"act", string(bulk.Act)}},
	}
	if bulk.Act == ops.BulkSignOut {
		data.Title, data.Label = "Sign out "+plural(len(preview.Names), "user", "users")+" everywhere?", "Sign out "+plural(len(preview.Names), "user", "users")
	}
	if values.Get("from") == "entry" && len(bulk.IDs) == 1 {
		data.Kept = append(data.Kept, ListKept{"from", "entry"})
		data.Back += "/" + url.PathEscape(bulk.IDs[0])
	}
	if len(preview.Names) == 1 {
		data.Title = bulkWord(bulk.Act) + " " + preview.Names[0] + "?"
	}
	for _, id := range bulk.IDs {
		data.Kept = append(data.Kept, ListKept{"id", id})
	}
	switch list.name {
	case ops.BulkPeople:
		data.Reason = "for the audit log"
	case ops.BulkTokens, ops.BulkProxies:
	default:
		data.Reason = "for the history"
	}
	if bulk.Act == ops.BulkSignOut || bulk.Act == ops.BulkInvite {
		data.Reason = ""
	}
	return h.confirm(c, r, h.crumbs(templates.Link{Label: list.title, Path: list.path}, templates.Link{Label: bulkWord(bulk.Act)}), data)
}

// crumbs are breadcrumbs of paths below /admin.
func (h *Handler) crumbs(links ...templates.Link) []templates.Link {
	for i := range links {
		if links[i].Path != "" {
			links[i].Path = h.Site.Path("/admin" + links[i].Path)
		}
	}
	return links
}

// BulkDoneData is what a bulk act did, where a toast is not enough.
type BulkDoneData struct {
	Title   string
	Skipped []ops.BulkSkip
	Links   []BulkDoneLink
	// All are the links as text to copy.
	All, Back string
}

// BulkDoneLink is the invitation of a local user.
type BulkDoneLink struct{ Login, Address string }

// BulkDonePage says what a bulk act did.
func BulkDonePage() templates.Page[BulkDoneData] {
	return templates.Define[BulkDoneData]("admin/bulkdone")
}

// applyBulk does a bulk act. If all rows are done the list says so, else a page lists the others.
func (h *Handler) applyBulk(c echo.Context, r *request, list bulkList) error {
	values, err := c.FormParams()
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "The form could not be read. Open the page again and retry.")
	}
	bulk := ops.Bulk{List: list.name, Act: ops.BulkAct(values.Get("act")), IDs: values["id"], Reason: strings.TrimSpace(values.Get("reason"))}
	result, err := h.Admin.ApplyBulk(c.Request().Context(), r.caller, bulk)
	if errs.Is(err, errs.Invalid) && result == nil {
		return h.askBulk(c, r, list, errs.Message(err))
	}
	if err != nil {
		return err
	}
	if len(result.Skipped)+len(result.Links) == 0 && values.Get("from") == "entry" && len(bulk.IDs) == 1 {
		return h.done(c, list.path+"/"+url.PathEscape(bulk.IDs[0]), singleDone(list.name, bulk.Act))
	}
	if len(result.Skipped)+len(result.Links) == 0 {
		return h.to(c, list.path+"?"+url.Values{"done": {"bulk"}, "act": {string(bulk.Act)}, "n": {strconv.Itoa(result.Done)}}.Encode())
	}
	data := BulkDoneData{Title: bulkDone(bulk.Act, result.Done), Skipped: result.Skipped, Back: h.Site.Path("/admin" + list.path)}
	for _, link := range result.Links {
		address := h.Site.Absolute("/invitation/" + link.Token)
		data.Links = append(data.Links, BulkDoneLink{link.Login, address})
		data.All += link.Login + "\t" + address + "\n"
	}
	return show(h, c, r, web.View[BulkDoneData]{
		Page: BulkDonePage(), Title: i18n.Verbatim(data.Title), Data: data, Crumbs: h.crumbs(templates.Link{Label: list.title, Path: list.path}, templates.Link{Label: bulkWord(bulk.Act)}),
	})
}

// singleDone is the toast on the page of an entry that was the only one of a bulk act.
func singleDone(list string, act ops.BulkAct) string {
	switch {
	case list == ops.BulkPeople && act == ops.BulkDisable:
		return "person-off"
	case list == ops.BulkPeople && act == ops.BulkEnable:
		return "person-on"
	case act == ops.BulkSignOut:
		return "signed-out"
	}
	return string(act) + "d"
}

// bulkDone says what a bulk act did to n rows.
func bulkDone(act ops.BulkAct, n int) string {
	word := map[ops.BulkAct]string{
		ops.BulkDelete: "Deleted", ops.BulkEnable: "Enabled", ops.BulkDisable: "Disabled", ops.BulkSignOut: "Signed out", ops.BulkInvite: "Invitations created", ops.BulkRevoke: "Revoked", ops.BulkRemove: "Removed",
	}[act]
	if word == "" {
		return "Done."
	}
	return word + ": " + strconv.Itoa(n)
}
