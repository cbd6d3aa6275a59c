package store

import (
	"context"
	"fmt"
	"time"
)

// lastUse is when something that is configured was last of use.
type lastUse struct {
	ID string
	At Instant
}

// useEvery is how often a use is written.
const useEvery = time.Minute

// SecretUseID names the use of a client's secret or key.
func SecretUseID(clientID, hash string) string { return "client_secret/" + clientID + "/" + hash }

// WorkloadRuleUseID names the use of a workload rule.
func WorkloadRuleUseID(ruleID string) string { return "workload_rule/" + ruleID }

// RecordUse notes that something was of use, at most once a minute.
func (s *Store) RecordUse(ctx context.Context, id string, now time.Time) error {
	_, err := s.exec(ctx, "INSERT INTO last_uses (id, at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at WHERE last_uses.at < ?",
		id, At(now), At(now.Add(-useEvery)))
	if err != nil {
		return fmt.Errorf("marking use: %w", err)
	}
	return nil
}

// LastUses returns when things were last of use, by name. What never was is
// left out.
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

// LastUse returns when one thing was last of use; the zero time when it never was.
func (s *Store) LastUse(ctx context.Context, id string) (time.Time, error) {
	var row lastUse
	if err := s.db.WithContext(ctx).Where("id = ?", id).Limit(1).Find(&row).Error; err != nil {
		return time.Time{}, fmt.Errorf("reading last use: %w", translate(err))
	}
	return row.At.Time(), nil
}
