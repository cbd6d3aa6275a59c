package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// RevokedConnector is the reason of an ending that follows the deletion of the user's connector.
const RevokedConnector = "connector_deleted"

// RemoveConnector deletes a connector, and retires its users: the next connector with the id may ask another upstream,
// where the same subjects are other people.
func (c *SettingsTx) RemoveConnector(id string, now time.Time) error {
	c.endings = append(c.endings, func() error { return retire(c.tx, id, now) })
	return Remove[Connector](c, "id", id)
}

// retire ends everything of a connector's users, for good. They keep their names, so that no other user gets what a
// cluster grants to a name.
func retire(tx *gorm.DB, connectorID string, now time.Time) error {
	var users []string
	err := tx.Raw("UPDATE users SET retired = ?, was_disabled = disabled WHERE connector_id = ? AND retired = 0 RETURNING id", At(now), connectorID).Scan(&users).Error
	for _, id := range users {
		if err == nil {
			_, _, err = end(tx, Ending{Scope: EndAccount, UserID: id, Reason: RevokedConnector}, now)
		}
	}
	return err
}

// ReturnUsers makes the retired users of a connector its users again, and returns their number. Their sessions and
// tokens stay ended. A retired user stays retired if another user has their subject since.
func (s *Store) ReturnUsers(ctx context.Context, connectorID string) (int, error) {
	n, err := s.exec(ctx, `UPDATE users SET retired = 0, disabled = was_disabled WHERE connector_id = ? AND retired <> 0
AND EXISTS (SELECT 1 FROM connectors c WHERE c.id = users.connector_id)
AND NOT EXISTS (SELECT 1 FROM users o WHERE o.connector_id = users.connector_id AND o.subject = users.subject AND (o.retired = 0 OR o.retired > users.retired))`,
		connectorID)
	if err != nil {
		return 0, fmt.Errorf("returning users: %w", translate(err))
	}
	return int(n), nil
}

// RetiredUsers returns the ids of the retired users of a connector.
func (s *Store) RetiredUsers(ctx context.Context, connectorID string) ([]string, error) {
	var list []string
	if err := s.db.WithContext(ctx).Model(&User{}).Where("connector_id = ? AND retired <> 0", connectorID).Order("id").Pluck("id", &list).Error; err != nil {
		return nil, fmt.Errorf("listing retired users: %w", translate(err))
	}
	return list, nil
}

// RemoveUser ends everything of a user as e says, and deletes the user with their second factors. Their name is free
// then.
func (s *Store) RemoveUser(ctx context.Context, e Ending, now time.Time) error {
	e.Scope = EndAccount
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if _, _, err := end(tx, e, now); err != nil {
			return err
		}
		for _, statement := range []string{
			"DELETE FROM factors WHERE owner = ?", "DELETE FROM user_clusters WHERE user_id = ?", "DELETE FROM device_codes WHERE user_id = ?",
			"DELETE FROM users WHERE id = ?",
		} {
			if err := tx.Exec(statement, e.UserID).Error; err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("removing a user: %w", translate(err))
	}
	return nil
}
