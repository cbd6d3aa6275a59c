package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// APIToken lets a program use the admin API with the rights of the user who created it. The token itself is not
// stored.
type APIToken struct {
	ID       string
	Hash     string
	Name     string
	Scopes   Strings
	UserID   string
	Created  Instant
	Expires  Instant
	LastUsed Instant
	Revoked  Instant
}

// CreateAPIToken adds a token. The error's kind is Denied if the user is disabled.
func (s *Store) CreateAPIToken(ctx context.Context, t *APIToken) error {
	t.ID = secret.ID("api")
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if err := demandMint(tx, t.UserID); err != nil {
			return err
		}
		return tx.Create(t).Error
	})
	if err != nil {
		return fmt.Errorf("creating token: %w", err)
	}
	return nil
}

// APITokens lists the active tokens, the newest first.
func (s *Store) APITokens(ctx context.Context, now time.Time) ([]APIToken, error) {
	var rows []APIToken
	err := s.db.WithContext(ctx).Where("revoked = 0 AND expires > ?", At(now)).Order("created DESC, id").Limit(maxList).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("listing tokens: %w", translate(err))
	}
	return rows, nil
}

// APITokenByHash finds an active token and records its use at most once a minute. The error's kind is
// Unauthenticated when there is none.
func (s *Store) APITokenByHash(ctx context.Context, hash string, now time.Time) (*APIToken, error) {
	var row APIToken
	err := translate(s.db.WithContext(ctx).Where("hash = ? AND revoked = 0 AND expires > ?", hash, At(now)).Take(&row).Error)
	if errs.Is(err, errs.NotFound) {
		return nil, errs.New(errs.Unauthenticated, "The API token is not valid: it is unknown, revoked or expired. Create another in the admin pages.")
	}
	if err != nil {
		return nil, fmt.Errorf("reading token: %w", err)
	}
	if now.Sub(row.LastUsed.Time()) > time.Minute {
		_, err = s.exec(ctx, "UPDATE api_tokens SET last_used = ? WHERE id = ?", At(now), row.ID)
	}
	return &row, err
}

// RevokeAPIToken revokes a token.
func (s *Store) RevokeAPIToken(ctx context.Context, id string, now time.Time) error {
	n, err := s.exec(ctx, "UPDATE api_tokens SET revoked = ? WHERE id = ? AND revoked = 0", At(now), id)
	if err == nil && n == 0 {
		return notFound("There is no such API token. Reload the list.")
	}
	return err
}

// ConnectorTest is a test sign-in through a connector, with its settings and its result.
type ConnectorTest struct {
	ID          string
	ConnectorID string
	SignInID    string
	// Input and Result are JSON documents, sealed at rest.
	Input, Result string
	Expires       Instant
}

func testContext(id string) string { return "connector_tests.document:" + id }

// CreateConnectorTest stores a test before its sign-in.
func (s *Store) CreateConnectorTest(ctx context.Context, t *ConnectorTest) error {
	t.ID = secret.ID("tst")
	row := *t
	row.Input, row.Result = s.keyring.Seal(testContext(t.ID), []byte(t.Input)), ""
	if err := s.db.WithContext(ctx).Create(&row).Error; err != nil {
		return fmt.Errorf("creating test: %w", translate(err))
	}
	return nil
}

// ConnectorTest returns a test that this session started.
func (s *Store) ConnectorTest(ctx context.Context, id, signInID string, now time.Time) (*ConnectorTest, error) {
	var row ConnectorTest
	err := s.db.WithContext(ctx).Where("id = ? AND sign_in_id = ? AND expires > ?", id, signInID, At(now)).Take(&row).Error
	if err != nil {
		return nil, fmt.Errorf("reading test: %w", translate(err))
	}
	for _, text := range []*string{&row.Input, &row.Result} {
		if *text == "" {
			continue
		}
		plain, err := s.keyring.Open(testContext(id), *text)
		if err != nil {
			return nil, fmt.Errorf("opening test: %w", err)
		}
		*text = string(plain)
	}
	return &row, nil
}

// FinishConnectorTest stores the result of a test. Only the first result counts.
func (s *Store) FinishConnectorTest(ctx context.Context, id, result string) error {
	n, err := s.exec(ctx, "UPDATE connector_tests SET result = ? WHERE id = ? AND result = ''", s.keyring.Seal(testContext(id), []byte(result)), id)
	if err == nil && n == 0 {
		return errs.New(errs.Invalid, "This test sign-in has already ended. Start another.")
	}
	return err
}
