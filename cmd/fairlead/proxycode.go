package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/server/admin"
)

// proxyCodeCommand creates an enrolment code.
func proxyCodeCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "proxy-code CLUSTER", Short: "Print a one-time code that enrols a proxy for a cluster; valid for one hour", Args: cobra.ExactArgs(1),
		Example: "  fairlead-proxy serve --enrol $(fairlead admin proxy-code prod-eu)",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				code, err := a.EnrolmentCode(ctx, shell(), args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), code)
				return err
			})
		},
	}
}
