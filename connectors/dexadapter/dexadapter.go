// Package dexadapter makes a connector of Dex's packages one of ours. It is the
// only place that knows Dex's contract.
package dexadapter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	dex "github.com/dexidp/dex/connector"

	"github.com/fairlead-auth/fairlead/connectors"
)

// opener is what every Config of Dex can do.
type opener interface {
	Open(id string, logger *slog.Logger) (dex.Connector, error)
}

// Open opens a connector of Dex. Dex's Open knows no context and may ask the
// network, so it gets a goroutine; when ctx ends first, the result is dropped.
func Open(ctx context.Context, cfg opener, env connectors.Env) (connectors.Connector, error) {
	type result struct {
		conn dex.Connector
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := cfg.Open(env.ID, env.Logger)
		done <- result{conn, err}
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("opening connector: %w", ctx.Err())
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("opening connector: %w", r.err)
		}
		return wrap(r.conn)
	}
}

func wrap(conn dex.Connector) (connectors.Connector, error) {
	callback, ok := conn.(dex.CallbackConnector)
	if !ok {
		return nil, errors.New("the connector does not redirect")
	}
	refresh, ok := conn.(dex.RefreshConnector)
	if !ok {
		return nil, errors.New("the connector can't refresh")
	}
	return &redirecter{callback: callback, refresh: refresh}, nil
}

// scopes are always the same: groups are needed for access rules, and offline
// access to ask again later.
func scopes() dex.Scopes { return dex.Scopes{OfflineAccess: true, Groups: true} }

type redirecter struct {
	callback dex.CallbackConnector
	refresh  dex.RefreshConnector
}

var (
	_ connectors.Redirecter = (*redirecter)(nil)
	_ connectors.Refresher  = (*redirecter)(nil)
)

// AuthURL implements connectors.Redirecter.
func (r *redirecter) AuthURL(_ context.Context, callbackURL, state string) (address string, kept []byte, err error) {
	address, kept, err = r.callback.LoginURL(scopes(), callbackURL, state)
	if err != nil {
		return "", nil, fmt.Errorf("making upstream address: %w", err)
	}
	if _, err := url.Parse(address); err != nil {
		return "", nil, fmt.Errorf("reading upstream address: %w", err)
	}
	return address, kept, nil
}

// Callback implements connectors.Redirecter.
func (r *redirecter) Callback(_ context.Context, _ string, kept []byte, req *http.Request) (connectors.Identity, error) {
	if refusal := req.URL.Query().Get("error"); refusal != "" {
		return connectors.Identity{}, fmt.Errorf("the upstream answered %q: %w", refusal, connectors.ErrDenied)
	}
	id, err := r.callback.HandleCallback(scopes(), kept, req)
	if err != nil {
		return connectors.Identity{}, classify(err)
	}
	return identity(id), nil
}

// Refresh implements connectors.Refresher.
func (r *redirecter) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	id, err := r.refresh.Refresh(ctx, scopes(), dex.Identity{
		UserID: last.Subject, Username: last.Name, PreferredUsername: last.Username,
		Email: last.Email, EmailVerified: last.EmailVerified, Groups: last.Groups, ConnectorData: last.Data,
	})
	if err != nil {
		return connectors.Identity{}, classify(err)
	}
	return identity(id), nil
}

// classify finds a clear no. Dex formats most causes into text, so that only
// the text is left to look at; the contract tests of each connector notice when
// a newer Dex says it in other words.
func classify(err error) error {
	_, notInGroup := errors.AsType[*dex.UserNotInRequiredGroupsError](err)
	if notInGroup || strings.Contains(err.Error(), "not a member of allowed groups") || strings.Contains(err.Error(), `"invalid_grant"`) {
		return fmt.Errorf("%w: %w", err, connectors.ErrDenied)
	}
	return err
}

// identity maps names: Dex's "username" is what a person is called, and its
// "preferred username" is the login name, when the upstream has one.
func identity(id dex.Identity) connectors.Identity {
	login := id.PreferredUsername
	if login == "" {
		login = id.Email
	}
	if login == "" {
		login = id.Username
	}
	return connectors.Identity{
		Subject: id.UserID, Username: login, Name: id.Username,
		Email: id.Email, EmailVerified: id.EmailVerified, Groups: id.Groups, Data: id.ConnectorData,
	}
}
