package main

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauth "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

func (g *global) getTokenCommand() *cobra.Command {
	var server, cluster string
	get := &cobra.Command{
		Use: "get-token --server URL --cluster ID", Short: "Print a credential for kubectl (called by kubectl itself)", Args: cobra.NoArgs,
		Example: "  kubectl fairlead get-token --server=https://login.example.com --cluster=prod",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if server == "" || cluster == "" {
				return usageError{errors.New("--server and --cluster are needed")}
			}
			// An entry says whose it is. What a shell has in FAIRLEAD_PROFILE must not make
			// it somebody else's.
			if !cmd.Flags().Changed("profile") {
				g.profile = ""
			}
			c, err := g.newClient(cmd, server)
			if err != nil {
				return err
			}
			token, err := c.Token(cmd.Context(), cluster)
			if err != nil {
				return err
			}
			if err := printCredential(cmd.OutOrStdout(), token); err != nil {
				return err
			}
			g.followLater(c)
			return nil
		},
	}
	get.Flags().StringVar(&server, "server", "", "address of the Fairlead server")
	get.Flags().StringVar(&cluster, "cluster", "", "id of the cluster")
	return get
}

// printCredential is all that ever goes to standard output here.
func printCredential(w io.Writer, t cache.Token) error {
	expires := metav1.NewTime(t.Expires.UTC().Truncate(time.Second))
	return json.NewEncoder(w).Encode(clientauth.ExecCredential{
		TypeMeta: metav1.TypeMeta{APIVersion: kubeconfig.APIVersion, Kind: "ExecCredential"},
		Status:   &clientauth.ExecCredentialStatus{Token: t.Token, ExpirationTimestamp: &expires},
	})
}
