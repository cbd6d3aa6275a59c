package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// UserCluster is what a cluster is to a person. It says nothing about what they may.
type UserCluster struct {
	UserID    string `gorm:"primaryKey"`
	ClusterID string `gorm:"primaryKey"`
	Favourite bool
	// Used is when they last got a token for it, to the minute; 0 when they never did.
	Used Instant
}

// UserClusters returns what clusters are to a person, by the cluster's id.
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

// SetFavourite marks a cluster for a person, or takes the mark away.
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

// RecordClusterUse notes that a person got a token for a cluster, at most once a minute.
func (s *Store) RecordClusterUse(ctx context.Context, userID, clusterID string, now time.Time) error {
	_, err := s.exec(ctx, `INSERT INTO user_clusters (user_id, cluster_id, favourite, used) VALUES (?, ?, FALSE, ?)
ON CONFLICT (user_id, cluster_id) DO UPDATE SET used = excluded.used WHERE user_clusters.used < ?`,
		userID, clusterID, At(now), At(now.Add(-useEvery)))
	if err != nil {
		return fmt.Errorf("marking the use of a cluster: %w", err)
	}
	return nil
}
