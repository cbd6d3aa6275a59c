package main

import (
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauth "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/remote"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
	"github.com/fairlead-auth/fairlead/internal/wire"
)

func getTokenCommand() *cobra.Command {
	var server, cluster string
	get := &cobra.Command{
		Use: "get-token --server URL --cluster ID", Short: "Print a credential for kubectl (called by kubectl itself)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if server == "" || cluster == "" {
				return usageError{errors.New("--server and --cluster are needed")}
			}
			c, err := newClient(cmd, server)
			if err != nil {
				return err
			}
			token, err := c.Token(cmd.Context(), cluster)
			if err != nil {
				return err
			}
			return printCredential(cmd.OutOrStdout(), token)
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

func loginCommand() *cobra.Command {
	var opts struct {
		ca, kubeconfig string
		other, noWrite bool
	}
	login := &cobra.Command{
		Use: "login [SERVER]", Short: "Sign in and write a context for each of your clusters", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := onlyServer(args)
			if err != nil {
				return err
			}
			ca, err := readCA(cmd.ErrOrStderr(), opts.ca)
			if err != nil {
				return err
			}
			c, err := newClient(cmd, server)
			if err != nil {
				return err
			}
			if ca == "" && c.Cache.Session() != nil {
				ca = c.Cache.Session().CA
			}
			remoteServer, err := remote.New(c.Server, ca, c.Now)
			if err != nil {
				return usageError{err}
			}
			if err := remoteServer.Check(cmd.Context()); err != nil {
				return err
			}
			c.Browser.OtherUser = opts.other
			s, err := c.SignIn(cmd.Context(), ca)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Signed in to %s as %s.\n", c.Server, s.User)
			if opts.noWrite {
				return nil
			}
			return writeContexts(cmd.ErrOrStderr(), opts.kubeconfig, c.Server, s.Clusters)
		},
	}
	login.Flags().StringVar(&opts.ca, "certificate-authority", "", "file with the authority that signed the server's certificate")
	login.Flags().StringVar(&opts.kubeconfig, "kubeconfig", "", "file to write to instead of the usual one")
	login.Flags().BoolVar(&opts.other, "as-different-user", false, "sign in again, also when the browser is signed in")
	login.Flags().BoolVar(&opts.noWrite, "no-kubeconfig", false, "only sign in, write no contexts")
	return login
}

// readCA reads a certificate and says its fingerprint, so that a person can
// compare it.
func readCA(w io.Writer, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // the person names the file
	if err != nil {
		return "", fmt.Errorf("reading certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return "", usageError{fmt.Errorf("%s holds no certificate in PEM form", file)}
	}
	sum := sha256.Sum256(block.Bytes)
	fmt.Fprintf(w, "Trusting the authority with the SHA-256 fingerprint %X for this server.\n", sum)
	return string(text), nil
}

func logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout [SERVER]", Short: "Sign this computer out; kubeconfig contexts stay", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := clientFor(cmd, args)
			if err != nil {
				return err
			}
			if err := c.SignOut(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Signed out of %s on this computer.\n", c.Server)
			return nil
		},
	}
}

func kubeconfigCommand() *cobra.Command {
	var file string
	var toOutput bool
	cmd := &cobra.Command{
		Use: "kubeconfig [SERVER]", Short: "Write, or print, a context for each of your clusters", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := clientFor(cmd, args)
			if err != nil {
				return err
			}
			list, err := c.Clusters(cmd.Context())
			if err != nil {
				return err
			}
			if !toOutput {
				return writeContexts(cmd.ErrOrStderr(), file, c.Server, list.Clusters)
			}
			text, err := kubeconfig.Render(list.Clusters, kubeconfig.WithPlugin(kubeconfig.Plugin, c.Server))
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "kubeconfig", "", "file to write to instead of the usual one")
	cmd.Flags().BoolVar(&toOutput, "print", false, "print a file instead of writing to yours")
	return cmd
}

func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status [SERVER]", Short: "Say who is signed in and which clusters that opens", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := clientFor(cmd, args)
			if err != nil {
				return err
			}
			list, err := c.Clusters(cmd.Context())
			if err != nil {
				return err
			}
			return printStatus(cmd.OutOrStdout(), c.Server, list, c.Cache.Session())
		},
	}
}

func printStatus(w io.Writer, server string, list wire.Clusters, s *cache.Session) error {
	where := "a file that only you can read"
	if s != nil && s.InKeyring {
		where = "the system's keyring"
	}
	fmt.Fprintf(w, "Server    %s\nUser      %s\nSession   kept in %s\n\n", server, list.User, where)
	if len(list.Clusters) == 0 {
		_, err := fmt.Fprintf(w, "No cluster is shared with you. Whom to ask: %s/\n", server)
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "CONTEXT\tCLUSTER\tSERVER")
	for _, c := range list.Clusters {
		fmt.Fprintln(tw, strings.Join([]string{c.Context, c.Name, c.Server}, "\t"))
	}
	return tw.Flush()
}
