package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauth "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/workload"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

func (g *global) getTokenCommand() *cobra.Command {
	var server, cluster string
	get := &cobra.Command{
		Use: "get-token --server URL --cluster ID", Short: "Print a credential for kubectl (called by kubectl itself)", Args: cobra.NoArgs,
		Long: "Print a credential for kubectl, as kubectl asks for it. A person is asked to sign in when there is no session. A program is not: a CI job or\n" +
			"a pod brings a token of its own platform, which is exchanged for one of the cluster. It is taken from FAIRLEAD_WORKLOAD_TOKEN, from the file\n" +
			"that FAIRLEAD_WORKLOAD_TOKEN_FILE names or, in GitHub Actions with the permission id-token: write, from GitHub. Nothing of it is kept.",
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
			program := workload.Find(os.Getenv, c.Account.Server)
			if program != nil {
				token, err := c.WorkloadToken(cmd.Context(), cluster, program)
				if err != nil {
					return err
				}
				return printCredential(cmd.OutOrStdout(), token)
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
