package store

import (
	"context"
	"fmt"
	"time"
)

// lastUse is the time when a client secret, key or rule was last used.
type lastUse struct {
	ID string
	At Instant
}

// useInterval is the least time between two writes for the same entry.
const useInterval = time.Minute

// SecretUseID returns the id under which the use of a client secret or key is recorded.
func SecretUseID(clientID, hash string) string { return "client_secret/" + clientID + "/" + hash }

// WorkloadRuleUseID returns the id under which the use of a workload rule is recorded.
func WorkloadRuleUseID(ruleID string) string { return "workload_rule/" + ruleID }

// RecordUse records a use, at most once a minute.
func (s *Store) RecordUse(ctx context.Context, id string, now time.Time) error {
	_, err := s.exec(ctx, "INSERT INTO last_uses (id, at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at WHERE last_uses.at < ?",
		id, At(now), At(now.Add(-useInterval)))
	if err != nil {
		return fmt.Errorf("marking use: %w", err)
	}
	return nil
}

// LastUses returns the time of each entry's last use. It leaves out entries that were never used.
func (s *Store) LastUses(ctx context.Context) (map[string]time.Time, error) {
	var rows []lastUse
	if err := s.db.WithContext(ctx).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing last uses: %w", translate(err))
	}
	uses := make(map[string]time.Time, len(rows))
	for _, row := range rows {
		uses[row.ID] = row.At.Time()
	}
	return uses, nil
}

// LastUse returns the time of an entry's last use, or the zero time if it was never used.
func (s *Store) LastUse(ctx context.Context, id string) (time.Time, error) {
	var row lastUse
	if err := s.db.WithContext(ctx).Where("id = ?", id).Limit(1).Find(&row).Error; err != nil {
		return time.Time{}, fmt.Errorf("reading last use: %w", translate(err))
	}
	return row.At.Time(), nil
}
