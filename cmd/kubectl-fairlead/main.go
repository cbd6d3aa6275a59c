// Command kubectl-fairlead is the kubectl plugin and exec credential helper.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/browser"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/version"
)

// Exit codes; scripts rely on them.
const (
	exitFailed     = 1
	exitUsage      = 2
	exitNeedSignIn = 3
	exitRefused    = 4
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	if err.Error() != "" {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(exitCode(err))
}

type usageError struct{ error }

// codeError ends the program with a code of another one, which has said why.
type codeError struct{ code int }

// Error is empty: all is said.
func (codeError) Error() string { return "" }

func exitCode(err error) int {
	if c, ok := errors.AsType[codeError](err); ok {
		return c.code
	}
	if _, ok := errors.AsType[*session.NeedSignInError](err); ok {
		return exitNeedSignIn
	}
	if _, ok := errors.AsType[*serverclient.RefusedError](err); ok {
		return exitRefused
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// global are the flags of every command.
type global struct{ profile string }

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "kubectl-fairlead", Short: "Sign in once, use kubectl with every cluster you may use",
		Long: "Sign in once, use kubectl with every cluster you may use.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 wrong usage, 3 somebody has to sign in, 4 refused by the server.\n" +
			"With CI=true nobody is asked anything and no browser is opened.",
		Version: version.String(), SilenceUsage: true, SilenceErrors: true,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl fairlead"},
	}
	g := &global{}
	root.PersistentFlags().StringVar(&g.profile, "profile", os.Getenv("FAIRLEAD_PROFILE"), "name of one of several accounts at a server (or FAIRLEAD_PROFILE)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		g.loginCommand(), g.logoutCommand(), g.statusCommand(), g.clustersCommand(), g.useCommand(), g.kubeconfigCommand(), g.eachCommand(),
		g.doctorCommand(), g.getTokenCommand(), versionCommand(), manCommand(),
	)
	addCompletion(root)
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version.String())
			return err
		},
	}
}

// cacheDir is the person's own; FAIRLEAD_CACHE_DIR moves it.
func cacheDir() (string, error) {
	if dir := os.Getenv("FAIRLEAD_CACHE_DIR"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	return filepath.Join(dir, "fairlead"), nil
}

// profileName is what a profile may be called: it becomes part of names of contexts.
var profileName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// newClient makes a client for a server. FAIRLEAD_KEYRING=off keeps the refresh
// token in a file even where there is a keyring.
func (g *global) newClient(cmd *cobra.Command, server string) (*session.Client, error) {
	if g.profile != "" && !profileName.MatchString(g.profile) {
		return nil, usageError{fmt.Errorf("--profile %q: want lower-case letters, digits and dashes, such as work", g.profile)}
	}
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	account := cache.Account{Server: strings.TrimSuffix(server, "/"), Profile: g.profile}
	c, err := cache.New(dir, account, os.Getenv("FAIRLEAD_KEYRING") != "off")
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return &session.Client{
		Account: account, Cache: c, Now: time.Now, MaySignIn: os.Getenv("CI") != "true",
		Ask: browser.Config{Host: host, Out: cmd.ErrOrStderr(), Way: browser.Choose(), Open: browser.Open(os.Getenv("BROWSER")), In: cmd.InOrStdin()},
	}, nil
}

// clientFor makes a client for the server that the arguments name or, without one, for the
// only one that there is a session for.
func (g *global) clientFor(cmd *cobra.Command, args []string) (*session.Client, error) {
	server, err := g.onlyServer(args)
	if err != nil {
		return nil, err
	}
	return g.newClient(cmd, server)
}

// mine is clientFor, with what its person may use.
func (g *global) mine(cmd *cobra.Command, args []string) (*session.Client, apitypes.Clusters, error) {
	c, err := g.clientFor(cmd, args)
	if err != nil {
		return nil, apitypes.Clusters{}, err
	}
	list, err := c.Clusters(cmd.Context())
	return c, list, err
}

func (g *global) onlyServer(args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	accounts, err := g.accounts()
	if err != nil {
		return "", err
	}
	switch len(accounts) {
	case 0:
		return "", errNobody()
	case 1:
		g.profile = accounts[0].Profile
		return accounts[0].Server, nil
	}
	var names []string
	for _, a := range accounts {
		names = append(names, a.String())
	}
	return "", usageError{errors.New("there are several sign-ins; name a server, or a --profile: " + strings.Join(names, ", "))}
}

// accounts are those that somebody is signed in with: of the profile, when one is named.
func (g *global) accounts() ([]cache.Account, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	all, err := cache.Accounts(dir)
	if err != nil || g.profile == "" {
		return all, err
	}
	var mine []cache.Account
	for _, a := range all {
		if a.Profile == g.profile {
			mine = append(mine, a)
		}
	}
	return mine, nil
}

func errNobody() error {
	return &session.NeedSignInError{Text: "You are not signed in. Run: kubectl fairlead login https://YOUR-SERVER"}
}
