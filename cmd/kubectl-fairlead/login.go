package main

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/browser"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

func (g *global) loginCommand() *cobra.Command {
	var opts struct {
		ca, use, code          string
		files                  fileOptions
		other, noWrite, device bool
	}
	login := &cobra.Command{
		Use: "login [SERVER]", Short: "Sign in and write a context for each of your clusters", Args: cobra.MaximumNArgs(1),
		Long: "Sign in and write a context for each of your clusters.\n\n" +
			"A browser opens. Over SSH, or where there is none, you get a code to type on another screen instead.\n" +
			"Other entries of your kubeconfig, and your current context, stay as they are.",
		Example: "  kubectl fairlead login https://login.example.com\n  kubectl fairlead login --device\n  kubectl fairlead login https://login.example.com --profile work --as-different-user",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := g.clientFor(cmd, args)
			if err != nil {
				return err
			}
			ca, err := readCA(cmd.ErrOrStderr(), opts.ca)
			if err != nil {
				return err
			}
			if ca == "" && c.Cache.Session() != nil {
				ca = c.Cache.Session().CA
			}
			server, err := serverclient.New(c.Account.Server, ca, c.Now)
			if err != nil {
				return usageError{err}
			}
			if err := server.Check(cmd.Context()); err != nil {
				return err
			}
			c.Ask.OtherUser = opts.other
			if opts.device {
				c.Ask.Way = browser.ByCode
			}
			s, err := c.SignIn(cmd.Context(), session.How{CA: ca, Code: secret.NewValue(opts.code)})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Signed in to %s as %s.\n", c.Account.Server, s.User)
			if opts.noWrite {
				return nil
			}
			if opts.use != "" {
				if opts.files.use, err = clusterID(s.Clusters, opts.use); err != nil {
					return err
				}
			}
			return g.writeContexts(cmd.ErrOrStderr(), c, opts.files, s.Clusters)
		},
	}
	login.Flags().StringVar(&opts.ca, "certificate-authority", "", "file with the authority that signed the server's certificate")
	login.Flags().StringVar(&opts.files.file, "kubeconfig", "", "file to write to instead of the usual one")
	login.Flags().StringVar(&opts.use, "use", "", "make the context of this cluster the current one")
	login.Flags().StringVar(&opts.code, "code", "", "code from the page of your clusters, instead of signing in with a browser here")
	login.Flags().BoolVar(&opts.other, "as-different-user", false, "sign in again, also when the browser is signed in")
	login.Flags().BoolVar(&opts.device, "device", false, "type a code on another screen instead of opening a browser here")
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

func (g *global) logoutCommand() *cobra.Command {
	var everywhere bool
	logout := &cobra.Command{
		Use: "logout [SERVER]", Short: "Sign this computer out; kubeconfig contexts stay", Args: cobra.MaximumNArgs(1),
		Long: "Sign this computer out: what it has is ended at the server and removed here. Contexts stay, and ask you to sign in again.\n" +
			"Tokens that were given out are good until they expire, unless the cluster's proxy ends them.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := g.clientFor(cmd, args)
			if err != nil {
				return err
			}
			if everywhere {
				err = c.SignOutEverywhere(cmd.Context())
			} else {
				err = c.SignOut(cmd.Context())
			}
			if err != nil {
				return err
			}
			where := "on this computer"
			if everywhere {
				where = "everywhere: every browser and every device of yours"
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Signed out of %s %s.\n", c.Account.Server, where)
			return nil
		},
	}
	logout.Flags().BoolVar(&everywhere, "everywhere", false, "end every browser sign-in and every device of yours at the server")
	return logout
}

// kept says where the session is.
func kept(s *cache.Session) string {
	if s != nil && s.InKeyring {
		return "the system's keyring"
	}
	return "a file that only you can read"
}
