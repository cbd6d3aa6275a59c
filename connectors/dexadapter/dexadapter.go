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
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// opener is what every Config of Dex can do.
type opener interface {
	Open(id string, logger *slog.Logger) (dex.Connector, error)
}

// Options are what a connector needs besides Dex's own settings.
type Options struct {
	// CA is the PEM of the authorities to trust besides the system's.
	CA string
	// SignInOnly is for connectors that can't ask the upstream again later.
	SignInOnly bool
	// Admit checks every identity, at sign-ins and renewals, and may change or deny it.
	// Nil admits all.
	Admit func(context.Context, connectors.Identity) (connectors.Identity, error)
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
	if !refreshes && !o.SignInOnly {
		return nil, errors.New("the connector can't refresh")
	}
	if o.SignInOnly { // Dex's own would repeat the answer of the sign-in
		refresh = nil
	}
	again := refresher{refresh: refresh, client: client, admit: o.Admit}
	switch c := conn.(type) {
	case dex.CallbackConnector:
		return &redirecter{callback: c, refresher: again}, nil
	case dex.SAMLConnector:
		return &poster{saml: c, refresher: again}, nil
	}
	return nil, errors.New("the connector neither redirects nor posts")
}

// scopes are always the same: groups are needed for access rules, and offline
// access to ask again later.
func scopes() dex.Scopes { return dex.Scopes{OfflineAccess: true, Groups: true} }

type redirecter struct {
	callback dex.CallbackConnector
	refresher
}

// refresher asks the upstream again. The outcome is OutcomeUnconfirmed if the
// connector can't.
type refresher struct {
	refresh dex.RefreshConnector
	client  *http.Client
	admit   func(context.Context, connectors.Identity) (connectors.Identity, error)
}

func (r *refresher) identity(ctx context.Context, id dex.Identity) (connectors.Identity, error) {
	if r.admit == nil {
		return identity(id), nil
	}
	return r.admit(ctx, identity(id))
}

var (
	_ connectors.Redirecter = (*redirecter)(nil)
	_ connectors.Refresher  = (*redirecter)(nil)
	_ connectors.Poster     = (*poster)(nil)
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
	var seen witness
	id, err := r.callback.HandleCallback(scopes(), kept, req.WithContext(seen.watch(r.outside(ctx))))
	if err != nil {
		return connectors.Identity{}, seen.classify(err)
	}
	return r.identity(ctx, id)
}

// Refresh implements connectors.Refresher.
func (r *refresher) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	if r.refresh == nil {
		return connectors.Identity{}, connectors.Unconfirmed()
	}
	var seen witness
	id, err := r.refresh.Refresh(seen.watch(r.outside(ctx)), scopes(), dex.Identity{
		UserID: last.Subject, Username: last.Name, PreferredUsername: last.Username,
		Email: last.Email, EmailVerified: last.EmailVerified, Groups: last.Groups, ConnectorData: last.Data,
	})
	if err != nil {
		return connectors.Identity{}, seen.classify(err)
	}
	return r.identity(ctx, id)
}

// outside tells the OAuth library which client to use.
func (r *refresher) outside(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, r.client)
}

// poster is a connector that speaks SAML 2.0 with the HTTP POST binding.
type poster struct {
	saml dex.SAMLConnector
	refresher
}

// AuthForm implements connectors.Poster. It keeps the id of the request, which the
// answer must name.
func (p *poster) AuthForm(context.Context) (connectors.PostForm, error) {
	id := secret.ID("saml")
	action, request, err := p.saml.POSTData(scopes(), id)
	if err != nil {
		return connectors.PostForm{}, fmt.Errorf("making upstream request: %w", err)
	}
	return connectors.PostForm{Action: action, Fields: map[string]string{"SAMLRequest": request}, Kept: []byte(id)}, nil
}

// Answer implements connectors.Poster. Every invalid answer is a denial,
// because only the upstream can make a valid one.
func (p *poster) Answer(ctx context.Context, kept []byte, posted url.Values) (connectors.Identity, error) {
	id, err := p.saml.HandlePOST(scopes(), posted.Get("SAMLResponse"), string(kept))
	if err != nil {
		return connectors.Identity{}, fmt.Errorf("%w: %w", err, connectors.ErrDenied)
	}
	return p.identity(ctx, id)
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
