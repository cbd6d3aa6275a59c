package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/migrations"
)

// The states by which UserList selects users.
const (
	UserActive   = "active"
	UserInactive = "inactive"
	UserDisabled = "disabled"
)

// The columns by which UserList sorts. A leading "-" sorts in descending order.
const (
	SortName       = "name"
	SortEmail      = "email"
	SortConnector  = "connector"
	SortLastSignIn = "last"
)

// UserList selects a page of users. Empty fields select all.
type UserList struct {
	// Text is part of a name or an email address.
	Text, ConnectorID string
	// Group is the exact name of a group.
	Group string
	// State is UserActive, UserInactive or UserDisabled. Users whose last sign-in is before InactiveBefore are
	// inactive.
	State          string
	InactiveBefore Instant
	// Sort is one of the Sort constants, with "-" in front for descending order.
	Sort          string
	Offset, Limit int
}

// UserPage is a page of users, with the number of users in each state.
type UserPage struct {
	Users  []User
	Total  int64
	States map[string]int64
}

// ListUsers returns a page of users. Total counts all users that the query selects. States counts the users in each
// state, as if the query had no State.
func (s *Store) ListUsers(ctx context.Context, query UserList) (UserPage, error) {
	page := UserPage{States: map[string]int64{}}
	selected := s.selectPeople(ctx, query)
	var counts []struct {
		State string
		N     int64
	}
	state := "CASE WHEN disabled THEN '" + UserDisabled + "' WHEN last_sign_in < ? THEN '" + UserInactive + "' ELSE '" + UserActive + "' END"
	err := selected.Session(&gorm.Session{}).Select(state+" AS state, COUNT(*) AS n", query.InactiveBefore).Group("state").Scan(&counts).Error
	if err != nil {
		return page, fmt.Errorf("counting people: %w", translate(err))
	}
	for _, count := range counts {
		page.States[count.State] = count.N
		if query.State == "" || query.State == count.State {
			page.Total += count.N
		}
	}
	rows := selected.Session(&gorm.Session{})
	if query.State != "" {
		rows = rows.Where(state+" = ?", query.InactiveBefore, query.State)
	}
	err = rows.Omit("upstream_data").Order(peopleOrder(query.Sort)).Offset(query.Offset).Limit(query.Limit).Find(&page.Users).Error
	if err != nil {
		return page, fmt.Errorf("listing people: %w", translate(err))
	}
	return page, nil
}

func (s *Store) selectPeople(ctx context.Context, query UserList) *gorm.DB {
	q := s.db.WithContext(ctx).Model(&User{})
	if query.Text != "" {
		like := likeWithin(query.Text)
		q = q.Where(`(name_key LIKE ? ESCAPE '\' OR LOWER(email) LIKE ? ESCAPE '\' OR LOWER(display_name) LIKE ? ESCAPE '\')`, like, like, like)
	}
	if query.ConnectorID != "" {
		q = q.Where("connector_id = ?", query.ConnectorID)
	}
	if query.Group != "" {
		q = q.Where("EXISTS (SELECT 1 FROM "+s.groupsOf("users")+" WHERE member.value = ?)", query.Group)
	}
	return q
}

// peopleOrder returns the ORDER BY clause. It never contains the caller's text.
func peopleOrder(sort string) string {
	column, descending := strings.CutPrefix(sort, "-")
	order := map[string]string{SortEmail: "LOWER(email)", SortConnector: "connector_id", SortLastSignIn: "last_sign_in"}[column]
	if order == "" {
		order = "name_key"
	}
	if descending {
		order += " DESC"
	}
	return order + ", name_key"
}

// groupsOf is a FROM item with a row for each group of a user, as member.value.
func (s *Store) groupsOf(table string) string {
	if s.driver == migrations.Postgres {
		return "jsonb_array_elements_text(" + table + ".group_names::jsonb) AS member(value)"
	}
	return "json_each(" + table + ".group_names) AS member"
}

// Group is a group name with the number of active users in it.
type Group struct {
	Name  string
	Users int64
}

// Groups returns the groups whose names contain text, the largest first, and their total number. limit bounds the
// result. The groups are those of each user's last sign-in or check.
func (s *Store) Groups(ctx context.Context, text string, offset, limit int) (rows []Group, total int64, err error) {
	from := " FROM users, " + s.groupsOf("users") + " WHERE NOT users.disabled"
	var args []any
	if text != "" {
		from += ` AND LOWER(member.value) LIKE ? ESCAPE '\'`
		args = append(args, likeWithin(text))
	}
	db := s.db.WithContext(ctx)
	if err = db.Raw("SELECT COUNT(DISTINCT member.value)"+from, args...).Scan(&total).Error; err == nil {
		err = db.Raw("SELECT member.value AS name, COUNT(*) AS users"+from+" GROUP BY member.value ORDER BY users DESC, name LIMIT ? OFFSET ?", append(args, limit, offset)...).Scan(&rows).Error
	}
	if err != nil {
		return nil, 0, fmt.Errorf("listing groups: %w", translate(err))
	}
	return rows, total, nil
}

