package main

import (
	"github.com/spf13/cobra"
)

func (g *global) useCommand() *cobra.Command {
	var file string
	use := &cobra.Command{
		Use: "use CLUSTER", Short: "Make the context of a cluster the current one", Args: cobra.ExactArgs(1),
		Long:              "Make the context of a cluster the current one, whatever you called it. The cluster is named by its id, its name or its context.",
		Example:           "  kubectl fairlead use prod-eu",
		ValidArgsFunction: g.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, list, err := g.mine(cmd, nil)
			if err != nil {
				return err
			}
			opts := fileOptions{file: file}
			if opts.use, err = clusterID(list.Clusters, args[0]); err != nil {
				return err
			}
			return g.writeContexts(cmd.ErrOrStderr(), c, opts, list.Clusters)
		},
	}
	use.Flags().StringVar(&file, "kubeconfig", "", "file to write to instead of the usual one")
	return use
}
