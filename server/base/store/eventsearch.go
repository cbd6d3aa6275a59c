package store

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// CountEventNames counts the events that a query selects by their names, whatever the name that
// the query asks for. Use it with a user's id or a cluster, which have indexes.
func (s *Store) CountEventNames(ctx context.Context, query EventQuery) (map[string]int64, error) {
	q := s.db.WithContext(ctx).Table("audit_events")
	for column, value := range map[string]string{"connector_id": query.Connector, "cluster_id": query.Cluster} {
		if value != "" {
			q = q.Where(column+" = ?", value)
		}
	}
	if query.Cluster != "" {
		q = q.Where("cluster_id <> ''") // the condition of the index, in its own words
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

// newestOf returns the newest events of some names: for each name its newest, by the index, and of
// these the newest. base has all other conditions.
func newestOf(base func() *gorm.DB, names []string, limit int) ([]AuditEvent, error) {
	var all []AuditEvent
	for _, name := range names {
		var rows []AuditEvent
		q := base().Where("name = ?", name)
		if name != "token.issued" {
			q = q.Where("name <> 'token.issued'") // the condition of the index, in its own words
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

// SignInEvents lists the events of one sign-in in the order of time: those that name it, and
// those of its devices.
func (s *Store) SignInEvents(ctx context.Context, signInID string, limit int) ([]AuditEvent, error) {
	var users []string
	if err := s.db.WithContext(ctx).Raw("SELECT user_id FROM sign_ins WHERE id = ? UNION SELECT user_id FROM devices WHERE sign_in_id = ?", signInID, signInID).Scan(&users).Error; err != nil {
		return nil, fmt.Errorf("reading sign-in: %w", translate(err))
	}
	q := s.db.WithContext(ctx).Where("(sign_in_id = ? OR device_id IN (SELECT id FROM devices WHERE sign_in_id = ?))", signInID, signInID)
	if len(users) > 0 { // the sign-in has not been swept away: the index by user finds its events
		q = q.Where("user_id IN ?", users)
	}
	var rows []AuditEvent
	if err := q.Order("time, id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing the events of a sign-in: %w", translate(err))
	}
	return rows, nil
}

// RecordingsOfRequests lists a user's recordings of some requests, the oldest first.
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
