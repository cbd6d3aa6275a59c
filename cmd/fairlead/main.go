// Command fairlead runs the OpenID Connect provider with its portal and admin pages, and the commands that operate it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/internal/strictyaml"
	"github.com/fairlead-auth/fairlead/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, explain(err))
		os.Exit(1) //nolint:gocritic // the program ends, so stop has nothing left to do
	}
}

// explain formats an error for the terminal.
func explain(err error) string {
	if faults, ok := errors.AsType[strictyaml.FaultErrors](err); ok {
		return fmt.Sprintf("The configuration file has %d error(s):\n%s", len(faults), faults.Error())
	}
	return "fairlead: " + err.Error()
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "fairlead",
		Short:         "One sign-in that leads to every Kubernetes cluster",
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	var file string
	root.PersistentFlags().StringVarP(&file, "config", "c", "fairlead.yaml", "configuration file")
	root.AddCommand(serveCommand(&file), configCommand(&file), clusterCommand(&file), localUserCommand(&file), userCommand(&file),
		clientCommand(&file), keysCommand(&file), adminCommand(&file), dataKeyCommand())
	return root
}
