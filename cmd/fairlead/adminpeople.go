package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/server/admin"
)

// peopleCommand returns the commands that remove users.
func peopleCommand(file *string) *cobra.Command {
	parent := &cobra.Command{Use: "people", Short: "Remove users, or return them to a connector that was created again"}
	parent.AddCommand(
		removePersonCommand(file),
		retiredCommand(file, "remove-retired", "Remove all users whose connector of this ID was deleted", "removed", (*admin.Admin).RemoveRetired),
		retiredCommand(file, "return", "Return the users of a deleted connector to the one that has its ID now", "returned", (*admin.Admin).ReturnPeople),
	)
	return parent
}

func removePersonCommand(file *string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Remove a user with all they hold, which releases the name", Args: cobra.ExactArgs(1),
		Long: "NAME is the user name in clusters. Use it when the provider gave a user a new ID, or when a local user was created again.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				user, err := a.Store.UserByName(ctx, args[0])
				if err != nil {
					return err
				}
				if err := a.RemovePerson(ctx, shell(), user.ID, reason); err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", user.KubeName)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "reason, for the audit log")
	return cmd
}

// retiredCommand returns a command that acts on the users of a deleted connector.
func retiredCommand(file *string, name, short, done string, act func(*admin.Admin, context.Context, admin.Caller, string) (int, error)) *cobra.Command {
	return &cobra.Command{
		Use: name + " CONNECTOR", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				n, err := act(a, ctx, shell(), args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d users %s\n", n, done)
				return err
			})
		},
	}
}
