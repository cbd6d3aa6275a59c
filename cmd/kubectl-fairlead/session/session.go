// Package session gets tokens for clusters: from the cache, by a refresh under a
// lock that all processes share, or by one sign-in in one browser tab. It is
// polite: it never asks a person twice for the same thing.
package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/browser"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/workload"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

const (
	// freshFor is how long a token must still be good to be handed out.
	freshFor = time.Minute
	// accessFreshFor is the same for our own access token.
	accessFreshFor = 20 * time.Second
	// lockWait is how long a process waits for another before it looks again.
	lockWait = 15 * time.Second
	// patience is how long it waits in all while no person is being asked.
	patience = time.Minute
	// signInWait is how long a person has.
	signInWait = 3 * time.Minute
	// quiet is how long after a sign-in that nobody finished no new tab opens.
	quiet = 10 * time.Minute
)

// Client works for one account at a server.
type Client struct {
	Account cache.Account
	Cache   *cache.Cache
	Now     func() time.Time
	// MaySignIn says that a person may be asked: false with CI=true.
	MaySignIn bool
	// Ask says how; its Server is filled in here.
	Ask browser.Config
}

// NeedSignInError says that a person must do something. The text is the last line
// that they read.
type NeedSignInError struct{ Text string }

// Error returns the text.
func (e *NeedSignInError) Error() string { return e.Text }

func (c *Client) need(why string) error {
	text := "Sign-in needed. Run: kubectl fairlead login " + c.Account.Server
	if c.Account.Profile != "" {
		text += " --profile " + c.Account.Profile
	}
	if why != "" {
		text = why + "\n" + text
	}
	return &NeedSignInError{Text: text}
}

// Token returns a token for a cluster.
func (c *Client) Token(ctx context.Context, cluster string) (cache.Token, error) {
	began := c.Now()
	for {
		if t, ok := c.Cache.Token(cluster, c.Now(), freshFor); ok {
			return t, nil
		}
		wait, cancel := context.WithTimeout(ctx, lockWait)
		unlock, locked, err := c.Cache.Lock(wait)
		cancel()
		if err != nil {
			return cache.Token{}, err
		}
		if locked {
			defer unlock()
			return c.tokenLocked(ctx, cluster)
		}
		if attempt, young := c.Cache.Attempt(c.Now(), signInWait); young && attempt.Failure == "" {
			return cache.Token{}, c.need("A sign-in is waiting in your browser.")
		}
		if c.Now().Sub(began) > patience {
			return cache.Token{}, errors.New("another kubectl has held the session for a minute; try again")
		}
	}
}

// WorkloadToken returns a token for a cluster in exchange for a program's own. Nothing is
// kept: the next program here may be another.
func (c *Client) WorkloadToken(ctx context.Context, cluster string, of *workload.Source) (cache.Token, error) {
	server, err := c.remote("")
	if err != nil {
		return cache.Token{}, err
	}
	mine, err := of.Get(ctx)
	if err != nil {
		return cache.Token{}, err
	}
	grant, err := server.ExchangeWorkload(ctx, mine, cluster)
	return cache.Token{Token: grant.AccessToken.Reveal(), Expires: grant.Expires}, err
}

// tokenLocked is the only place that changes the session.
func (c *Client) tokenLocked(ctx context.Context, cluster string) (cache.Token, error) {
	// Whoever had the lock before may have got it for us.
	if t, ok := c.Cache.Token(cluster, c.Now(), freshFor); ok {
		return t, nil
	}
	s, err := c.sessionLocked(ctx)
	if err != nil {
		return cache.Token{}, err
	}
	server, err := c.remote(s.CA)
	if err != nil {
		return cache.Token{}, err
	}
	grant, err := c.exchange(ctx, server, s, cluster)
	if serverclient.SignedOut(err) {
		// The access token was ended early; the refresh token may still be good.
		s.AccessExpires = time.Time{}
		if s, err = c.refreshLocked(ctx, server, s); err != nil {
			return cache.Token{}, err
		}
		grant, err = c.exchange(ctx, server, s, cluster)
	}
	if err != nil {
		return cache.Token{}, err
	}
	c.mentionClock(server)
	t := cache.Token{Token: grant.AccessToken.Reveal(), Expires: grant.Expires}
	return t, c.Cache.SaveToken(cluster, t)
}

