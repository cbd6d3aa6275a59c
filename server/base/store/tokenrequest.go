package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/migrations"
)

// This file holds the statements that every token request runs. They are SQL without gorm: one query to read
// everything, one statement to write it.

const (
	refreshColumns = "r.hash, r.device_id, r.created, r.expires, r.used, r.successor_hash, r.sealed_answer"
	deviceColumns  = "d.id, d.user_id, d.client_id, d.sign_in_id, d.host, d.address, d.scopes, d.amr, d.nonce, d.authenticated, d.created, d.last_used, " +
		"d.idle_expires, d.expires, d.revoked, d.reason"
	accessColumns = "a.hash, a.user_id, a.client_id, a.device_id, a.sign_in_id, a.scopes, a.amr, a.authenticated, a.expires, a.revoked"
	userColumns   = "u.id, u.connector_id, u.subject, u.kube_name, u.name_key, u.login, u.display_name, u.email, u.email_verified, u.group_names, " +
		"u.upstream_data, u.disabled, u.created, u.last_sign_in, u.checked, u.refused, u.refused_reason"
)

func (r *RefreshToken) fields() []any {
	return []any{&r.Hash, &r.DeviceID, &r.Created, &r.Expires, &r.Used, &r.SuccessorHash, &r.SealedAnswer}
}

func (d *Device) fields() []any {
	return []any{
		&d.ID, &d.UserID, &d.ClientID, &d.SignInID, &d.Host, &d.Address, &d.Scopes, &d.AMR, &d.Nonce, &d.Authenticated, &d.Created, &d.LastUsed,
		&d.IdleExpires, &d.Expires, &d.Revoked, &d.Reason,
	}
}

func (t *AccessToken) fields() []any {
	return []any{&t.Hash, &t.UserID, &t.ClientID, &t.DeviceID, &t.SignInID, &t.Scopes, &t.AMR, &t.Authenticated, &t.Expires, &t.Revoked}
}

func (u *User) fields() []any {
	return []any{
		&u.ID, &u.ConnectorID, &u.Subject, &u.KubeName, &u.NameKey, &u.Login, &u.DisplayName, &u.Email, &u.EmailVerified, &u.GroupNames,
		&u.UpstreamData, &u.Disabled, &u.Created, &u.LastSignIn, &u.Checked, &u.Refused, &u.RefusedReason,
	}
}

// statement is SQL with "?" placeholders, which it numbers for PostgreSQL.
func (s *Store) statement(text string) string {
	if s.driver != migrations.Postgres {
		return text
	}
	var b strings.Builder
	n := 0
	for _, r := range text {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		n++
		fmt.Fprintf(&b, "$%d", n)
	}
	return b.String()
}

// queryRow reads a single row with a prepared statement.
func (s *Store) queryRow(ctx context.Context, stmt *sql.Stmt, arg string, fields ...any) error {
	return s.retry(ctx, func() error { return stmt.QueryRowContext(ctx, arg).Scan(fields...) })
}

// RefreshTokenDetails is a refresh token with its device and user.
type RefreshTokenDetails struct {
	Token  RefreshToken
	Device Device
	User   User
}

// RefreshTokenDetails finds a refresh token by its text.
func (s *Store) RefreshTokenDetails(ctx context.Context, token string) (*RefreshTokenDetails, error) {
	var p RefreshTokenDetails
	fields := append(append(p.Token.fields(), p.Device.fields()...), p.User.fields()...)
	if err := s.queryRow(ctx, s.presented, secret.Hash(token), fields...); err != nil {
		return nil, fmt.Errorf("reading refresh token: %w", err)
	}
	return &p, nil
}

// AccessTokenWithUser finds an access token by its text, with its user.
func (s *Store) AccessTokenWithUser(ctx context.Context, token string) (*AccessToken, *User, error) {
	var (
		row  AccessToken
		user User
	)
	if err := s.queryRow(ctx, s.bearer, secret.Hash(token), append(row.fields(), user.fields()...)...); err != nil {
		return nil, nil, fmt.Errorf("reading access token: %w", err)
	}
	return &row, &user, nil
}

