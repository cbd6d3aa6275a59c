// Package backchannel sends logout tokens to clients when a sign-in ends (OpenID
// Connect Back-Channel Logout). The notices are stored in the transaction that
// ends the sign-in, so a client or a server that is down loses none.
package backchannel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

const (
	// pollInterval is how often Run looks for notices of other replicas.
	pollInterval = 5 * time.Second
	// batchSize is the number of notices that one query claims.
	batchSize = 20
	// requestTimeout is the deadline for one client's response.
	requestTimeout = 5 * time.Second
	// firstRetryDelay is the delay after the first failure. It grows with each failure up to maxRetryDelay.
	firstRetryDelay = 5 * time.Second
	maxRetryDelay   = time.Hour
)

// Notifier sends logout tokens to clients.
type Notifier struct {
	Store   *store.Store
	Clients *clients.Registry
	Issuer  *issuer.Issuer
	Audit   *audit.Log
	Logger  *slog.Logger
	Now     func() time.Time
	// Client sends the requests. It must not follow redirects.
	Client *http.Client

	wake chan struct{}
}

// New sets the defaults of a Notifier.
func New(n Notifier) *Notifier {
	n.wake = make(chan struct{}, 1)
	if n.Client == nil {
		n.Client = &http.Client{
			Timeout:       requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &n
}

// Wake makes Run look for notices at once.
func (n *Notifier) Wake() {
	select {
	case n.wake <- struct{}{}:
	default: // Run is about to look anyway
	}
}

// Run sends notices until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if err := n.Deliver(ctx); err != nil && ctx.Err() == nil {
			n.Logger.WarnContext(ctx, "sending back-channel logout tokens failed, retrying", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-n.wake:
		}
	}
}

// Deliver sends the notices that are due. It claims each one first, so that only one replica sends it.
func (n *Notifier) Deliver(ctx context.Context) error {
	for {
		now := n.Now()
		due, err := n.Store.ClaimLogoutNotices(ctx, now, now.Add(firstRetryDelay), batchSize)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, notice := range due {
			if err := n.deliver(ctx, notice); err != nil {
				return err
			}
		}
	}
}

func (n *Notifier) deliver(ctx context.Context, notice store.LogoutNotice) error {
	client, err := n.Clients.Find(ctx, notice.ClientID)
	if errs.Is(err, errs.NotFound) || err == nil && client.LogoutURI == "" {
		return n.Store.DeleteLogoutNotice(ctx, notice.ID) // an admin has deleted the client
	}
	if err != nil {
		return err
	}
	event := audit.Event{
		Name: audit.ClientNotified, UserID: notice.UserID, SignInID: notice.SID, ClientID: notice.ClientID, Reason: fmt.Sprintf("try_%d", notice.Tries),
	}
	fault := n.send(ctx, client, notice)
	if ctx.Err() != nil {
		return ctx.Err() // the claim expires soon, and the notice is sent again
	}
	if fault == nil {
		n.Audit.Record(ctx, event)
		return n.Store.DeleteLogoutNotice(ctx, notice.ID)
	}
	event.Name, event.Detail = audit.ClientNotNotified, fault.Error()
	n.Audit.Record(ctx, event)
	return n.Store.PostponeLogoutNotice(ctx, notice.ID, n.Now().Add(retryDelay(notice.Tries)))
}

func retryDelay(tries int) time.Duration {
	d := firstRetryDelay
	for range tries - 1 {
		d = min(2*d, maxRetryDelay)
	}
	return d
}

// logoutToken is a logout token (OpenID Connect Back-Channel Logout section 2.4).
type logoutToken struct {
	Issuer   string              `json:"iss"`
	Subject  string              `json:"sub"`
	Audience string              `json:"aud"`
	IssuedAt int64               `json:"iat"`
	Expiry   int64               `json:"exp"`
	ID       string              `json:"jti"`
	SID      string              `json:"sid"`
	Events   map[string]struct{} `json:"events"`
}

// logoutEvent is the member that makes a token a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutTokenLife is the lifetime that the specification recommends.
const logoutTokenLife = 2 * time.Minute

func (n *Notifier) send(ctx context.Context, client *clients.Client, notice store.LogoutNotice) error {
	now := n.Now()
	payload, err := json.Marshal(logoutToken{
		Issuer: n.Issuer.URL, Subject: notice.UserID, Audience: client.ID, IssuedAt: now.Unix(), Expiry: now.Add(logoutTokenLife).Unix(),
		ID: secret.ID("jti"), SID: notice.SID, Events: map[string]struct{}{logoutEvent: {}},
	})
	if err != nil {
		return fmt.Errorf("encoding logout token: %w", err)
	}
	token, err := n.Issuer.SignLogoutToken(client.Algorithm, payload)
	if err != nil {
		return err
	}
	form := url.Values{"logout_token": {token}}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, client.LogoutURI, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("making request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := n.Client.Do(req)
	if err != nil {
		return errors.New("the client does not answer") // the error can contain internal addresses
	}
	defer func() { _ = resp.Body.Close() }()
	const enough = 4 << 10
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, enough)) // so that the connection can be reused
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the client answered %d", resp.StatusCode)
	}
	return nil
}
