package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
)

// EventCount is how many audit events there were in one hour, with the same name, reason and
// connector. The reason is counted for token.issued, token.refused, sign_in.failed and
// sign_in.refused only, and empty for other names. In old counts the hour is the first hour
// of a day in UTC, and the count is that of the day.
type EventCount struct {
	Name        string
	Hour        Instant
	Reason      string
	ConnectorID string
	Events      int64
}

// ClusterEventCount is how many audit events with one name a cluster had on one day (UTC).
type ClusterEventCount struct {
	Day       Instant
	ClusterID string
	Name      string
	Events    int64
}

// HourlyRetention is how long counts and latencies are kept by the hour. Older ones are by the day.
const HourlyRetention = 9 * 24 * time.Hour

const (
	hour = Instant(time.Hour / time.Millisecond)
	day  = 24 * hour
)

// CountQuery selects counts of audit events.
type CountQuery struct {
	// From and To bound the time; To is not included. Whole hours give exact results for the
	// last nine days (HourlyRetention), whole days (UTC) for any time. To is ignored when it is zero.
	From, To Instant
	// Names selects these events. Empty selects all.
	Names []string
	// Connector selects events of the connector with this id. Empty selects all.
	Connector string
}

func (q CountQuery) where(db *gorm.DB, column string) *gorm.DB {
	db = db.Where(column+" >= ?", q.From)
	if q.To != 0 {
		db = db.Where(column+" < ?", q.To)
	}
	if len(q.Names) > 0 {
		db = db.Where("name IN ?", q.Names)
	}
	return db
}

// EventCounts returns the counts of each hour, the oldest first.
func (s *Store) EventCounts(ctx context.Context, query CountQuery) ([]EventCount, error) {
	q := query.where(s.db.WithContext(ctx).Table("event_counts"), "hour")
	if query.Connector != "" {
		q = q.Where("connector_id = ?", query.Connector)
	}
	var rows []EventCount
	err := q.Select("name, hour, reason, connector_id, SUM(events) AS events").Group("name, hour, reason, connector_id").Order("hour, name, reason, connector_id").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading event counts: %w", translate(err))
	}
	return rows, nil
}

// EventTotals returns one count for each name and connector, over the whole time. Hour and Reason are empty.
func (s *Store) EventTotals(ctx context.Context, query CountQuery) ([]EventCount, error) {
	q := query.where(s.db.WithContext(ctx).Table("event_counts"), "hour")
	if query.Connector != "" {
		q = q.Where("connector_id = ?", query.Connector)
	}
	var rows []EventCount
	if err := q.Select("name, connector_id, SUM(events) AS events").Group("name, connector_id").Order("name, connector_id").Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("reading event counts: %w", translate(err))
	}
	return rows, nil
}

// ClusterTotals returns one count for each cluster, over the days from query.From and without query.To. It adds up
// all connectors.
func (s *Store) ClusterTotals(ctx context.Context, query CountQuery) ([]ClusterEventCount, error) {
	var rows []ClusterEventCount
	err := query.where(s.db.WithContext(ctx).Table("cluster_event_counts"), "day").
		Select("cluster_id, SUM(events) AS events").Group("cluster_id").Order("cluster_id").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading event counts of clusters: %w", translate(err))
	}
	return rows, nil
}

// ClusterNameTotals returns the counts of one cluster's events by name: those of the days from query.From,
// without query.To.
func (s *Store) ClusterNameTotals(ctx context.Context, cluster string, query CountQuery) ([]ClusterEventCount, error) {
	var rows []ClusterEventCount
	err := query.where(s.db.WithContext(ctx).Table("cluster_event_counts"), "day").Where("cluster_id = ?", cluster).
		Select("cluster_id, name, SUM(events) AS events").Group("cluster_id, name").Order("name").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading event counts of a cluster: %w", translate(err))
	}
	return rows, nil
}

// slotMergeAge is the age at which the slots of a count are merged. Few events of an hour arrive later.
const slotMergeAge = 3 * time.Hour

