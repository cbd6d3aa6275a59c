// Command kubectl-fairlead is the kubectl plugin and exec credential helper.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/browser"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/remote"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
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
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitCode(err))
	}
}

type usageError struct{ error }

func exitCode(err error) int {
	if _, ok := errors.AsType[*session.NeedSignInError](err); ok {
		return exitNeedSignIn
	}
	if _, ok := errors.AsType[*remote.RefusedError](err); ok {
		return exitRefused
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "kubectl-fairlead", Short: "Sign in once, use kubectl with every cluster you may use",
		Version: version.String(), SilenceUsage: true, SilenceErrors: true,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl fairlead"},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(loginCommand(), logoutCommand(), getTokenCommand(), kubeconfigCommand(), statusCommand(), versionCommand())
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

// newClient makes a client for a server. FAIRLEAD_KEYRING=off keeps the refresh
// token in a file even where there is a keyring.
func newClient(cmd *cobra.Command, server string) (*session.Client, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	server = strings.TrimSuffix(server, "/")
	c, err := cache.New(dir, server, os.Getenv("FAIRLEAD_KEYRING") != "off")
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return &session.Client{
		Server: server, Cache: c, Now: time.Now, Err: cmd.ErrOrStderr(), MaySignIn: os.Getenv("CI") != "true",
		Browser: browser.Config{Host: host, Open: browser.Open(os.Getenv("BROWSER"))},
	}, nil
}

// clientFor makes a client for the server that the arguments name.
func clientFor(cmd *cobra.Command, args []string) (*session.Client, error) {
	server, err := onlyServer(args)
	if err != nil {
		return nil, err
	}
	return newClient(cmd, server)
}

// onlyServer returns the given server or, without one, the only one that there
// is a session for.
func onlyServer(args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	servers, err := cache.Servers(dir)
	if err != nil {
		return "", err
	}
	switch len(servers) {
	case 0:
		return "", &session.NeedSignInError{Text: "You are not signed in. Run: kubectl fairlead login https://YOUR-SERVER"}
	case 1:
		return servers[0], nil
	}
	return "", usageError{errors.New("there are several servers; name one of them: " + strings.Join(servers, ", "))}
}
