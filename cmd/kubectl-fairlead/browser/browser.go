// Package browser signs a user in through a web browser: with the authorization code flow and
// a loopback redirect (RFC 8252), or with the device authorization grant (RFC 8628). If the
// browser runs on another computer, the user can paste the address of the redirect.
package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
)

// Config configures a sign-in.
type Config struct {
	Server *serverclient.Server
	// Host is the name of this computer, for the list of devices.
	Host string
	// PromptLogin makes the user sign in again, even if the browser is signed in.
	PromptLogin bool
	// Open opens a URL in the browser.
	Open func(ctx context.Context, address string) error
	// Method is the method of the sign-in; empty is Loopback.
	Method Method
	// Timeout is how long the user has to sign in.
	Timeout time.Duration
	// Out shows messages to the user; Emphasize, if set, formats what the user must copy.
	Out       io.Writer
	Emphasize func(text string) string
	// In is read for a pasted address if it is a terminal.
	In io.Reader
}

// ErrCancelled means that the user cancelled the sign-in on the page.
var ErrCancelled = errors.New("you cancelled it in the browser")

// SignIn waits until the user has signed in, the timeout is over, or ctx ends. Errors are a
// serverclient.RefusedError with a message for the user, or complete the sentence "The sign-in
// failed: …".
func SignIn(ctx context.Context, cfg Config) (serverclient.Tokens, error) {
	limited, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	if cfg.Emphasize == nil {
		cfg.Emphasize = func(text string) string { return text }
	}
	if cfg.Method == DeviceCode {
		return signInWithDeviceCode(limited, cfg)
	}
	return signInWithLoopback(limited, cfg)
}

// minutes formats a duration for messages: "3 minutes".
func minutes(d time.Duration) string {
	n := max(int(d.Round(time.Minute).Minutes()), 1)
	if n == 1 {
		return "1 minute"
	}
	return fmt.Sprintf("%d minutes", n)
}
