package store

import (
	"context"
	"fmt"
)

// TrustedIssuer is a platform whose tokens workloads may exchange, such as a CI system or a cluster with its
// service accounts.
type TrustedIssuer struct {
	ID string
	// URL is the issuer identifier that its tokens carry.
	URL string `gorm:"column:url"`
	// Audience is the audience that the tokens must have.
	Audience string
	// KeySet is the issuer's JWKS. It is empty when the server downloads it.
	KeySet string
	// CA is the certificate authority of the issuer, in PEM form.
	CA     string `gorm:"column:ca"`
	Origin `gorm:"embedded"`
}

// WorkloadRule maps tokens of an issuer to one workload and its groups. Access rules then say which clusters the
// workload may use.
type WorkloadRule struct {
	// ID names the workload: clusters see "workload:ID".
	ID          string
	Position    int
	Description string
	IssuerID    string
	// Claims must all be present, each with one of its accepted values.
	Claims     ClaimRules
	GroupNames Strings
	Origin     `gorm:"embedded"`
}

// TrustedIssuers lists the trusted issuers by id.
func (s *Store) TrustedIssuers(ctx context.Context) ([]TrustedIssuer, error) {
	return list[TrustedIssuer](ctx, s, "id")
}

// TrustedIssuerByURL finds a trusted issuer. The error's kind is NotFound when the URL is not trusted.
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
