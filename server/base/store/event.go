package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// AuditEvent is a stored event of internal/audit.
type AuditEvent struct {
	ID          string
	Time        Instant
	Name        string
	RequestID   string
	UserID      string
	UserName    string
	ActorID     string
	ActorName   string
	SignInID    string
	DeviceID    string
	TokenID     string
	ClientID    string
	ClusterID   string
	ConnectorID string
	Address     string
	Reason      string
	Detail      string
}

var _ audit.PersistentSink = (*Store)(nil)

// Persistent implements audit.PersistentSink.
func (*Store) Persistent() {}

// WriteEvent implements audit.Sink.
func (s *Store) WriteEvent(ctx context.Context, e audit.Event) error {
	args := eventArgs(e)
	err := s.retry(ctx, func() error {
		_, err := s.addEvent.ExecContext(ctx, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing audit event: %w", err)
	}
	return nil
}

// WriteEvents stores all of these events in one transaction.
func (s *Store) WriteEvents(ctx context.Context, events []audit.Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		for _, e := range events {
			if err := tx.Exec(addEvent, eventArgs(e)...).Error; err != nil {
				return fmt.Errorf("writing audit events: %w", translate(err))
			}
		}
		return nil
	})
}

func eventArgs(e audit.Event) []any {
	return []any{
		secret.ID("evt"), At(e.Time), string(e.Name), e.RequestID, e.UserID, e.UserName, e.SignInID, e.DeviceID,
		e.TokenID, e.ClientID, e.ClusterID, e.ConnectorID, e.Address, e.Reason, e.Detail, e.ActorID, e.ActorName,
	}
}

const (
	eventColumns = "id, time, name, request_id, user_id, user_name, sign_in_id, device_id, token_id, client_id, cluster_id, connector_id, address, reason, detail, actor_id, actor_name"
	addEvent     = "INSERT INTO audit_events (" + eventColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

// AuditEvents lists the newest events with this name, or with any name if it is empty. limit bounds the result.
func (s *Store) AuditEvents(ctx context.Context, name audit.Name, limit int) ([]AuditEvent, error) {
	q := s.db.WithContext(ctx).Order("time DESC, id").Limit(limit)
	if name != "" {
		q = q.Where("name = ?", string(name))
	}
	var rows []AuditEvent
	if err := q.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing audit events: %w", translate(err))
	}
	return rows, nil
}

// EventQuery selects audit events. Empty fields select all.
type EventQuery struct {
	// Names selects events with one of these names. Name selects events whose name begins with it. Both must hold.
	Names                                                    []string
	Name, User, Connector, Cluster, Client, Request, Address string
	// From and To bound the time; To is not included.
	From, To Instant
	// Text is searched in reason and detail.
	Text string
	// After is the Cursor of the last event of the previous page.
	After string
	Limit int
}

// Cursor encodes the position of an event in the list.
func (e *AuditEvent) Cursor() string { return fmt.Sprintf("%d_%s", e.Time, e.ID) }

// FindEvents lists events, the newest first.
func (s *Store) FindEvents(ctx context.Context, query EventQuery) ([]AuditEvent, error) {
	if _, err := before(s.db, "time", query.After); err != nil {
		return nil, err
	}
	base := func() *gorm.DB { return s.eventsOf(ctx, query) }
	var rows []AuditEvent
	var err error
	switch {
	case len(query.Names) == 0:
		err = base().Find(&rows).Error
	case query.Cluster != "" || isUserID(query.User): // whose index finds few events
		err = base().Where("name IN ?", query.Names).Find(&rows).Error
	default:
		rows, err = newestOf(base, query.Names, query.Limit)
	}
	if err != nil {
		return nil, fmt.Errorf("listing audit events: %w", translate(err))
	}
	return rows, nil
}

// eventsOf returns the conditions of a query except its names. The caller has checked the cursor.
func (s *Store) eventsOf(ctx context.Context, query EventQuery) *gorm.DB {
	return s.eventsWhere(ctx, query).Order("time DESC, id DESC").Limit(query.Limit)
}

// eventsWhere returns the conditions of a query but for its names.
func (s *Store) eventsWhere(ctx context.Context, query EventQuery) *gorm.DB {
	q := s.db.WithContext(ctx).Table("audit_events")
	for column, value := range map[string]string{
		"connector_id": query.Connector, "cluster_id": query.Cluster, "client_id": query.Client, "request_id": query.Request, "address": query.Address,
	} {
		if value != "" {
			q = q.Where(column+" = ?", value)
		}
	}
	if query.Name != "" {
		q = q.Where(`name LIKE ? ESCAPE '\'`, likePrefix(query.Name))
	}
	if isUserID(query.User) {
		q = q.Where("(user_id = ? OR (actor_id = ? AND actor_id <> ''))", query.User, query.User)
	} else if query.User != "" {
		name := likeWithin(query.User)
		q = q.Where(`(user_id = ? OR actor_id = ? OR LOWER(user_name) LIKE ? ESCAPE '\' OR LOWER(actor_name) LIKE ? ESCAPE '\')`, query.User, query.User, name, name)
	}
	if query.Text != "" {
		like := likeWithin(query.Text)
		q = q.Where(`(LOWER(detail) LIKE ? ESCAPE '\' OR LOWER(reason) LIKE ? ESCAPE '\')`, like, like)
	}
	// Even without a bound the condition is there: without it SQLite sorts all events instead of reading the
	// index by time.
	q = q.Where("time >= ?", query.From)
	if query.To != 0 {
		q = q.Where("time < ?", query.To)
	}
	if query.Cluster != "" {
		q = q.Where("cluster_id <> ''") // the same condition as the partial index
	}
	q, _ = before(q, "time", query.After)
	return q
}

// before selects rows that sort before a cursor, by time and id.
func before(q *gorm.DB, column, cursor string) (*gorm.DB, error) {
	at, id, found := strings.Cut(cursor, "_")
	if !found {
		return q, nil
	}
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return nil, errs.New(errs.Invalid, "This page of the list does not exist. Start at the first page.")
	}
	// The first condition is for the index by time.
	return q.Where(column+" <= ? AND ("+column+" < ? OR "+column+" = ? AND id < ?)", n, n, n, id), nil
}

// likeWithin returns a LIKE pattern for values that contain the text, in lower case.
func likeWithin(text string) string { return "%" + likePrefix(strings.ToLower(text)) }

func likePrefix(text string) string {
	return strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%"
}
