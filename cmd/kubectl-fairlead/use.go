package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) useCommand() *cobra.Command {
	var file, server string
	use := &cobra.Command{
		Use: "use CLUSTER", Short: "Switch kubectl to a cluster", SuggestFor: []string{"switch", "use-context", "context"},
		Long:              "Switch kubectl to a cluster: make the cluster's context the current one. Name the\ncluster by its id, its name or its context, even if you renamed the context.",
		Example:           "  kubectl fairlead use prod-eu",
		ValidArgsFunction: a.completeClusters,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errUsage(cmd, fmt.Sprintf("%q takes one argument, the name of a cluster, but got %d.", cmd.CommandPath(), len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, list, err := a.clientWithClusters(cmd, serverArgument(server))
			if err != nil {
				return err
			}
			opts := updateOptions{file: file, brief: true}
			if opts.currentCluster, err = clusterID(list.Clusters, args[0]); err != nil {
				return err
			}
			return updateContexts(messages(cmd), c, opts, list.Clusters)
		},
	}
	use.Flags().StringVar(&file, "kubeconfig", "", "write to this `file` instead of the default one")
	addServerFlag(use, &server)
	return use
}

// addServerFlag adds --server to a command whose arguments are not servers.
func addServerFlag(cmd *cobra.Command, server *string) {
	cmd.Flags().StringVar(server, "server", "", "`URL` of the Fairlead server, if you are signed in to several")
}

// serverArgument returns --server as the argument of clientFor.
func serverArgument(server string) []string {
	if server == "" {
		return nil
	}
	return []string{server}
}
