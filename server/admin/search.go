package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// searchHits is the number of matches of a kind that Search returns.
const searchHits = 8

// MaxSearch is the largest length of a search text, in bytes.
const MaxSearch = 200

// SearchHit is one match of a search.
type SearchHit struct {
	Title, Detail string
	// Path is the page about it, below /admin.
	Path string
	// State is a word for a state that matters, such as "disabled".
	State string
}

// SearchGroup is the matches of one kind.
type SearchGroup struct {
	Label string
	Hits  []SearchHit
	// Total is the number of matches. More is the list with all of them, below /admin. It is empty if Hits has all
	// of them.
	Total int
	More  string
}

// Search looks for people, groups, configured entries, settings, proxies, keys, revisions
// and audit events by name or id. Kinds without a match are left out.
func (a *Admin) Search(ctx context.Context, c Caller, text string) ([]SearchGroup, error) {
	for _, scope := range []Scope{ReadSettings, ReadPeople, ReadAudit} {
		if err := a.authorize(ctx, c, scope, "search"); err != nil {
			return nil, err
		}
	}
	text = strings.TrimSpace(text)
	if len(text) > MaxSearch {
		return nil, errs.New(errs.Invalid, "The search text is too long. Enter at most %d characters.", MaxSearch)
	}
	if text == "" {
		return nil, nil
	}
	var groups []SearchGroup
	for _, find := range []func(context.Context, string) ([]SearchGroup, error){
		a.searchPeople, a.searchGroups, a.searchEntries, a.searchInfrastructure, a.searchHistory,
	} {
		found, err := find(ctx, text)
		if err != nil {
			return nil, err
		}
		groups = append(groups, found...)
	}
	groups = append(groups, searchSettings(text)...)
	return slices.DeleteFunc(groups, func(g SearchGroup) bool { return len(g.Hits) == 0 }), nil
}

func (a *Admin) searchPeople(ctx context.Context, text string) ([]SearchGroup, error) {
	users, err := a.Store.MatchUsers(ctx, text, searchHits+1)
	if err != nil {
		return nil, err
	}
	group := SearchGroup{Label: "People", Total: len(users)}
	for i := range users[:min(len(users), searchHits)] {
		u := &users[i]
		hit := SearchHit{Title: u.Label(), Detail: u.KubeName, Path: "/people/" + u.ID}
		if u.Email != "" && u.Email != u.Login {
			hit.Detail += ", " + u.Email
		}
		if u.Disabled {
			hit.State = "disabled"
		}
		group.Hits = append(group.Hits, hit)
	}
	if len(users) > searchHits {
		group.More = "/people?q=" + url.QueryEscape(text)
	}
	return []SearchGroup{group}, nil
}

func (a *Admin) searchGroups(ctx context.Context, text string) ([]SearchGroup, error) {
	rows, total, err := a.Store.Groups(ctx, text, 0, searchHits)
	if err != nil {
		return nil, err
	}
	group := SearchGroup{Label: "Groups", Total: int(total)}
	for _, row := range rows {
		group.Hits = append(group.Hits, SearchHit{Title: row.Name, Detail: people(int(row.Users)), Path: "/people?group=" + url.QueryEscape(row.Name)})
	}
	if group.Total > len(rows) {
		group.More = "/groups?q=" + url.QueryEscape(text)
	}
	return []SearchGroup{group}, nil
}

// searchEntries searches the configured entries. An entry whose id or name equals the text comes first, then those
// that begin with it.
func (a *Admin) searchEntries(ctx context.Context, text string) ([]SearchGroup, error) {
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	docs := settings.Documents(set)
	var groups []SearchGroup
	for _, kind := range []string{settings.Clusters, settings.Clients, settings.Connectors, settings.Rules, settings.LocalUsers, settings.Workloads, settings.Issuers} {
		k, _ := settings.KindOf(kind)
		var items []Item
		for _, e := range docs[kind] {
			if matches(e.Doc, text) {
				items = append(items, a.item(k, e))
			}
		}
		slices.SortStableFunc(items, func(x, y Item) int { return cmp.Compare(searchRank(x, text), searchRank(y, text)) })
		group := SearchGroup{Label: k.Many, Total: len(items)}
		for _, item := range items[:min(len(items), searchHits)] {
			group.Hits = append(group.Hits, a.entryHit(k, item))
		}
		if group.Total > searchHits {
			group.More = "/" + k.Path + "?q=" + url.QueryEscape(text)
		}
		groups = append(groups, group)
	}
	return groups, nil
}

func (a *Admin) entryHit(k settings.Kind, item Item) SearchHit {
	hit := SearchHit{Title: item.Name, Detail: item.ID, Path: "/" + k.Path + "/" + url.PathEscape(item.ID)}
	more := map[string]string{
		settings.Clusters: item.Doc.Text("server"), settings.Connectors: a.Types[item.Doc.Text("type")].Label,
		settings.Issuers: item.Doc.Text("url"), settings.LocalUsers: item.Doc.Text("email"), settings.Workloads: item.Doc.Text("issuer"),
	}[k.Name]
	if more != "" {
		hit.Detail += ", " + more
	}
	switch {
	case k.Name == settings.Connectors && item.Doc.Get("enabled") == false:
		hit.State = "draft"
	case k.Name == settings.Clusters:
		hit.State = item.Doc.Text("environment")
	}
	return hit
}