// Compact merges the slots of counts that no longer change, and turns old hours into days. It works in parts and
// reports whether more parts may be left. The sums are right at every moment.
func (s *Store) Compact(ctx context.Context, now time.Time) (more bool, err error) {
	for _, part := range []func(*gorm.DB, time.Time) (bool, error){mergeSlots, mergeHours, mergeClusterSlots, mergeLatencies} {
		err := s.tx(ctx, func(tx *gorm.DB) error {
			again, err := part(tx, now)
			more = more || again
			return err
		})
		if err != nil {
			return false, fmt.Errorf("compacting counts: %w", err)
		}
	}
	return more, nil
}

const (
	eventCountColumns = "name, hour, reason, connector_id, events"
	addEventCount     = "INSERT INTO event_counts (name, hour, reason, connector_id, slot, events) VALUES (?, ?, ?, ?, 0, ?) " +
		"ON CONFLICT (name, hour, reason, connector_id, slot) DO UPDATE SET events = event_counts.events + excluded.events"
	addClusterCount = "INSERT INTO cluster_event_counts (day, cluster_id, name, slot, events) VALUES (?, ?, ?, 0, ?) " +
		"ON CONFLICT (day, cluster_id, name, slot) DO UPDATE SET events = cluster_event_counts.events + excluded.events"
	// oldest narrows a part to the oldest hour with rows to merge.
	oldest = " hour = (SELECT MIN(hour) FROM event_counts WHERE hour < ? AND %s) AND %[1]s"
)

func mergeSlots(tx *gorm.DB, now time.Time) (bool, error) {
	return mergeCounts(tx, At(now.Add(-slotMergeAge)), "slot <> 0", func(h Instant) Instant { return h })
}

func mergeHours(tx *gorm.DB, now time.Time) (bool, error) {
	return mergeCounts(tx, dayOf(At(now.Add(-HourlyRetention))), "hour % 86400000 <> 0", dayOf)
}

func dayOf(at Instant) Instant { return at - at%day }

// mergeCounts deletes the rows of one hour and adds their sums to the merged rows.
func mergeCounts(tx *gorm.DB, before Instant, which string, to func(Instant) Instant) (bool, error) {
	var rows []EventCount
	err := tx.Raw("DELETE FROM event_counts WHERE"+fmt.Sprintf(oldest, which)+" RETURNING "+eventCountColumns, before).Scan(&rows).Error
	if err != nil {
		return false, err
	}
	sums := map[EventCount]int64{}
	for _, row := range rows {
		n := row.Events
		row.Events, row.Hour = 0, to(row.Hour)
		sums[row] += n
	}
	for _, row := range sortedKeys(sums, func(a, b EventCount) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.ConnectorID, b.ConnectorID))
	}) {
		if err := tx.Exec(addEventCount, row.Name, row.Hour, row.Reason, row.ConnectorID, sums[row]).Error; err != nil {
			return false, err
		}
	}
	return len(rows) > 0, nil
}

func mergeClusterSlots(tx *gorm.DB, now time.Time) (bool, error) {
	var rows []ClusterEventCount
	err := tx.Raw("DELETE FROM cluster_event_counts WHERE slot <> 0 AND day = (SELECT MIN(day) FROM cluster_event_counts WHERE day < ? AND slot <> 0) RETURNING day, cluster_id, name, events",
		dayOf(At(now.Add(-slotMergeAge)))).Scan(&rows).Error
	if err != nil {
		return false, err
	}
	sums := map[ClusterEventCount]int64{}
	for _, row := range rows {
		n := row.Events
		row.Events = 0
		sums[row] += n
	}
	for _, row := range sortedKeys(sums, func(a, b ClusterEventCount) int {
		return cmp.Or(cmp.Compare(a.ClusterID, b.ClusterID), cmp.Compare(a.Name, b.Name))
	}) {
		if err := tx.Exec(addClusterCount, row.Day, row.ClusterID, row.Name, sums[row]).Error; err != nil {
			return false, err
		}
	}
	return len(rows) > 0, nil
}

// sortedKeys returns the keys in order. Transactions that lock rows in the same order do not deadlock.
func sortedKeys[K comparable](m map[K]int64, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}
