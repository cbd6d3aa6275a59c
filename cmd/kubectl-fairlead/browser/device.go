package browser

import (
	"context"
	"errors"
	"fmt"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
)

// byCode lets a person type a code on another screen, and waits for their answer.
func byCode(ctx context.Context, cfg Config) (serverclient.Grant, error) {
	code, err := cfg.Server.DeviceCode(ctx, cfg.Host)
	if err != nil {
		return serverclient.Grant{}, err
	}
	fmt.Fprintf(cfg.Out, "Sign in on any screen:\n\n  %s\n\nand type the code\n\n  %s\n\nIt is good for %d minutes. Waiting …\n", code.Address, code.UserCode, int(code.Expires.Minutes()))
	ctx, cancel := context.WithTimeout(ctx, code.Expires)
	defer cancel()
	grant, err := cfg.Server.Await(ctx, code)
	if errors.Is(err, context.DeadlineExceeded) {
		return serverclient.Grant{}, errors.New("nobody typed the code in time")
	}
	return grant, err
}
