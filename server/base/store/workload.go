package store

import (
	"context"
	"fmt"
)

// TrustedIssuer is a platform whose tokens workloads may exchange: a CI system, a
// cluster's own service accounts.
type TrustedIssuer struct {
	ID string
	// URL is the issuer identifier that its tokens carry.
	URL string `gorm:"column:url"`
	// Audience is what tokens must be made for.
	Audience string
	// KeySet is the issuer's JWKS, when it can't be fetched.
	KeySet string
	// CA is what the issuer's certificate is checked with, in PEM form.
	CA     string `gorm:"column:ca"`
	Origin `gorm:"embedded"`
}

// WorkloadRule says which of an issuer's tokens stand for one workload, and which
// groups that workload is in. Access rules then say which clusters it may use.
type WorkloadRule struct {
	// ID names the workload: clusters see "workload:ID".
	ID          string
	Position    int
	Description string
	IssuerID    string
	// Claims must all be there, each with exactly one of its values.
	Claims     ClaimRules
	GroupNames Strings
	Origin     `gorm:"embedded"`
}

// TrustedIssuerByURL finds a trusted issuer. The error's kind is NotFound when
// nobody trusts it.
func (s *Store) TrustedIssuerByURL(ctx context.Context, url string) (*TrustedIssuer, error) {
	var row TrustedIssuer
	if err := s.db.WithContext(ctx).Where("url = ?", url).Take(&row).Error; err != nil {
		return nil, fmt.Errorf("reading trusted issuer: %w", translate(err))
	}
	return &row, nil
}

// WorkloadRules lists the rules in order.
func (s *Store) WorkloadRules(ctx context.Context) ([]WorkloadRule, error) {
	return list[WorkloadRule](ctx, s, "position, id")
}
