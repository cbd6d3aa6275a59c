package store

import (
	"context"
	"fmt"
)

// EntryCounts is how many entries of each kind there are.
type EntryCounts struct {
	People, Rules, Clusters, Clients, Workloads, Issuers, Connectors, LocalUsers, Recordings int64
	// Trials are the changes that are on trial.
	Trials int64
}

// CountEntries counts the entries of each kind in one query.
func (s *Store) CountEntries(ctx context.Context) (EntryCounts, error) {
	var c EntryCounts
	err := s.db.WithContext(ctx).Raw(`SELECT
(SELECT COUNT(*) FROM users) AS people,
(SELECT COUNT(*) FROM access_rules) AS rules,
(SELECT COUNT(*) FROM clusters) AS clusters,
(SELECT COUNT(*) FROM clients) AS clients,
(SELECT COUNT(*) FROM workload_rules) AS workloads,
(SELECT COUNT(*) FROM trusted_issuers) AS issuers,
(SELECT COUNT(*) FROM connectors) AS connectors,
(SELECT COUNT(*) FROM local_users) AS local_users,
(SELECT COUNT(*) FROM recordings) AS recordings,
(SELECT COUNT(*) FROM revisions WHERE trial_until > 0) AS trials`).Scan(&c).Error
	if err != nil {
		return EntryCounts{}, fmt.Errorf("counting entries: %w", translate(err))
	}
	return c, nil
}
