package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/browser"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// SignInOptions are options of a sign-in.
type SignInOptions struct {
	// CA holds certificate authorities to trust for the server in PEM; empty means those of the
	// system.
	CA string
	// SetupCode is a code from the page of the user's clusters. With it no browser opens.
	SetupCode secret.Value
}

// SignIn signs the user in now, even right after an unfinished sign-in.
func (c *Client) SignIn(ctx context.Context, opts SignInOptions) (*cache.Session, error) {
	if c.NoPrompt != "" && opts.SetupCode.Empty() {
		return nil, c.signInRequired("The sign-in can't start: " + c.NoPrompt)
	}
	unlock, locked, err := c.lock(ctx)
	if err != nil {
		return nil, err
	}
	if !locked {
		return nil, errors.New("another sign-in is waiting in your browser. Finish it there, or stop the other command, and run this one again")
	}
	defer unlock()
	return c.signInLocked(ctx, opts)
}

// promptLocked signs the user in, unless the user can't be asked, or did not finish the last
// sign-in. The caller holds the lock.
func (c *Client) promptLocked(ctx context.Context, reason string) (*cache.Session, error) {
	if c.NoPrompt != "" {
		return nil, c.signInRequired(reason)
	}
	if attempt, recent := c.Cache.Attempt(c.Now(), retryInterval); recent {
		failure := attempt.Failure
		if failure == "" {
			failure = "The last sign-in was not finished."
		}
		return nil, c.signInRequired(reason + " " + failure)
	}
	fmt.Fprintln(c.Browser.Out, reason)
	return c.signInLocked(ctx, SignInOptions{})
}

func (c *Client) signInLocked(ctx context.Context, opts SignInOptions) (*cache.Session, error) {
	server, err := c.server(opts.CA)
	if err != nil {
		return nil, err
	}
	tokens, err := c.requestTokensLocked(ctx, server, opts)
	if err != nil {
		return nil, err
	}
	c.Cache.ClearAttempt()
	s := &cache.Session{AccessToken: tokens.AccessToken, AccessExpires: tokens.Expires, RefreshToken: tokens.RefreshToken, CA: opts.CA}
	if err := c.Cache.SaveSession(s); err != nil {
		return nil, err
	}
	list, err := server.Clusters(ctx, s.AccessToken)
	if err != nil {
		return nil, err
	}
	s.User, s.Clusters, s.SignInEnds = list.User, list.Clusters, list.SignInEnds
	return s, c.Cache.SaveSession(s)
}

// requestTokensLocked exchanges the setup code, or asks the user to sign in.
func (c *Client) requestTokensLocked(ctx context.Context, server *serverclient.Server, opts SignInOptions) (serverclient.Tokens, error) {
	if !opts.SetupCode.Empty() {
		return server.ExchangeSetupCode(ctx, opts.SetupCode, c.Browser.Host)
	}
	attempt := cache.Attempt{Started: c.Now()}
	if err := c.Cache.SaveAttempt(attempt); err != nil {
		return serverclient.Tokens{}, err
	}
	cfg := c.Browser
	cfg.Server, cfg.Timeout = server, signInTimeout
	tokens, err := browser.SignIn(ctx, cfg)
	switch {
	case err == nil:
		return tokens, nil
	case ctx.Err() != nil:
		attempt.Failure = "The last sign-in was cancelled."
		err = c.signInRequired("The sign-in was cancelled.")
	default:
		attempt.Failure = "The last sign-in failed" + reasonOf(err)
		err = c.signInRequired("The sign-in failed" + reasonOf(err))
	}
	return serverclient.Tokens{}, errors.Join(err, c.Cache.SaveAttempt(attempt))
}

// reasonOf formats an error after "The sign-in failed".
func reasonOf(err error) string {
	if r, ok := errors.AsType[*serverclient.RefusedError](err); ok {
		return ". " + r.Text
	}
	return ": " + err.Error() + "."
}
