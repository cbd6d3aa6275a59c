package main

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/browser"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// loginOptions are the flags of the command login.
type loginOptions struct {
	caFile, use, setupCode string
	update                 updateOptions
	promptLogin, device    bool
	noKubeconfig           bool
}

func (a *app) loginCommand() *cobra.Command {
	var opts loginOptions
	login := &cobra.Command{
		Use: "login [SERVER]", Short: "Sign in, and write a context for each of your clusters", Args: optionalServer, SuggestFor: []string{"signin", "sign-in", "auth"},
		Long: "Sign in, and write a context for each of your clusters.\n\n" +
			"It opens your browser and waits up to 3 minutes. Over SSH, or where no browser\ncan be opened, it shows a code that you enter in a browser on any device.\n\n" +
			"Other entries of your kubeconfig and your current context stay unchanged.\n" +
			"SERVER is optional if you are signed in, or if your kubeconfig names one server.",
		Example: "  kubectl fairlead login https://login.example.com\n  kubectl fairlead login --device\n  kubectl fairlead login https://login.example.com --profile work --as-different-user",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.login(cmd, args, opts) },
	}
	login.Flags().StringVar(&opts.caFile, "certificate-authority", "", "PEM `file` with the certificate authority of the server")
	login.Flags().StringVar(&opts.update.file, "kubeconfig", "", "write to this `file` instead of the default one")
	login.Flags().StringVar(&opts.use, "use", "", "switch kubectl to this `cluster`")
	login.Flags().StringVar(&opts.setupCode, "code", "", "setup `code` from the page of your clusters, instead of a browser")
	login.Flags().BoolVar(&opts.promptLogin, "as-different-user", false, "sign in again, even if your browser is signed in")
	login.Flags().BoolVar(&opts.device, "device", false, "show a code to enter in a browser on any device")
	login.Flags().BoolVar(&opts.noKubeconfig, "no-kubeconfig", false, "sign in only, and write no contexts")
	return login
}

func (a *app) login(cmd *cobra.Command, args []string, opts loginOptions) error {
	c, err := a.loginClient(cmd, args)
	if err != nil {
		return err
	}
	ca, err := readCA(cmd.ErrOrStderr(), opts.caFile)
	if err != nil {
		return err
	}
	if previous := c.Cache.Session(); ca == "" && previous != nil {
		ca = previous.CA
	}
	server, err := serverclient.New(c.Account.Server, ca, c.Now)
	if err != nil {
		return usageError{err}
	}
	progress := messages(cmd).Progress("Asking " + c.Account.Server)
	err = server.Check(cmd.Context())
	progress.Stop()
	if err != nil {
		return err
	}
	c.Browser.PromptLogin = opts.promptLogin
	if opts.device {
		c.Browser.Method = browser.DeviceCode
		if c.NoPrompt == errNoTerminal {
			c.NoPrompt = ""
		}
	}
	s, err := c.SignIn(cmd.Context(), session.SignInOptions{CA: ca, SetupCode: secret.NewValue(opts.setupCode)})
	if err != nil {
		return err
	}
	errs := messages(cmd)
	fmt.Fprintf(errs, "%s to %s as %s.\n", errs.Good("Signed in"), c.Account.Server, s.User)
	if opts.noKubeconfig {
		return nil
	}
	if opts.use != "" {
		if opts.update.currentCluster, err = clusterID(s.Clusters, opts.use); err != nil {
			return err
		}
	}
	return updateContexts(errs, c, opts.update, s.Clusters)
}

// loginClient returns the client for the server in the arguments, for the only account that is
// signed in, or for the only account that the kubeconfigs name.
func (a *app) loginClient(cmd *cobra.Command, args []string) (*session.Client, error) {
	if len(args) == 0 {
		signedIn, err := a.accounts()
		if err != nil {
			return nil, err
		}
		if configured := a.configuredAccounts(); len(signedIn) == 0 && len(configured) == 1 {
			a.profile = configured[0].Profile
			return a.newClient(cmd, configured[0].Server)
		}
	}
	return a.clientFor(cmd, args)
}

// readCA reads a certificate, and shows its fingerprint so that the user can compare it.
func readCA(w io.Writer, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // named by the user
	if err != nil {
		return "", usageError{fmt.Errorf("the certificate can't be read: %w. Check the path after --certificate-authority", err)}
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return "", usageError{fmt.Errorf("%s holds no certificate in PEM format. Choose a file that begins with -----BEGIN CERTIFICATE-----", file)}
	}
	sum := sha256.Sum256(block.Bytes)
	fmt.Fprintf(w, "Trusting the certificate authority with the SHA-256 fingerprint %X for this server.\n", sum)
	return string(text), nil
}

func (a *app) logoutCommand() *cobra.Command {
	var everywhere bool
	logout := &cobra.Command{
		Use: "logout [SERVER]", Short: "Sign out on this computer; contexts stay", Args: optionalServer, SuggestFor: []string{"signout", "sign-out"},
		Long: "Sign out on this computer: end the session at the server, and remove it here.\nContexts stay; kubectl asks you to sign in again when you use them.\n\n" +
			"Tokens that kubectl already has stay valid until they expire, unless the\ncluster's proxy refuses them earlier.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.clientFor(cmd, args)
			if err != nil {
				return err
			}
			signOut, where := c.SignOut, "on this computer"
			if everywhere {
				signOut, where = c.SignOutEverywhere, "everywhere: in every browser and on every device"
			}
			if err := signOut(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Signed out of %s %s.\n", c.Account.Server, where)
			return nil
		},
	}
	logout.Flags().BoolVar(&everywhere, "everywhere", false, "end every session of yours at the server: every browser and every device")
	return logout
}
