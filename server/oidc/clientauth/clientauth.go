// Package clientauth authenticates OAuth clients at endpoints without a browser:
// by secret, by private_key_jwt assertion (RFC 7523), or, for public clients, by
// client ID alone. The endpoints decide what the client may do.
package clientauth

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

// The authentication methods of clients (OpenID Connect Core section 9).
const (
	None          = "none"
	SecretBasic   = "client_secret_basic"
	SecretPost    = "client_secret_post"
	PrivateKeyJWT = "private_key_jwt"
)

// Methods returns every method. Public clients use "none".
func Methods(public bool) []string {
	methods := []string{SecretBasic, SecretPost, PrivateKeyJWT}
	if public {
		methods = append(methods, None)
	}
	return methods
}

// Authenticator authenticates clients.
type Authenticator struct {
	Clients *clients.Registry
	Store   *store.Store
	Limit   *ratelimit.Limiter
	Now     func() time.Time
	// Audiences are the accepted audiences of an assertion: the issuer and the token endpoint.
	Audiences []string

	lastMarked sync.Map // id of a secret or key → time.Time of the last recorded use
}

// Request holds the parts of a request that authenticate a client.
type Request struct {
	HTTP   *http.Request
	Params oauth.Params
	// Address is the network address of the caller.
	Address string
}

// credentials are the unverified credentials of a request.
type credentials struct {
	id, secret, assertion string
	basic                 bool
}

// Authenticate returns the authenticated client. Each refusal is an *oauth.Error, the same for an unknown client
// and for a wrong secret.
func (a *Authenticator) Authenticate(ctx context.Context, req Request) (*clients.Client, error) {
	given, err := parseCredentials(req)
	if err != nil {
		return nil, err
	}
	client, err := a.Clients.Find(ctx, given.id)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	if err == nil && given.id != "" {
		ok, err := a.verify(ctx, client, given)
		if err != nil || ok {
			return client, err
		}
	}
	return nil, a.countFailure(ctx, req.Address)
}

// verify reports whether the credentials are right.
func (a *Authenticator) verify(ctx context.Context, client *clients.Client, given credentials) (bool, error) {
	if client.Public {
		return given.secret == "" && given.assertion == "" && !given.basic, nil
	}
	if given.assertion != "" {
		return a.checkAssertion(ctx, client, given.assertion)
	}
	hash, ok := client.MatchSecret(given.secret, a.Now())
	if !ok {
		return false, nil
	}
	return true, a.markUsed(ctx, store.SecretUseID(client.ID, hash))
}

// markInterval is the least time between two records of the same secret's use.
const markInterval = time.Minute

// markUsed records the use of a secret or key, so that admins can find unused ones. Most requests only check the
// time in memory.
func (a *Authenticator) markUsed(ctx context.Context, name string) error {
	now := a.Now()
	if last, ok := a.lastMarked.Load(name); ok {
		if at, isTime := last.(time.Time); isTime && now.Sub(at) < markInterval {
			return nil
		}
	}
	a.lastMarked.Store(name, now)
	return a.Store.RecordUse(ctx, name, now)
}

// countFailure counts a failed attempt. Only failures are counted, so that successful requests cost nothing. A
// secret has 256 bits, so guessing one without a limit is not possible either.
func (a *Authenticator) countFailure(ctx context.Context, address string) error {
	verdict, err := a.Limit.Attempt(ctx, ratelimit.ClientSecret(address))
	if err != nil {
		return err
	}
	if verdict.Wait > 0 {
		return oauth.RateLimited(oauth.InvalidClient, verdict.Wait)
	}
	return oauth.Errorf(oauth.InvalidClient, "The client authentication failed. Check the client ID, and its secret or key.")
}

// parseCredentials reads the credentials of a request. A request may use only one method (RFC 6749 section 2.3).
func parseCredentials(req Request) (credentials, error) {
	p := req.Params
	given := credentials{id: p["client_id"], secret: p["client_secret"], assertion: p["client_assertion"]}
	user, pass, basic := req.HTTP.BasicAuth()
	if basic && (given.secret != "" || given.assertion != "") || given.secret != "" && given.assertion != "" {
		return given, oauth.Errorf(oauth.InvalidRequest, "The request has two kinds of client credentials. Send only one.")
	}
	if basic {
		return parseBasic(given, user, pass)
	}
	if given.assertion != "" {
		return parseAssertion(given, p)
	}
	return given, nil
}

func parseBasic(given credentials, user, pass string) (credentials, error) {
	id, errID := url.QueryUnescape(user)
	text, errSecret := url.QueryUnescape(pass)
	if errID != nil || errSecret != nil {
		return given, oauth.Errorf(oauth.InvalidClient, "The Basic credentials are not form-encoded. Encode the client ID and the secret (RFC 6749 section 2.3.1).")
	}
	if given.id != "" && given.id != id {
		return given, oauth.Errorf(oauth.InvalidRequest, "The request has two different client IDs. Send the same one everywhere.")
	}
	return credentials{id: id, secret: text, basic: true}, nil
}
