// Package dexadapter adapts the connectors of Dex's packages to the contract of
// package connectors. No other package imports Dex's contract.
package dexadapter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	dex "github.com/dexidp/dex/connector"
	"golang.org/x/oauth2"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
	"github.com/fairlead-auth/fairlead/connectors/probe"
)

// opener is what every Config of Dex can do.
type opener interface {
	Open(id string, logger *slog.Logger) (dex.Connector, error)
}

// Options are what a connector needs besides Dex's own settings.
type Options struct {
	// CA is the PEM of the authorities to trust besides the system's.
	CA string
	// Profile is the end of the path where the upstream describes the account, and ID the member that identifies it.
	Profile, ID string
	// Admit checks every identity, at sign-ins and renewals, and may change or deny it. It gets what the upstream said
	// at Profile. Nil admits all.
	Admit func(context.Context, connectors.Identity, claims.Set) (connectors.Identity, error)
}

// Open opens a connector of Dex. Dex's Open knows no context and may ask the
// network, so it gets a goroutine; when ctx ends first, the result is dropped.
func Open(ctx context.Context, cfg opener, env connectors.Env, o Options) (connectors.Connector, error) {
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
		return wrap(r.conn, Client(env, o.CA), o)
	}
}

// Client returns the client for connectors of Dex that want one of their own. The
// others get it through the context of each call.
func Client(env connectors.Env, ca string) *http.Client { return watched(probe.Client(env, ca)) }

func wrap(conn dex.Connector, client *http.Client, o Options) (connectors.Connector, error) {
	refresh, refreshes := conn.(dex.RefreshConnector)
	if !refreshes {
		return nil, errors.New("the connector can't refresh")
	}
	callback, redirects := conn.(dex.CallbackConnector)
	if !redirects {
		return nil, errors.New("the connector does not redirect")
	}
	return &redirecter{callback: callback, refresher: refresher{refresh: refresh, client: client, options: o}}, nil
}

// scopes are always the same: groups are needed for access rules, and offline
// access to ask again later.
func scopes() dex.Scopes { return dex.Scopes{OfflineAccess: true, Groups: true} }

type redirecter struct {
	callback dex.CallbackConnector
	refresher
}

// refresher asks the upstream again.
type refresher struct {
	refresh dex.RefreshConnector
	client  *http.Client
	options Options
}

func (r *refresher) identity(ctx context.Context, id dex.Identity, seen *witness) (connectors.Identity, error) {
	if r.options.Admit == nil {
		return identity(id), nil
	}
	return r.options.Admit(ctx, identity(id), seen.said)
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
func (r *redirecter) Callback(ctx context.Context, _ string, kept []byte, req *http.Request) (connectors.Identity, error) {
	if code := req.URL.Query().Get("error"); code != "" {
		return connectors.Identity{}, connectors.OAuthError(0, code, req.URL.Query().Get("error_description"))
	}
	seen := witness{profile: r.options.Profile}
	id, err := r.callback.HandleCallback(scopes(), kept, req.WithContext(seen.watch(r.outside(ctx))))
	connectors.Report(ctx, seen.said.Attributes())
	if err != nil {
		return connectors.Identity{}, seen.classify(err)
	}
	return r.identity(ctx, id, &seen)
}

// Refresh implements connectors.Refresher.
func (r *refresher) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	seen := witness{profile: r.options.Profile}
	id, err := r.refresh.Refresh(seen.watch(r.outside(ctx)), scopes(), dex.Identity{
		UserID: last.Subject, Username: last.Name, PreferredUsername: last.Username,
		Email: last.Email, EmailVerified: last.EmailVerified, Groups: last.Groups, ConnectorData: last.Data,
	})
	if err != nil {
		return connectors.Identity{Data: seen.replaced(last.Data)}, seen.classify(err)
	}
	// Some of Dex's connectors keep the id of the sign-in even if the upstream answers about another account.
	if subject := seen.said.Text(r.options.ID); subject != "" && subject != last.Subject {
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeDenied, nil, "The provider answered about another account.", connectors.SignInAgain)
	}
	admitted, err := r.identity(ctx, id, &seen)
	if err != nil {
		return connectors.Identity{Data: id.ConnectorData}, err
	}
	return admitted, nil
}

// outside tells the OAuth library which client to use.
func (r *refresher) outside(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, r.client)
}

// identity maps names: Dex's "username" is the display name, and its "preferred
// username" is the login name, if the upstream has one. A verified address takes its
// place. A display name, which users may choose freely, never does.
func identity(id dex.Identity) connectors.Identity {
	login := id.PreferredUsername
	if login == "" && id.EmailVerified {
		login = id.Email
	}
	slices.Sort(id.Groups) // another order must not look like a change
	return connectors.Identity{
		Subject: id.UserID, Username: login, Name: id.Username,
		Email: id.Email, EmailVerified: id.EmailVerified, Groups: id.Groups, Data: id.ConnectorData,
	}
}
