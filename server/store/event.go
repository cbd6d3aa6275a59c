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

var _ audit.Sink = (*Store)(nil)

// WriteEvent implements audit.Sink.
func (s *Store) WriteEvent(ctx context.Context, e audit.Event) error {
	row := AuditEvent{
		ID: secret.ID("evt"), Time: At(e.Time), Name: string(e.Name), RequestID: e.RequestID,
		UserID: e.UserID, UserName: e.UserName, SignInID: e.SignInID, DeviceID: e.DeviceID, TokenID: e.TokenID,
		ClientID: e.ClientID, ClusterID: e.ClusterID, ConnectorID: e.ConnectorID,
		Address: e.Address, Reason: e.Reason, Detail: e.Detail,
	}
	if err := s.db.WithContext(ctx).Create(&row).Error; err != nil {
		return fmt.Errorf("writing audit event: %w", translate(err))
	}
	return nil
}

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
