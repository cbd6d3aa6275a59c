// Package session gets tokens for clusters: from the cache, with the session's access and refresh tokens, or by a
// sign-in in the browser. All processes of a user share one lock, so that many calls of kubectl at once refresh
// once and open one browser tab. After an unfinished sign-in it opens no further tab for ten minutes.
package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/browser"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/workload"
)

const (
	// minTokenLife is how long a returned token is valid at least.
	minTokenLife = time.Minute
	// minAccessLife is how long an access token must be valid to be used.
	minAccessLife = 20 * time.Second
	// lockTimeout is how long a process waits for the lock before it looks at the cache again.
	lockTimeout = 15 * time.Second
	// lockNotice is how long it waits before it tells the user.
	lockNotice = time.Second
	// maxLockWait is how long it waits for the lock in all, if no sign-in is waiting.
	maxLockWait = time.Minute
	// signInTimeout is how long the user has to sign in.
	signInTimeout = 3 * time.Minute
	// retryInterval is how long after an unfinished sign-in no new one starts by itself.
	retryInterval = 10 * time.Minute
)

// Client gets tokens for one account at a server.
type Client struct {
	Account cache.Account
	Cache   *cache.Cache
	Now     func() time.Time
	// NoPrompt says why the user can't be asked to sign in. It is empty if they can.
	NoPrompt string
	// Browser configures a sign-in. The client sets Server and Timeout.
	Browser browser.Config
	// Messages shows messages to a waiting user. It may be nil.
	Messages io.Writer
}

// SignInRequiredError means that the user must sign in. Its last line is the command to run.
type SignInRequiredError struct{ Text string }

// Error returns the text.
func (e *SignInRequiredError) Error() string { return e.Text }

// LoginCommand is the command that signs the account in.
func LoginCommand(account cache.Account) string {
	command := "kubectl fairlead login " + account.Server
	if account.Profile != "" {
		command += " --profile " + account.Profile
	}
	return command
}

// signInRequired returns a SignInRequiredError with a reason.
func (c *Client) signInRequired(reason string) error {
	return &SignInRequiredError{Text: reason + "\nRun: " + LoginCommand(c.Account)}
}

// Token returns a token for a cluster. It asks the user to sign in if there is no session.
func (c *Client) Token(ctx context.Context, cluster string) (cache.Token, error) {
	start := c.Now()
	for {
		if t, ok := c.Cache.Token(cluster, c.Now(), minTokenLife); ok {
			return t, nil
		}
		unlock, locked, err := c.lock(ctx)
		if err != nil {
			return cache.Token{}, err
		}
		if locked {
			defer unlock()
			return c.tokenLocked(ctx, cluster)
		}
		if attempt, recent := c.Cache.Attempt(c.Now(), signInTimeout); recent && attempt.Failure == "" {
			return cache.Token{}, c.errSignInPending()
		}
		if c.Now().Sub(start) > maxLockWait {
			return cache.Token{}, errors.New("another kubectl has locked the session for more than a minute. Wait for it or stop it, and run the command again")
		}
	}
}

// lock locks the session, and tells the user if it has to wait. locked is false after
// lockTimeout.
func (c *Client) lock(ctx context.Context) (unlock func(), locked bool, err error) {
	short, cancel := context.WithTimeout(ctx, lockNotice)
	defer cancel()
	if unlock, locked, err = c.Cache.Lock(short); locked || err != nil {
		return unlock, locked, err
	}
	if c.Messages != nil {
		fmt.Fprintf(c.Messages, "Waiting up to %s for another kubectl, which signs in or renews the session.\n", lockTimeout)
	}
	long, cancel := context.WithTimeout(ctx, lockTimeout-lockNotice)
	defer cancel()
	return c.Cache.Lock(long)
}

func (c *Client) errSignInPending() error {
	return c.signInRequired("You are not signed in: another sign-in is waiting in your browser. Finish it there, or start again.")
}

// WorkloadToken exchanges a workload's token for a token for a cluster. It caches nothing,
// because the next call may come from another workload.
func (c *Client) WorkloadToken(ctx context.Context, cluster string, source *workload.Source) (cache.Token, error) {
	server, err := c.server("")
	if err != nil {
		return cache.Token{}, err
	}
	own, err := source.Token(ctx)
	if err != nil {
		return cache.Token{}, err
	}
	tokens, err := server.ExchangeWorkloadToken(ctx, own, cluster)
	return cache.Token{Token: tokens.AccessToken.Reveal(), Expires: tokens.Expires}, err
}

