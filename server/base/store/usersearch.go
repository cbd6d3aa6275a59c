package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
)

// SearchUsers lists users whose name, login or e-mail address contains text, by name. limit bounds the result.
func (s *Store) SearchUsers(ctx context.Context, text string, limit int) ([]User, error) {
	var rows []User
	q := s.db.WithContext(ctx).Order("name_key").Limit(limit)
	if text != "" {
		like := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(text)) + "%"
		q = q.Where(`name_key LIKE ? ESCAPE '\' OR LOWER(email) LIKE ? ESCAPE '\' OR LOWER(display_name) LIKE ? ESCAPE '\'`, like, like, like)
	}
	if err := q.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing people: %w", translate(err))
	}
	return rows, nil
}

// UserByName finds a user by the user name in clusters, whatever its case.
func (s *Store) UserByName(ctx context.Context, name string) (*User, error) {
	var u User
	if err := s.db.WithContext(ctx).Where("name_key = ?", kubenames.Key(name)).Take(&u).Error; err != nil {
		return nil, fmt.Errorf("reading user: %w", translate(err))
	}
	return &u, nil
}

// EnableUser enables a disabled user, and reports whether they were disabled. Their old sessions and tokens stay ended.
func (s *Store) EnableUser(ctx context.Context, id string) (bool, error) {
	rows, err := s.exec(ctx, "UPDATE users SET disabled = FALSE WHERE id = ? AND disabled AND retired = 0", id)
	if err != nil {
		return false, fmt.Errorf("enabling user: %w", err)
	}
	return rows == 1, nil
}

// EachUser calls fn with every user, by id. It reads users in batches, and only the columns that access rules need.
func (s *Store) EachUser(ctx context.Context, fn func(u *User)) error {
	const batch = 2000
	for last := ""; ; {
		var rows []User
		err := s.db.WithContext(ctx).Select("id", "connector_id", "kube_name", "name_key", "email", "email_verified", "group_names", "disabled").Where("id > ?", last).Order("id").Limit(batch).Find(&rows).Error
		if err != nil {
			return fmt.Errorf("reading users: %w", translate(err))
		}
		for i := range rows {
			fn(&rows[i])
		}
		if len(rows) < batch {
			return nil
		}
		last = rows[len(rows)-1].ID
	}
}

// UserQuery selects users.
type UserQuery struct {
	Text, ConnectorID string
	Disabled          bool
	// After is the name of the last user of the previous page.
	After string
	Limit int
}

// FindUsers lists users by name, and returns their total number.
func (s *Store) FindUsers(ctx context.Context, query UserQuery) (rows []User, total int64, err error) {
	q := s.db.WithContext(ctx).Model(&User{})
	if query.Text != "" {
		like := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(query.Text)) + "%"
		q = q.Where(`(name_key LIKE ? ESCAPE '\' OR LOWER(email) LIKE ? ESCAPE '\' OR LOWER(display_name) LIKE ? ESCAPE '\')`, like, like, like)
	}
	if query.ConnectorID != "" {
		q = q.Where("connector_id = ?", query.ConnectorID)
	}
	if query.Disabled {
		q = q.Where("disabled = ?", true)
	}
	if err = q.Count(&total).Error; err == nil {
		if query.After != "" {
			q = q.Where("name_key > ?", query.After)
		}
		err = q.Omit("upstream_data").Order("name_key").Limit(query.Limit).Find(&rows).Error
	}
	if err != nil {
		return nil, 0, fmt.Errorf("listing people: %w", translate(err))
	}
	return rows, total, nil
}