// Mint is a cluster token that is about to be handed out. AccessHash and SignInID name the access token or the session
// that it comes from; both are empty for the token of a workload.
type Mint struct{ UserID, ClusterID, AccessHash, SignInID string }

// MayMint decides whether a cluster token may be handed out: its user is enabled and not refused by the upstream, and
// its access token or session has not ended. Call it after the token is signed, so that a later revocation is newer
// than the token. It records the use of the cluster.
func (s *Store) MayMint(ctx context.Context, m Mint, now time.Time) (bool, error) {
	var used Instant
	err := s.retry(ctx, func() error {
		return s.mayMint.QueryRowContext(ctx, m.ClusterID, m.UserID, m.AccessHash, m.AccessHash, m.SignInID, m.SignInID).Scan(&used)
	})
	switch {
	case errs.Is(err, errs.NotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("asking whether a token may be minted: %w", err)
	case now.Sub(used.Time()) <= useInterval:
		return true, nil
	}
	return true, s.RecordClusterUse(ctx, m.UserID, m.ClusterID, now)
}

const mayMintQuery = `SELECT COALESCE((SELECT c.used FROM user_clusters c WHERE c.user_id = u.id AND c.cluster_id = ?), 0)
FROM users u WHERE u.id = ? AND NOT u.disabled AND u.refused = 0
AND (? = '' OR EXISTS (SELECT 1 FROM access_tokens a WHERE a.hash = ? AND a.user_id = u.id AND a.revoked = 0))
AND (? = '' OR EXISTS (SELECT 1 FROM sign_ins s WHERE s.id = ? AND s.user_id = u.id AND s.ended = 0))`

// Rotate exchanges a refresh token. The conditional update is the lock: exactly one caller on any replica gets
// true. The others get false and read the winner's response from the row of the token.
func (s *Store) Rotate(ctx context.Context, r Rotation, now time.Time) (won bool, err error) {
	rotate := s.rotateSQLite
	if s.driver == migrations.Postgres {
		rotate = s.rotatePostgres
	}
	err = s.retry(ctx, func() error {
		won, err = rotate(ctx, r, now)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("rotating refresh token: %w", err)
	}
	return won, nil
}

// The steps of a rotation. The device comes first, so that a concurrent revocation is either seen here or revokes
// the new access token. A device of a user whom the upstream has refused meanwhile gets nothing.
const (
	touchDevice = "UPDATE devices SET last_used = ?, idle_expires = ? WHERE id = ? AND revoked = 0 AND " + ownerActive
	ownerActive = "EXISTS (SELECT 1 FROM users WHERE users.id = devices.user_id AND NOT users.disabled AND users.refused = 0)"
	useToken    = "UPDATE refresh_tokens SET used = ?, successor_hash = ?, sealed_answer = ? WHERE hash = ? AND used = 0"
	addToken    = "INSERT INTO refresh_tokens (hash, device_id, created, expires, used, successor_hash, sealed_answer) VALUES (?, ?, ?, ?, 0, '', '')"
	addAccess   = "INSERT INTO access_tokens (hash, user_id, client_id, device_id, sign_in_id, scopes, amr, authenticated, expires, revoked) " +
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
)

// rotation runs the same steps in one statement and one round trip.
const rotation = `WITH touched AS (UPDATE devices SET last_used = $1, idle_expires = $2 WHERE id = $3 AND revoked = 0 AND ` + ownerActive + ` RETURNING id),
used AS (UPDATE refresh_tokens SET used = $1, successor_hash = $4, sealed_answer = $5
  WHERE hash = $6 AND used = 0 AND device_id IN (SELECT id FROM touched) RETURNING device_id),
successor AS (INSERT INTO refresh_tokens (hash, device_id, created, expires, used, successor_hash, sealed_answer)
  SELECT $4, device_id, $7, $8, 0, '', '' FROM used),
access AS (INSERT INTO access_tokens (hash, user_id, client_id, device_id, sign_in_id, scopes, amr, authenticated, expires, revoked)
  SELECT $9, $10, $11, device_id, $12, $13, $14, $15, $16, 0 FROM used),
event AS (INSERT INTO audit_events (` + eventColumns + `)
  SELECT $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33 FROM used)
SELECT count(*) FROM used`

func (s *Store) rotatePostgres(ctx context.Context, r Rotation, now time.Time) (bool, error) {
	var n int
	args := append([]any{
		At(now), r.IdleExpires, r.Successor.DeviceID, r.Successor.Hash, r.SealedAnswer, r.Presented, r.Successor.Created, r.Successor.Expires,
		r.Access.Hash, r.Access.UserID, r.Access.ClientID, r.Access.SignInID, r.Access.Scopes, r.Access.AMR, r.Access.Authenticated, r.Access.Expires,
	}, eventArgs(r.Event)...)
	err := s.rotation.QueryRowContext(ctx, args...).Scan(&n)
	return n == 1, err
}

// rotateSQLite uses a transaction, because an SQLite statement changes only one table. It needs no round trips.
func (s *Store) rotateSQLite(ctx context.Context, r Rotation, now time.Time) (won bool, err error) {
	tx, err := s.sql.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // a rollback after the commit does nothing
	for i, step := range []struct {
		stmt *sql.Stmt
		args []any
	}{
		{s.touchDevice, []any{At(now), r.IdleExpires, r.Successor.DeviceID}},
		{s.useToken, []any{At(now), r.Successor.Hash, r.SealedAnswer, r.Presented}},
		{s.addToken, []any{r.Successor.Hash, r.Successor.DeviceID, r.Successor.Created, r.Successor.Expires}},
		{s.addAccess, []any{
			r.Access.Hash, r.Access.UserID, r.Access.ClientID, r.Successor.DeviceID, r.Access.SignInID, r.Access.Scopes, r.Access.AMR,
			r.Access.Authenticated, r.Access.Expires,
		}},
		{s.addEvent, eventArgs(r.Event)},
	} {
		res, err := tx.StmtContext(ctx, step.stmt).ExecContext(ctx, step.args...) //nolint:sqlclosecheck // the transaction closes it
		if err != nil {
			return false, err
		}
		if n, err := res.RowsAffected(); err != nil || i < 2 && n != 1 {
			return false, err
		}
	}
	return true, tx.Commit()
}

// prepared are the prepared statements of token requests.
type prepared struct {
	presented, bearer, mayMint, rotation       *sql.Stmt
	touchDevice, useToken, addToken, addAccess *sql.Stmt
	addEvent                                   *sql.Stmt
}

func (s *Store) prepare(ctx context.Context) error {
	texts := map[**sql.Stmt]string{
		&s.presented: "SELECT " + refreshColumns + ", " + deviceColumns + ", " + userColumns +
			" FROM refresh_tokens r JOIN devices d ON d.id = r.device_id JOIN users u ON u.id = d.user_id WHERE r.hash = ?",
		&s.bearer:   "SELECT " + accessColumns + ", " + userColumns + " FROM access_tokens a JOIN users u ON u.id = a.user_id WHERE a.hash = ?",
		&s.mayMint:  mayMintQuery,
		&s.addEvent: addEvent,
	}
	if s.driver == migrations.Postgres {
		texts[&s.rotation] = rotation
	} else {
		texts[&s.touchDevice], texts[&s.useToken], texts[&s.addToken], texts[&s.addAccess] = touchDevice, useToken, addToken, addAccess
	}
	for into, text := range texts {
		stmt, err := s.sql.PrepareContext(ctx, s.statement(text)) //nolint:sqlclosecheck // the pool closes it
		if err != nil {
			return fmt.Errorf("preparing statement: %w", err)
		}
		*into = stmt
	}
	return nil
}
