// Command fairlead-proxy runs the impersonating proxy in front of one cluster's API server.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
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
		fmt.Fprintln(os.Stderr, errorText(err))
		os.Exit(1) //nolint:gocritic // the program ends, so stop has nothing left to do
	}
}

func errorText(err error) string {
	if faults, ok := errors.AsType[strictyaml.FaultErrors](err); ok {
		return fmt.Sprintf("The configuration has %d error(s):\n%s", len(faults), faults.Error())
	}
	return "fairlead-proxy: " + err.Error()
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "fairlead-proxy", Short: "Impersonating proxy that accepts Fairlead tokens for one Kubernetes cluster",
		Version: version.String(), SilenceUsage: true, SilenceErrors: true,
	}
	source := &configSource{}
	root.PersistentFlags().StringVarP(&source.file, "config", "c", "fairlead-proxy.yaml", "configuration file")
	root.PersistentFlags().StringVar(&source.server, "server", "", "address of the Fairlead server, if the file does not set server.url")
	var code string
	serve := &cobra.Command{
		Use: "serve", Short: "Run the proxy", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := source.load()
			if err != nil {
				return err
			}
			a, err := newApp(cmd.Context(), cfg, code, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			ln, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", cfg.Listen)
			if err != nil {
				return fmt.Errorf("listening on %s: %w", cfg.Listen, err)
			}
			return a.run(cmd.Context(), ln)
		},
	}
	serve.Flags().StringVar(&code, "enrol", os.Getenv("FAIRLEAD_ENROL_CODE"), "one-time enrolment code from the cluster's page, for the first start (default: FAIRLEAD_ENROL_CODE)")
	root.AddCommand(serve, newRecordingCommand(source), &cobra.Command{
		Use: "validate", Short: "List every error in the configuration file", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := source.load(); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is valid.\n", source.file)
			return err
		},
	})
	return root
}
