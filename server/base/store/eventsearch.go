package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// isUserID reports whether a query names a user by the id, which has an index, and not by a part of a name.
func isUserID(user string) bool { return strings.HasPrefix(user, "usr_") }

// unindexed reports whether a query has a filter that every event must be read for.
func (q EventQuery) unindexed() bool {
	if q.Request != "" || isUserID(q.User) {
		return false
	}
	return q.Text+q.Client+q.Address+q.Connector+q.Name+q.User != ""
}

// SearchEvents is FindEvents for a page: it looks through the newest events only, about as many as within says,
// where no index helps. Then until is how far back it looked, and searched the cursor to go on with. Both are empty
// if it looked at all events, or found as many as the query asks for.
func (s *Store) SearchEvents(ctx context.Context, query EventQuery, within int) (rows []AuditEvent, until Instant, searched string, err error) {
	if _, err := before(s.db, "time", query.After); err != nil {
		return nil, 0, "", err
	}
	if query.unindexed() {
		if until, err = s.horizon(ctx, query, within); err != nil {
			return nil, 0, "", err
		}
	}
	query.From = max(query.From, until)
	rows, err = s.FindEvents(ctx, query)
	if err != nil || until == 0 || len(rows) == query.Limit {
		return rows, 0, "", err
	}
	return rows, until, fmt.Sprintf("%d_", until), nil
}

// horizon returns the time of the event that lies within events before the beginning of a search, or 0 if there
// are fewer.
func (s *Store) horizon(ctx context.Context, query EventQuery, within int) (Instant, error) {
	q := s.eventsWhere(ctx, EventQuery{Cluster: query.Cluster, From: query.From, To: query.To, After: query.After})
	var times []Instant
	if err := q.Order("time DESC").Offset(within).Limit(1).Pluck("time", &times).Error; err != nil {
		return 0, fmt.Errorf("bounding a search of audit events: %w", translate(err))
	}
	if len(times) == 0 {
		return 0, nil
	}
	return times[0], nil
}

// CountEventNames counts the events that a query selects by their names, whatever the name that
// the query asks for. Use it with a user's id or a cluster, which have indexes. It reports false and no
// counts if there are more events than most.
func (s *Store) CountEventNames(ctx context.Context, query EventQuery, most int) (map[string]int64, bool, error) {
	chosen := s.eventsWhere(ctx, EventQuery{Connector: query.Connector, Cluster: query.Cluster, User: query.User, From: query.From, To: query.To}).Select("name").Limit(most + 1)
	var rows []struct {
		Name string
		N    int64
	}
	if err := s.db.WithContext(ctx).Table("(?) AS chosen", chosen).Select("name, COUNT(*) AS n").Group("name").Scan(&rows).Error; err != nil {
		return nil, false, fmt.Errorf("counting audit events: %w", translate(err))
	}
	counts, all := map[string]int64{}, int64(0)
	for _, row := range rows {
		counts[row.Name] = row.N
		all += row.N
	}
	if all > int64(most) {
		return nil, false, nil
	}
	return counts, true, nil
}

// newestOf returns the newest events with one of these names. It reads the newest of each name from the index and
// merges them. base holds all other conditions.
func newestOf(base func() *gorm.DB, names []string, limit int) ([]AuditEvent, error) {
	var all []AuditEvent
	for _, name := range names {
		var rows []AuditEvent
		q := base().Where("name = ?", name)
		if name != "token.issued" {
			q = q.Where("name <> 'token.issued'") // the same condition as the partial index
		}
		if err := q.Find(&rows).Error; err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	slices.SortFunc(all, func(a, b AuditEvent) int {
		switch {
		case a.Time != b.Time:
			return int(max(-1, min(1, b.Time-a.Time)))
		case a.ID > b.ID:
			return -1
		case a.ID < b.ID:
			return 1
		}
		return 0
	})
	return all[:min(len(all), limit)], nil
}

// SignInEvents lists the events of a session and of its devices, in the order of time.
func (s *Store) SignInEvents(ctx context.Context, signInID string, limit int) ([]AuditEvent, error) {
	var users []string
	if err := s.db.WithContext(ctx).Raw("SELECT user_id FROM sign_ins WHERE id = ? UNION SELECT user_id FROM devices WHERE sign_in_id = ?", signInID, signInID).Scan(&users).Error; err != nil {
		return nil, fmt.Errorf("reading sign-in: %w", translate(err))
	}
	q := s.db.WithContext(ctx).Where("(sign_in_id = ? OR device_id IN (SELECT id FROM devices WHERE sign_in_id = ?))", signInID, signInID)
	if len(users) > 0 { // while the session row still exists, the index by user finds its events
		q = q.Where("user_id IN ?", users)
	}
	var rows []AuditEvent
	if err := q.Order("time, id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing the events of a sign-in: %w", translate(err))
	}
	return rows, nil
}

// RecordingsOfRequests lists a user's recordings of these requests, the oldest first.
func (s *Store) RecordingsOfRequests(ctx context.Context, userID string, requests []string) ([]Recording, error) {
	var rows []Recording
	if len(requests) == 0 {
		return nil, nil
	}
	err := s.db.WithContext(ctx).Where("complete = ? AND user_id = ? AND request_id IN ?", true, userID, requests).Order("began, id").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("listing recordings: %w", translate(err))
	}
	return rows, nil
}
