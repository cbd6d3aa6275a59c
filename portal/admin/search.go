package admin

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/templates"
)

func (h *Handler) mountSearch(add func(method, path string, handle handler)) {
	add(http.MethodGet, "/search", h.search)
}

// SearchData is the page with the matches of a search.
type SearchData struct {
	Query  string
	Error  string
	Groups []ops.SearchGroup
	// Total is the number of matches that are shown.
	Total int
}

// SearchPage shows the matches of a search, by kind.
func SearchPage() templates.Page[SearchData] { return templates.Define[SearchData]("admin/search") }

// search shows what the text in the page's search box matches. A single match is opened at
// once.
func (h *Handler) search(c echo.Context, r *request) error {
	data := SearchData{Query: strings.TrimSpace(c.QueryParam("q"))}
	var err error
	data.Groups, err = h.Admin.Search(c.Request().Context(), r.caller, data.Query)
	if errs.Is(err, errs.Invalid) {
		data.Error, err = errs.Message(err), nil
	}
	if err != nil {
		return err
	}
	if match, only := onlyMatch(data.Query, pagesMatching(data.Query), data.Groups); only {
		return h.to(c, match)
	}
	if pages := pagesMatching(data.Query); len(pages) > 0 {
		data.Groups = append(data.Groups, ops.SearchGroup{Label: "Pages", Hits: pages, Total: len(pages)})
	}
	for _, group := range data.Groups {
		data.Total += len(group.Hits)
	}
	return show(h, c, r, web.View[SearchData]{Page: SearchPage(), Title: i18n.T("Search"), Data: data})
}

// onlyMatch returns the path of the one match, if there is no other.
func onlyMatch(query string, pages []ops.SearchHit, groups []ops.SearchGroup) (path string, only bool) {
	hits := pages
	for _, group := range groups {
		hits = append(hits, group.Hits...)
	}
	if len(hits) != 1 || query == "" {
		return "", false
	}
	return hits[0].Path, true
}

// pagesMatching are the pages of the navigation whose name contains the text.
func pagesMatching(text string) []ops.SearchHit {
	if text == "" {
		return nil
	}
	var hits []ops.SearchHit
	for _, group := range navigation(ops.Counts{}) {
		for _, link := range group.Links {
			if strings.Contains(strings.ToLower(link.Label), strings.ToLower(text)) {
				hits = append(hits, ops.SearchHit{Title: link.Label, Path: link.Path})
			}
		}
	}
	return hits
}