// tokenLocked gets a token for a cluster. The caller holds the lock.
func (c *Client) tokenLocked(ctx context.Context, cluster string) (cache.Token, error) {
	// Another process may have got the token while this one waited for the lock.
	if t, ok := c.Cache.Token(cluster, c.Now(), minTokenLife); ok {
		return t, nil
	}
	s, err := c.sessionLocked(ctx)
	if err != nil {
		return cache.Token{}, err
	}
	server, err := c.server(s.CA)
	if err != nil {
		return cache.Token{}, err
	}
	tokens, err := c.exchange(ctx, server, s, cluster)
	if serverclient.SessionEnded(err) {
		// The access token was revoked; the refresh token may still be valid.
		s.AccessExpires = time.Time{}
		if s, err = c.refreshLocked(ctx, server, s); err != nil {
			return cache.Token{}, err
		}
		tokens, err = c.exchange(ctx, server, s, cluster)
	}
	if err != nil {
		return cache.Token{}, err
	}
	if warning := server.ClockWarning(); warning != "" {
		fmt.Fprintln(c.Browser.Out, "Warning: "+warning+" Until then a cluster may refuse your token.")
	}
	t := cache.Token{Token: tokens.AccessToken.Reveal(), Expires: tokens.Expires}
	return t, c.Cache.SaveToken(cluster, t)
}

// sessionLocked returns a session with a valid access token. The caller holds the lock.
func (c *Client) sessionLocked(ctx context.Context) (*cache.Session, error) {
	s := c.Cache.Session()
	if s == nil {
		return c.promptLocked(ctx, "You are not signed in to "+c.Account.Server+".")
	}
	if s.AccessExpires.Sub(c.Now()) > minAccessLife {
		return s, nil
	}
	server, err := c.server(s.CA)
	if err != nil {
		return nil, err
	}
	return c.refreshLocked(ctx, server, s)
}

// refreshLocked renews the session with its refresh token. The caller holds the lock.
func (c *Client) refreshLocked(ctx context.Context, server *serverclient.Server, s *cache.Session) (*cache.Session, error) {
	tokens, err := server.Refresh(ctx, s.RefreshToken)
	if serverclient.SessionEnded(err) {
		reason := err.Error()
		if err := c.Cache.Clear(); err != nil {
			return nil, err
		}
		return c.promptLocked(ctx, reason)
	}
	if err != nil {
		return nil, err
	}
	renewed := *s
	renewed.AccessToken, renewed.AccessExpires, renewed.RefreshToken = tokens.AccessToken, tokens.Expires, tokens.RefreshToken
	return &renewed, c.Cache.SaveSession(&renewed)
}

// Session returns a session with a valid access token. It does not ask the user to sign in.
func (c *Client) Session(ctx context.Context) (*cache.Session, error) {
	return c.session(ctx, false)
}

// session renews the access token if it has expired, or if the server has refused it.
func (c *Client) session(ctx context.Context, refused bool) (*cache.Session, error) {
	unlock, locked, err := c.lock(ctx)
	if err != nil {
		return nil, err
	}
	if !locked {
		return nil, c.errSignInPending()
	}
	defer unlock()
	silent := *c
	silent.NoPrompt = "this command does not ask"
	if s := c.Cache.Session(); refused && s != nil {
		server, err := c.server(s.CA)
		if err != nil {
			return nil, err
		}
		return silent.refreshLocked(ctx, server, s)
	}
	return silent.sessionLocked(ctx)
}

// SignOut ends the session at the server and removes it here. If the server can't be reached,
// it still removes the session here, and returns an error.
func (c *Client) SignOut(ctx context.Context) error {
	s := c.Cache.Session()
	if s == nil {
		c.Cache.ClearAttempt()
		return nil
	}
	server, err := c.server(s.CA)
	if err != nil {
		return err
	}
	errRevoke := server.Revoke(ctx, s.RefreshToken)
	if errRevoke != nil {
		errRevoke = fmt.Errorf("signed out on this computer, but not at the server, because the request failed: %w. End the device on the account page: %s/account", errRevoke, c.Account.Server)
	}
	return errors.Join(c.Cache.Clear(), errRevoke)
}

// SignOutEverywhere ends every sign-in and device of the user at the server, and the session
// here.
func (c *Client) SignOutEverywhere(ctx context.Context) error {
	s, err := c.Session(ctx)
	if err != nil {
		return err
	}
	server, err := c.server(s.CA)
	if err != nil {
		return err
	}
	if err := server.SignOutEverywhere(ctx, s.AccessToken); err != nil {
		return err
	}
	return c.Cache.Clear()
}

func (c *Client) server(ca string) (*serverclient.Server, error) {
	return serverclient.New(c.Account.Server, ca, c.Now)
}