// MatchUsers returns users whose name, email address or id contains text: exact matches first, then prefix matches,
// then the others. limit bounds the result.
func (s *Store) MatchUsers(ctx context.Context, text string, limit int) ([]User, error) {
	key, within := kubenames.Key(text), likeWithin(text)
	var rows []User
	err := s.db.WithContext(ctx).Raw(`SELECT id, connector_id, kube_name, name_key, login, display_name, email, email_verified, group_names, disabled, created, last_sign_in, checked FROM users
WHERE id = ? OR name_key LIKE ? ESCAPE '\' OR LOWER(email) LIKE ? ESCAPE '\' OR LOWER(display_name) LIKE ? ESCAPE '\'
ORDER BY CASE WHEN id = ? OR name_key = ? OR LOWER(login) = ? OR LOWER(email) = ? OR LOWER(display_name) = ? THEN 0 WHEN LOWER(login) LIKE ? ESCAPE '\' OR LOWER(display_name) LIKE ? ESCAPE '\' THEN 1 ELSE 2 END, name_key LIMIT ?`,
		text, within, within, within, text, key, key, key, key, likePrefix(key), likePrefix(key), limit).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("searching people: %w", translate(err))
	}
	return rows, nil
}

// SessionCounts returns the number of active sessions and devices of each user. It leaves out users without any.
func (s *Store) SessionCounts(ctx context.Context, userIDs []string, now time.Time) (map[string]int, error) {
	counts := map[string]int{}
	for _, live := range []string{
		"SELECT user_id, COUNT(*) AS n FROM sign_ins WHERE user_id IN ? AND ended = 0 AND idle_expires > ? AND expires > ? GROUP BY user_id",
		"SELECT user_id, COUNT(*) AS n FROM devices WHERE user_id IN ? AND revoked = 0 AND idle_expires > ? AND expires > ? GROUP BY user_id",
	} {
		var rows []struct {
			UserID string
			N      int
		}
		if err := s.db.WithContext(ctx).Raw(live, userIDs, At(now), At(now)).Scan(&rows).Error; err != nil {
			return nil, fmt.Errorf("counting sessions: %w", translate(err))
		}
		for _, row := range rows {
			counts[row.UserID] += row.N
		}
	}
	return counts, nil
}

// ClusterUses returns when a user last got a token for each cluster, to the minute. It leaves out clusters without
// a use.
func (s *Store) ClusterUses(ctx context.Context) (map[string]time.Time, error) {
	var rows []struct {
		ID string
		At Instant
	}
	// The subquery reads one index entry for each cluster, whatever the number of users.
	err := s.db.WithContext(ctx).Raw("SELECT id, COALESCE((SELECT MAX(used) FROM user_clusters WHERE cluster_id = clusters.id), 0) AS at FROM clusters").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading uses of clusters: %w", translate(err))
	}
	uses := map[string]time.Time{}
	for _, row := range rows {
		if row.At != 0 {
			uses[row.ID] = row.At.Time()
		}
	}
	return uses, nil
}

// CountUsersByConnector returns the number of active users of each connector.
func (s *Store) CountUsersByConnector(ctx context.Context) (map[string]int64, error) {
	var rows []struct {
		ConnectorID string
		N           int64
	}
	err := s.db.WithContext(ctx).Raw("SELECT connector_id, COUNT(*) AS n FROM users WHERE NOT disabled GROUP BY connector_id").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("counting people: %w", translate(err))
	}
	counts := map[string]int64{}
	for _, row := range rows {
		counts[row.ConnectorID] = row.N
	}
	return counts, nil
}

// AuditEventByID returns an audit event. The error's kind is NotFound if there is none.
func (s *Store) AuditEventByID(ctx context.Context, id string) (*AuditEvent, error) {
	return byID[AuditEvent](ctx, s, id)
}

// OpenLinks returns when each unused link of a purpose expires, by its subject. It leaves out expired links.
func (s *Store) OpenLinks(ctx context.Context, purpose string, now time.Time) (map[string]time.Time, error) {
	var rows []Link
	if err := s.db.WithContext(ctx).Where("purpose = ? AND used = 0 AND expires > ?", purpose, At(now)).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing links: %w", translate(err))
	}
	ends := make(map[string]time.Time, len(rows))
	for _, row := range rows {
		ends[row.Subject] = row.Expires.Time()
	}
	return ends, nil
}

// UsersByLogin returns the users of these connectors by login in lower case, with id, name, last sign-in and
// whether they are disabled.
func (s *Store) UsersByLogin(ctx context.Context, connectorIDs []string) (map[string]User, error) {
	var rows []User
	err := s.db.WithContext(ctx).Select("id", "login", "last_sign_in", "disabled").Where("connector_id IN ?", connectorIDs).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading users: %w", translate(err))
	}
	byLogin := make(map[string]User, len(rows))
	for _, row := range rows {
		byLogin[kubenames.Key(row.Login)] = row
	}
	return byLogin, nil
}