// mentionClock warns of a clock for which a cluster may refuse what it is given.
func (c *Client) mentionClock(server *serverclient.Server) {
	if text := server.Clock(); text != "" {
		fmt.Fprintln(c.Ask.Out, "Warning: "+text+" Until then a cluster may say that you are not logged in.")
	}
}

// exchange finds the cluster's audience, from the server's list when it isn't
// known yet or has changed.
func (c *Client) exchange(ctx context.Context, server *serverclient.Server, s *cache.Session, cluster string) (serverclient.Grant, error) {
	if audience, known := audienceOf(s.Clusters, cluster); known {
		grant, err := server.Exchange(ctx, s.AccessToken, audience)
		if r, ok := errors.AsType[*serverclient.RefusedError](err); !ok || r.Code != "invalid_target" {
			return grant, err
		}
	}
	list, err := server.Clusters(ctx, s.AccessToken)
	if r, ok := errors.AsType[*serverclient.RefusedError](err); ok && r.Code == "invalid_token" {
		return serverclient.Grant{}, &serverclient.RefusedError{Code: "invalid_grant", Text: r.Text}
	}
	if err != nil {
		return serverclient.Grant{}, err
	}
	s.Clusters, s.User = list.Clusters, list.User
	if err := c.Cache.SaveSession(s); err != nil {
		return serverclient.Grant{}, err
	}
	audience, known := audienceOf(list.Clusters, cluster)
	if !known {
		return serverclient.Grant{}, &serverclient.RefusedError{Code: "invalid_target", Text: fmt.Sprintf(
			"You are signed in as %s, but no access rule lets you use the cluster %s. Ask the people who run it. Your clusters: %s/",
			s.User, cluster, c.Account.Server)}
	}
	return server.Exchange(ctx, s.AccessToken, audience)
}

func audienceOf(clusters []apitypes.Cluster, id string) (string, bool) {
	i := slices.IndexFunc(clusters, func(cl apitypes.Cluster) bool { return cl.ID == id })
	if i < 0 {
		return "", false
	}
	return clusters[i].Audience, true
}

// sessionLocked returns a session with a good access token.
func (c *Client) sessionLocked(ctx context.Context) (*cache.Session, error) {
	s := c.Cache.Session()
	if s == nil {
		return c.askLocked(ctx, "")
	}
	if s.AccessExpires.Sub(c.Now()) > accessFreshFor {
		return s, nil
	}
	server, err := c.remote(s.CA)
	if err != nil {
		return nil, err
	}
	return c.refreshLocked(ctx, server, s)
}

func (c *Client) refreshLocked(ctx context.Context, server *serverclient.Server, s *cache.Session) (*cache.Session, error) {
	grant, err := server.Refresh(ctx, s.RefreshToken)
	if serverclient.SignedOut(err) {
		why := err.Error()
		if err := c.Cache.Clear(); err != nil {
			return nil, err
		}
		return c.askLocked(ctx, why)
	}
	if err != nil {
		return nil, err
	}
	fresh := *s
	fresh.AccessToken, fresh.AccessExpires, fresh.RefreshToken = grant.AccessToken, grant.Expires, grant.RefreshToken
	return &fresh, c.Cache.SaveSession(&fresh)
}

// askLocked opens one browser tab, unless nobody reacted to the last one.
func (c *Client) askLocked(ctx context.Context, why string) (*cache.Session, error) {
	if !c.MaySignIn {
		return nil, c.need(why)
	}
	if attempt, young := c.Cache.Attempt(c.Now(), quiet); young {
		return nil, c.need(orElse(why, orElse(attempt.Failure, "The last sign-in was not finished.")))
	}
	return c.signInLocked(ctx, How{})
}

// How is a way to sign in, other than by the browser of this computer.
type How struct {
	// CA is the PEM of the authority to trust for the server, or empty.
	CA string
	// Code is a setup code that the person brought from a page; empty without one.
	Code secret.Value
}

// SignIn asks the person now, whatever happened before: the person asked for it.
func (c *Client) SignIn(ctx context.Context, how How) (*cache.Session, error) {
	if !c.MaySignIn {
		return nil, c.need("Nobody is asked to sign in where CI=true is set. Programs sign in with an identity of their own: " + c.Account.Server + apitypes.WorkloadsPath)
	}
	wait, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	unlock, locked, err := c.Cache.Lock(wait)
	if err != nil {
		return nil, err
	}
	if !locked {
		return nil, errors.New("another sign-in is waiting in your browser; finish or close it first")
	}
	defer unlock()
	return c.signInLocked(ctx, how)
}

