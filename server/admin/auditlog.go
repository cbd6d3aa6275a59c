package admin

import (
	"context"
	"slices"
	"strings"

	words "github.com/fairlead-auth/fairlead/internal/audit/sentence"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// EventCounts holds the number of events for each filter of the audit log.
type EventCounts struct {
	// Known reports that the events of each kind were counted. Counting takes too long with a text search.
	Known                       bool
	All                         int64
	Kinds, Clusters, Connectors map[string]int64
}

// CountEvents counts the events of a query by kind, ignoring the query's own kind and name. The counts of clusters
// and connectors consider only the time.
func (a *Admin) CountEvents(ctx context.Context, c Caller, query store.EventQuery) (*EventCounts, error) {
	if err := a.authorize(ctx, c, ReadAudit, "count audit events"); err != nil {
		return nil, err
	}
	span := store.CountQuery{From: query.From, To: query.To, Connector: query.Connector}
	counts := &EventCounts{Kinds: map[string]int64{}, Clusters: map[string]int64{}, Connectors: map[string]int64{}}
	totals, err := a.Store.EventTotals(ctx, store.CountQuery{From: query.From, To: query.To})
	if err != nil {
		return nil, err
	}
	names := map[string]int64{}
	for _, row := range totals {
		if row.ConnectorID != "" {
			counts.Connectors[row.ConnectorID] += row.Events
		}
		if query.Connector == "" || query.Connector == row.ConnectorID {
			names[row.Name] += row.Events
		}
	}
	clusters, err := a.Store.ClusterTotals(ctx, store.CountQuery{From: span.From, To: span.To})
	if err != nil {
		return nil, err
	}
	for _, row := range clusters {
		counts.Clusters[row.ClusterID] = row.Events
	}
	if names, counts.Known, err = a.countNames(ctx, query, names); err != nil || !counts.Known {
		return counts, err
	}
	for _, k := range words.Kinds() {
		for _, name := range k.Names() {
			counts.Kinds[string(k)] += names[name]
		}
	}
	for _, n := range names {
		counts.All += n
	}
	return counts, nil
}

// countNames counts the events of a query by name, or reports that counting would take too long. all are the
// counts without the query's user and cluster.
func (a *Admin) countNames(ctx context.Context, query store.EventQuery, all map[string]int64) (map[string]int64, bool, error) {
	byName := query.User != "" && !strings.HasPrefix(query.User, "usr_")
	switch {
	case query.Text+query.Address+query.Client+query.Request != "" || byName:
		return nil, false, nil
	case query.User == "" && query.Cluster == "":
		return all, true, nil
	case query.User == "" && query.Connector == "":
		rows, err := a.Store.ClusterNameTotals(ctx, query.Cluster, store.CountQuery{From: query.From, To: query.To})
		names := map[string]int64{}
		for _, row := range rows {
			names[row.Name] = row.Events
		}
		return names, err == nil, err
	}
	return a.Store.CountEventNames(ctx, query, MaxSearched)
}

// Searches lists the caller's saved searches.
func (a *Admin) Searches(ctx context.Context, c Caller) ([]store.SavedSearch, error) {
	if err := a.authorize(ctx, c, ReadAudit, "list saved searches"); err != nil || c.User == nil {
		return nil, err
	}
	return a.Store.SavedSearches(ctx, c.User.ID)
}

// The limits of a saved search, in bytes.
const (
	maxSearchName  = 60
	maxSearchQuery = 2000
)

// SaveSearch saves filters of the audit log under a name, for the caller only.
func (a *Admin) SaveSearch(ctx context.Context, c Caller, name, query string) error {
	if err := a.authorize(ctx, c, ReadAudit, "save a search"); err != nil {
		return err
	}
	if c.User == nil || len(name) > maxSearchName || len(query) > maxSearchQuery {
		return errs.New(errs.Invalid, "The name or the filters are too long. Use a shorter name, or fewer filters.")
	}
	return a.Store.SaveSearch(ctx, store.SavedSearch{UserID: c.User.ID, Name: name, Query: query}, a.Now())
}

// RemoveSearch deletes a saved search of the caller.
func (a *Admin) RemoveSearch(ctx context.Context, c Caller, id string) error {
	if err := a.authorize(ctx, c, ReadAudit, "remove a saved search"); err != nil || c.User == nil {
		return err
	}
	return a.Store.RemoveSearch(ctx, c.User.ID, id)
}

// Story holds the events of one session: the sign-in, its tokens, the requests with them, the shells and their
// recordings.
type Story struct {
	UserID, UserName string
	// Events are in the order of time.
	Events     []store.AuditEvent
	Recordings []store.Recording
	// Cut reports that there are more events than listed.
	Cut bool
}

// maxStory bounds the events of a story.
const maxStory = 500

// Story finds the events of a session by its id. The error's kind is NotFound when no event names it.
func (a *Admin) Story(ctx context.Context, c Caller, signInID string) (*Story, error) {
	if err := a.authorize(ctx, c, ReadAudit, "read the story of a sign-in"); err != nil {
		return nil, err
	}
	events, err := a.Store.SignInEvents(ctx, signInID, maxStory+1)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, errs.New(errs.NotFound, "No event belongs to this sign-in. Check the address, or search the audit log.")
	}
	s := &Story{Cut: len(events) > maxStory}
	s.Events = events[:min(len(events), maxStory)]
	var requests []string
	for _, e := range s.Events {
		if s.UserName == "" {
			s.UserID, s.UserName = e.UserID, e.UserName
		}
		if e.RequestID != "" && !slices.Contains(requests, e.RequestID) {
			requests = append(requests, e.RequestID)
		}
	}
	s.Recordings, err = a.Store.RecordingsOfRequests(ctx, s.UserID, requests)
	return s, err
}
