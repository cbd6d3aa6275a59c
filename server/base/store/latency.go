package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
)

// Latency is the number of responses of a subject in one histogram bucket, in one hour.
type Latency struct {
	// Subject is SubjectToken or a result of ConnectorSubject.
	Subject string
	// Hour is as in EventCount.
	Hour Instant
	// Failed reports that the subject, and not its caller, caused an error.
	Failed bool
	// Took is the upper bound of the bucket in microseconds; 0 for the last bucket, which has
	// none.
	Took    int64
	Answers int64
}

// SubjectToken is the subject of the token endpoint's latencies.
const SubjectToken = "token"

// ConnectorSubject is the subject of a connector's latencies.
func ConnectorSubject(id string) string { return "connector/" + id }

const addLatency = "INSERT INTO latencies (subject, hour, failed, took, answers) VALUES (?, ?, ?, ?, ?) " +
	"ON CONFLICT (subject, hour, failed, took) DO UPDATE SET answers = latencies.answers + excluded.answers"

// AddLatencies adds the measurements of a replica, in one transaction.
func (s *Store) AddLatencies(ctx context.Context, list []Latency) error {
	if err := s.tx(ctx, func(tx *gorm.DB) error { return addLatencies(tx, list) }); err != nil {
		return fmt.Errorf("adding latencies: %w", err)
	}
	return nil
}

func addLatencies(tx *gorm.DB, list []Latency) error {
	ordered := slices.SortedFunc(slices.Values(list), func(a, b Latency) int {
		failed := 0
		if a.Failed != b.Failed {
			failed = 1
			if b.Failed {
				failed = -1
			}
		}
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Hour, b.Hour), failed, cmp.Compare(a.Took, b.Took))
	})
	for _, l := range ordered {
		if l.Answers < 0 || l.Hour%hour != 0 {
			return errors.New("a latency needs a whole hour, and no less than 0 answers")
		}
		if err := tx.Exec(addLatency, l.Subject, l.Hour, l.Failed, l.Took, l.Answers).Error; err != nil {
			return err
		}
	}
	return nil
}

// Latencies returns the latencies since a time, the oldest first.
func (s *Store) Latencies(ctx context.Context, from, to Instant) ([]Latency, error) {
	var rows []Latency
	err := s.db.WithContext(ctx).Where("hour >= ? AND hour < ?", from, to).Order("hour, subject, failed, took").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading latencies: %w", translate(err))
	}
	return rows, nil
}

// latencyRetention is how long latencies are kept.
const latencyRetention = 100 * 24 * time.Hour

func mergeLatencies(tx *gorm.DB, now time.Time) (bool, error) {
	if err := tx.Exec("DELETE FROM latencies WHERE hour < ?", At(now.Add(-latencyRetention))).Error; err != nil {
		return false, err
	}
	const which = "hour % 86400000 <> 0"
	var rows []Latency
	err := tx.Raw("DELETE FROM latencies WHERE "+which+" AND hour = (SELECT MIN(hour) FROM latencies WHERE hour < ? AND "+which+") RETURNING subject, hour, failed, took, answers",
		dayOf(At(now.Add(-HourlyRetention)))).Scan(&rows).Error
	if err != nil {
		return false, err
	}
	for i := range rows {
		rows[i].Hour = dayOf(rows[i].Hour)
	}
	return len(rows) > 0, addLatencies(tx, rows)
}