// searchRank orders matches: 0 for the exact id or name, 1 for a prefix, 2 for the rest.
func searchRank(item Item, text string) int {
	id, name, text := strings.ToLower(item.ID), strings.ToLower(item.Name), strings.ToLower(text)
	switch {
	case id == text || name == text:
		return 0
	case strings.HasPrefix(id, text) || strings.HasPrefix(name, text):
		return 1
	}
	return 2
}

// searchInfrastructure looks for proxies and signing keys.
func (a *Admin) searchInfrastructure(ctx context.Context, text string) ([]SearchGroup, error) {
	proxies, err := a.proxies(ctx, "")
	if err != nil {
		return nil, err
	}
	found := SearchGroup{Label: "Proxies"}
	for _, p := range proxies {
		if !contains(text, p.ID, p.Name, p.ClusterID) {
			continue
		}
		if found.Total++; found.Total > searchHits {
			found.More = "/proxies?q=" + url.QueryEscape(text)
			continue
		}
		hit := SearchHit{Title: p.Name, Detail: p.ClusterID + ", " + p.ID, Path: "/clusters/" + url.PathEscape(p.ClusterID) + "/connect"}
		if p.Away {
			hit.State = "not connected"
		}
		found.Hits = append(found.Hits, hit)
	}
	keys, err := a.Keys.List(ctx)
	if err != nil {
		return nil, err
	}
	signing := SearchGroup{Label: "Keys"}
	for _, k := range keys {
		if contains(text, k.ID) && len(signing.Hits) < searchHits {
			signing.Hits = append(signing.Hits, SearchHit{Title: k.ID, Detail: k.Algorithm, Path: "/keys/" + url.PathEscape(k.ID), State: string(k.State)})
		}
	}
	signing.Total = len(signing.Hits)
	return []SearchGroup{found, signing}, nil
}

// searchHistory looks for a revision or an audit event by its id, for the events of a
// request, and for event names.
func (a *Admin) searchHistory(ctx context.Context, text string) ([]SearchGroup, error) {
	revisions := SearchGroup{Label: "Changes"}
	r, err := a.Store.Revision(ctx, text)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	if err == nil {
		revisions.Hits = []SearchHit{{Title: KindLabel(r.Kind) + " " + r.ObjectID, Detail: fmt.Sprintf("revision %d by %s", r.Number, r.AuthorName), Path: "/history/" + r.ID}}
	}
	revisions.Total = len(revisions.Hits)
	events, err := a.searchEvents(ctx, text)
	return []SearchGroup{revisions, events}, err
}

func (a *Admin) searchEvents(ctx context.Context, text string) (SearchGroup, error) {
	group := SearchGroup{Label: "Audit events"}
	event, err := a.Store.AuditEventByID(ctx, text)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return group, err
	}
	if err == nil {
		group.Hits = append(group.Hits, eventHit(event))
	}
	ofRequest, err := a.Store.FindEvents(ctx, store.EventQuery{Request: text, Limit: 1})
	if err != nil {
		return group, err
	}
	if len(ofRequest) > 0 {
		group.Hits = append(group.Hits, SearchHit{Title: "Events of the request " + text, Detail: ofRequest[0].Name, Path: "/audit?request=" + url.QueryEscape(text)})
	}
	for _, name := range audit.Names() {
		plain := strings.NewReplacer(".", " ", "_", " ").Replace(string(name))
		if !contains(text, string(name), plain) {
			continue
		}
		if group.Total++; len(group.Hits) < searchHits {
			group.Hits = append(group.Hits, SearchHit{Title: string(name), Detail: "all events of this kind", Path: "/audit?name=" + url.QueryEscape(string(name))})
		}
	}
	group.Total = max(group.Total, len(group.Hits))
	return group, nil
}

func eventHit(e *store.AuditEvent) SearchHit {
	hit := SearchHit{Title: e.Name, Detail: e.Time.Time().Format("2006-01-02 15:04:05 UTC"), Path: "/audit?request=" + url.QueryEscape(e.RequestID)}
	if e.UserName != "" {
		hit.Detail += ", " + e.UserName
	}
	if e.RequestID == "" {
		day := e.Time.Time().Format("2006-01-02")
		hit.Path = "/audit?" + url.Values{"name": {e.Name}, "from": {day}, "to": {day}}.Encode()
	}
	return hit
}

// searchSettings looks through the labels and help texts of the general settings.
func searchSettings(text string) []SearchGroup {
	group := SearchGroup{Label: "Settings"}
	for _, id := range []string{settings.Sessions, settings.Branding} {
		for _, f := range settings.Fields(settings.General, nil, map[string]any{"id": id}) {
			if contains(text, f.Key, f.Label, f.Help, f.Section) && len(group.Hits) < searchHits {
				group.Hits = append(group.Hits, SearchHit{Title: f.Label, Detail: f.Section, Path: "/general/" + id + "#f-" + f.Key})
			}
		}
	}
	group.Total = len(group.Hits)
	return []SearchGroup{group}
}

// contains reports whether each word of the text is part of one of the values, in any case.
func contains(text string, values ...string) bool {
	joined := strings.ToLower(strings.Join(values, "\n"))
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		if !strings.Contains(joined, word) {
			return false
		}
	}
	return true
}
