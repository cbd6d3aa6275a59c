package store

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// SavedSearch is a named set of filters of the audit log, saved by an admin.
type SavedSearch struct {
	ID     string
	UserID string
	Name   string
	// Query is the query string of the page, without a question mark.
	Query   string
	Created Instant
}

// maxSearches is the largest number of saved searches of an admin.
const maxSearches = 50

// SavedSearches lists an admin's searches by name.
func (s *Store) SavedSearches(ctx context.Context, userID string) ([]SavedSearch, error) {
	var rows []SavedSearch
	if err := s.db.WithContext(ctx).Where("user_id = ?", userID).Order("name").Limit(maxSearches).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing saved searches: %w", translate(err))
	}
	return rows, nil
}

// SaveSearch saves a search. It replaces the admin's search with the same name.
func (s *Store) SaveSearch(ctx context.Context, row SavedSearch, now time.Time) error {
	rows, err := s.SavedSearches(ctx, row.UserID)
	if err != nil {
		return err
	}
	if len(rows) >= maxSearches {
		return errs.New(errs.Invalid, "You keep %d searches, which is the most. Remove one of them first.", maxSearches)
	}
	_, err = s.exec(ctx, "INSERT INTO saved_searches (id, user_id, name, query, created) VALUES (?, ?, ?, ?, ?) "+
		"ON CONFLICT (user_id, name) DO UPDATE SET query = excluded.query, created = excluded.created",
		secret.ID("search"), row.UserID, row.Name, row.Query, At(now))
	if err != nil {
		return fmt.Errorf("saving search: %w", err)
	}
	return nil
}

// RemoveSearch deletes a saved search of an admin.
func (s *Store) RemoveSearch(ctx context.Context, userID, id string) error {
	if _, err := s.exec(ctx, "DELETE FROM saved_searches WHERE user_id = ? AND id = ?", userID, id); err != nil {
		return fmt.Errorf("removing search: %w", err)
	}
	return nil
}
