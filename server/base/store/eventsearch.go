package store

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// CountEventNames counts the events of a query by name. It ignores the names of the query. The query must name a
// user or a cluster, because only those have an index.
func (s *Store) CountEventNames(ctx context.Context, query EventQuery) (map[string]int64, error) {
	q := s.db.WithContext(ctx).Table("audit_events")
	for column, value := range map[string]string{"connector_id": query.Connector, "cluster_id": query.Cluster} {
		if value != "" {
			q = q.Where(column+" = ?", value)
		}
	}
	if query.Cluster != "" {
		q = q.Where("cluster_id <> ''") // the same condition as the partial index
	}
	if query.User != "" {
		q = q.Where("(user_id = ? OR (actor_id = ? AND actor_id <> ''))", query.User, query.User)
	}
	if query.From != 0 {
		q = q.Where("time >= ?", query.From)
	}
	if query.To != 0 {
		q = q.Where("time < ?", query.To)
	}
	var rows []struct {
		Name string
		N    int64
	}
	if err := q.Select("name, COUNT(*) AS n").Group("name").Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("counting audit events: %w", translate(err))
	}
	counts := map[string]int64{}
	for _, row := range rows {
		counts[row.Name] = row.N
	}
	return counts, nil
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