func (c *Client) signInLocked(ctx context.Context, how How) (*cache.Session, error) {
	server, err := c.remote(how.CA)
	if err != nil {
		return nil, err
	}
	grant, err := c.grantLocked(ctx, server, how)
	if err != nil {
		return nil, err
	}
	c.Cache.ClearAttempt()
	s := &cache.Session{AccessToken: grant.AccessToken, AccessExpires: grant.Expires, RefreshToken: grant.RefreshToken, CA: how.CA}
	if err := c.Cache.SaveSession(s); err != nil {
		return nil, err
	}
	list, err := server.Clusters(ctx, s.AccessToken)
	if err != nil {
		return nil, err
	}
	s.User, s.Clusters = list.User, list.Clusters
	return s, c.Cache.SaveSession(s)
}

// grantLocked redeems the code, or asks the person.
func (c *Client) grantLocked(ctx context.Context, server *serverclient.Server, how How) (serverclient.Grant, error) {
	if !how.Code.Empty() {
		return server.RedeemSetup(ctx, how.Code, c.Ask.Host)
	}
	attempt := cache.Attempt{Started: c.Now()}
	if err := c.Cache.SaveAttempt(attempt); err != nil {
		return serverclient.Grant{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, signInWait)
	defer cancel()
	cfg := c.Ask
	cfg.Server = server
	grant, err := browser.SignIn(ctx, cfg)
	if err != nil {
		attempt.Failure = "The last sign-in failed: " + err.Error()
		return serverclient.Grant{}, errors.Join(c.need(err.Error()), c.Cache.SaveAttempt(attempt))
	}
	return grant, nil
}

// Session returns a session that works, without asking anybody: refreshed if
// need be.
func (c *Client) Session(ctx context.Context) (*cache.Session, error) {
	return c.session(ctx, false)
}

// session renews the access token also when it seems good, if it was refused.
func (c *Client) session(ctx context.Context, refused bool) (*cache.Session, error) {
	wait, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	unlock, locked, err := c.Cache.Lock(wait)
	if err != nil {
		return nil, err
	}
	if !locked {
		return nil, c.need("A sign-in is waiting in your browser.")
	}
	defer unlock()
	quietly := *c
	quietly.MaySignIn = false
	if s := c.Cache.Session(); refused && s != nil {
		server, err := c.remote(s.CA)
		if err != nil {
			return nil, err
		}
		return quietly.refreshLocked(ctx, server, s)
	}
	return quietly.sessionLocked(ctx)
}

// Clusters asks the server what the person may use.
func (c *Client) Clusters(ctx context.Context) (apitypes.Clusters, error) {
	s, err := c.Session(ctx)
	if err != nil {
		return apitypes.Clusters{}, err
	}
	server, err := c.remote(s.CA)
	if err != nil {
		return apitypes.Clusters{}, err
	}
	list, err := server.Clusters(ctx, s.AccessToken)
	if r, ok := errors.AsType[*serverclient.RefusedError](err); !ok || r.Code != "invalid_token" {
		return list, err
	}
	if s, err = c.session(ctx, true); err != nil { // it was ended early
		return apitypes.Clusters{}, err
	}
	return server.Clusters(ctx, s.AccessToken)
}

// SignOut ends the session here and at the server. Without the server the
// tokens here are removed all the same.
func (c *Client) SignOut(ctx context.Context) error {
	s := c.Cache.Session()
	if s == nil {
		c.Cache.ClearAttempt()
		return nil
	}
	server, err := c.remote(s.CA)
	if err != nil {
		return err
	}
	errRevoke := server.Revoke(ctx, s.RefreshToken)
	if errRevoke != nil {
		errRevoke = fmt.Errorf("signed out here, but the server could not be told: %w", errRevoke)
	}
	return errors.Join(c.Cache.Clear(), errRevoke)
}

// SignOutEverywhere ends every sign-in and device of the person at the server, and this one
// here.
func (c *Client) SignOutEverywhere(ctx context.Context) error {
	s, err := c.Session(ctx)
	if err != nil {
		return err
	}
	server, err := c.remote(s.CA)
	if err != nil {
		return err
	}
	if err := server.SignOutEverywhere(ctx, s.AccessToken); err != nil {
		return err
	}
	return c.Cache.Clear()
}

func (c *Client) remote(ca string) (*serverclient.Server, error) {
	return serverclient.New(c.Account.Server, ca, c.Now)
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
