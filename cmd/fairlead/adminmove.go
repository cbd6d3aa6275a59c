package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/server/admin"
)

func moveCommand(file *string) *cobra.Command {
	var reason string
	var dry bool
	cmd := &cobra.Command{
		Use: "move KIND ID POSITION", Short: "Move a connector, rule or workload to another place in its order", Args: cobra.ExactArgs(3),
		Long: "POSITION counts from 1. The first workload that matches a token decides which workload it is.",
		RunE: func(cmd *cobra.Command, args []string) error {
			position, err := strconv.Atoi(args[2])
			if err != nil || position < 1 {
				return errors.New("the position must be a number from 1. Run `fairlead admin get KIND` for the order")
			}
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				item, err := a.Entry(ctx, shell(), args[0], args[1])
				if err != nil {
					return err
				}
				return commit(ctx, cmd.OutOrStdout(), a, admin.Draft{Kind: args[0], ID: item.ID, Version: item.Version, Position: position, Reason: reason}, dry)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "reason for the change, for the history")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the effect and change nothing")
	return cmd
}
