package browser

import (
	"context"
	"errors"
	"fmt"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
)

// signInWithDeviceCode shows a code, which the user enters in a browser on any device, and
// waits for the user's answer.
func signInWithDeviceCode(ctx context.Context, cfg Config) (serverclient.Tokens, error) {
	code, err := cfg.Server.RequestDeviceCode(ctx, cfg.Host)
	if err != nil {
		return serverclient.Tokens{}, err
	}
	timeout := min(code.Lifetime, cfg.Timeout)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	fmt.Fprintf(cfg.Out, "To sign in, open this page on any device and enter the code:\n\n  %s\n\n  %s\n\nWaiting up to %s for you to enter it. Press Ctrl-C to cancel.\n",
		code.VerificationURI, cfg.Emphasize(code.UserCode), minutes(timeout))
	tokens, err := cfg.Server.PollTokens(ctx, code)
	if errors.Is(err, context.DeadlineExceeded) {
		return serverclient.Tokens{}, fmt.Errorf("you did not enter the code within %s", minutes(timeout))
	}
	return tokens, err
}
