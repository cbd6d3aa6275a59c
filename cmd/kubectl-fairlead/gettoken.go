package main

import (
	"encoding/json"
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

func (a *app) getTokenCommand() *cobra.Command {
	var server, cluster string
	get := &cobra.Command{
		Use: "get-token --server URL --cluster ID", Short: "Print a credential for kubectl (kubectl calls it)", Args: noArguments,
		Long: "Print an ExecCredential for kubectl. kubectl calls this command by itself.\n\n" +
			"It asks the user to sign in if there is no session. A workload, such as a CI\njob or a pod, is never asked: it exchanges the token of its platform for a\ntoken for the cluster. The plugin takes the platform's token from\n\n" +
			"  1. FAIRLEAD_WORKLOAD_TOKEN, which holds the token,\n  2. FAIRLEAD_WORKLOAD_TOKEN_FILE, which names a file with the token,\n  3. GitHub Actions, in a job with the permission id-token: write.\n\n" +
			"It stores no token of a workload.",
		Example: "  kubectl fairlead get-token --server=https://login.example.com --cluster=prod",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if server == "" || cluster == "" {
				return errUsage(cmd, "--server and --cluster are required.")
			}
			// The kubeconfig decides which account this is. FAIRLEAD_PROFILE in a shell must not
			// change it.
			if !cmd.Flags().Changed("profile") {
				a.profile = ""
			}
			c, err := a.newClient(cmd, server)
			if err != nil {
				return err
			}
			if source := workload.Find(os.Getenv, c.Account.Server); source != nil {
				token, err := c.WorkloadToken(cmd.Context(), cluster, source)
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
			updateInBackground(c)
			return nil
		},
	}
	get.Flags().StringVar(&server, "server", "", "`URL` of the Fairlead server")
	get.Flags().StringVar(&cluster, "cluster", "", "`id` of the cluster")
	return get
}

// printCredential writes the ExecCredential. kubectl parses standard output, so that this
// command writes nothing else to it.
func printCredential(w io.Writer, t cache.Token) error {
	expires := metav1.NewTime(t.Expires.UTC().Truncate(time.Second))
	return json.NewEncoder(w).Encode(clientauth.ExecCredential{
		TypeMeta: metav1.TypeMeta{APIVersion: kubeconfig.APIVersion, Kind: "ExecCredential"},
		Status:   &clientauth.ExecCredentialStatus{Token: t.Token, ExpirationTimestamp: &expires},
	})
}
