package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Proxy is an enrolled proxy of a cluster. Several replicas may share one enrolment.
type Proxy struct {
	ID        string
	ClusterID string
	Name      string
	// PublicKey is a JSON Web Key.
	PublicKey string
	Version   string
	Address   string
	Created   Instant
	LastSeen  Instant
}

// LinkEnrol is the purpose of an enrolment code. The subject of the link is the cluster.
const LinkEnrol = "enrol"

// EnrolProxy spends an enrolment code and stores the proxy for the cluster of the code. The error's kind is Denied
// when the code is unknown, used or expired.
func (s *Store) EnrolProxy(ctx context.Context, hash string, p Proxy, now time.Time) (*Proxy, error) {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Raw("UPDATE links SET used = ? WHERE hash = ? AND purpose = ? AND used = 0 AND expires > ? RETURNING subject", At(now), hash, LinkEnrol, At(now)).Scan(&p.ClusterID).Error
		if err != nil {
			return err
		}
		if p.ClusterID == "" {
			return errs.New(errs.Denied, "The enrolment code is no longer valid: it was used, or it has expired. Create another on the page of the cluster.")
		}
		p.ID, p.Created, p.LastSeen = secret.ID("prx"), At(now), At(now)
		return tx.Create(&p).Error
	})
	if err != nil {
		return nil, fmt.Errorf("enrolling proxy: %w", err)
	}
	return &p, nil
}

// Proxy returns a proxy. The error's kind is NotFound when there is none.
func (s *Store) Proxy(ctx context.Context, id string) (*Proxy, error) {
	var row Proxy
	if err := s.db.WithContext(ctx).Where("id = ?", id).Take(&row).Error; err != nil {
		return nil, fmt.Errorf("reading proxy: %w", translate(err))
	}
	return &row, nil
}

// Proxies lists the proxies of a cluster, or all proxies if clusterID is empty.
func (s *Store) Proxies(ctx context.Context, clusterID string) ([]Proxy, error) {
	var rows []Proxy
	q := s.db.WithContext(ctx).Order("cluster_id, created, id")
	if clusterID != "" {
		q = q.Where("cluster_id = ?", clusterID)
	}
	if err := q.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing proxies: %w", translate(err))
	}
	return rows, nil
}

// RecordProxySeen records when the server last heard from a proxy.
func (s *Store) RecordProxySeen(ctx context.Context, id, version, address string, now time.Time) error {
	_, err := s.exec(ctx, "UPDATE proxies SET last_seen = ?, version = ?, address = ? WHERE id = ?", At(now), version, address, id)
	if err != nil {
		return fmt.Errorf("noting proxy: %w", err)
	}
	return nil
}

// RemoveProxy deletes a proxy, so that the server refuses its key. It reports whether the proxy existed.
func (s *Store) RemoveProxy(ctx context.Context, id string) (bool, error) {
	n, err := s.exec(ctx, "DELETE FROM proxies WHERE id = ?", id)
	if err != nil {
		return false, fmt.Errorf("removing proxy: %w", err)
	}
	return n > 0, nil
}

// UsersByID returns the users with these ids, in no order. It ignores unknown ids.
func (s *Store) UsersByID(ctx context.Context, ids []string) ([]User, error) {
	var rows []User
	if err := s.db.WithContext(ctx).Omit("upstream_data").Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("reading users: %w", translate(err))
	}
	return rows, nil
}
