package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// UserCluster holds a user's favourite mark and last use of a cluster. It grants no access.
type UserCluster struct {
	UserID    string `gorm:"primaryKey"`
	ClusterID string `gorm:"primaryKey"`
	Favourite bool
	// Used is when the user last got a token for the cluster, to the minute. Zero means never.
	Used Instant
}

// UserClusters returns a user's entries by cluster id.
func (s *Store) UserClusters(ctx context.Context, userID string) (map[string]UserCluster, error) {
	var rows []UserCluster
	if err := s.db.WithContext(ctx).Where("user_id = ?", userID).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing clusters of a person: %w", translate(err))
	}
	byID := make(map[string]UserCluster, len(rows))
	for _, row := range rows {
		byID[row.ClusterID] = row
	}
	return byID, nil
}

// SetFavourite sets or removes a user's favourite mark on a cluster.
func (s *Store) SetFavourite(ctx context.Context, userID, clusterID string, favourite bool) error {
	row := UserCluster{UserID: userID, ClusterID: clusterID, Favourite: favourite}
	err := s.db.WithContext(ctx).Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "user_id"}, {Name: "cluster_id"}}, DoUpdates: clause.AssignmentColumns([]string{"favourite"}),
	}).Create(&row).Error
	if err != nil {
		return fmt.Errorf("marking a cluster: %w", translate(err))
	}
	return nil
}

// RecordClusterUse records that a user got a token for a cluster, at most once a minute.
func (s *Store) RecordClusterUse(ctx context.Context, userID, clusterID string, now time.Time) error {
	_, err := s.exec(ctx, `INSERT INTO user_clusters (user_id, cluster_id, favourite, used) VALUES (?, ?, FALSE, ?)
ON CONFLICT (user_id, cluster_id) DO UPDATE SET used = excluded.used WHERE user_clusters.used < ?`,
		userID, clusterID, At(now), At(now.Add(-useInterval)))
	if err != nil {
		return fmt.Errorf("marking the use of a cluster: %w", err)
	}
	return nil
}
