package store

import (
	"context"
	"fmt"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// AuditEvent is an event of internal/audit at rest.
type AuditEvent struct {
	ID          string
	Time        Instant
	Name        string
	RequestID   string
	UserID      string
	UserName    string
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

var _ audit.Keeper = (*Store)(nil)

// Keeps implements audit.Keeper.
func (*Store) Keeps() {}

// WriteEvent implements audit.Sink.
func (s *Store) WriteEvent(ctx context.Context, e audit.Event) error {
	if _, err := s.addEvent.ExecContext(ctx, eventArgs(e)...); err != nil {
		return fmt.Errorf("writing audit event: %w", translate(err))
	}
	return nil
}

func eventArgs(e audit.Event) []any {
	return []any{
		secret.ID("evt"), At(e.Time), string(e.Name), e.RequestID, e.UserID, e.UserName, e.SignInID, e.DeviceID,
		e.TokenID, e.ClientID, e.ClusterID, e.ConnectorID, e.Address, e.Reason, e.Detail,
	}
}

const (
	eventColumns = "id, time, name, request_id, user_id, user_name, sign_in_id, device_id, token_id, client_id, cluster_id, connector_id, address, reason, detail"
	addEvent     = "INSERT INTO audit_events (" + eventColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

// AuditEvents lists the newest events with this name, or of every name when it
// is empty; at most limit of them.
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
