// Command kubectl-fairlead is a kubectl plugin and exec credential plugin. It signs the user in
// to a Fairlead server, gets tokens for clusters, and keeps the contexts in kubeconfigs up to
// date.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
	"github.com/fairlead-auth/fairlead/internal/version"
)

func main() {
	os.Exit(run())
}

// run executes the command line and returns the exit code.
func run() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		received := <-signals
		signal.Stop(signals) // a second Ctrl-C ends the program at once
		cancel(signalError{received})
	}()
	command, err := newCommand().ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if s, ok := errors.AsType[signalError](context.Cause(ctx)); ok {
		if terminal.IsTerminal(os.Stderr) {
			fmt.Fprintln(os.Stderr) // after the "^C" that the terminal shows
		}
		fmt.Fprintln(os.Stderr, cancelledText(command, err))
		return s.exitCode()
	}
	if text := errorText(err); text != "" {
		fmt.Fprintln(os.Stderr, text)
	}
	return exitCode(err)
}

// signalError is the cause of a context that a signal has cancelled.
type signalError struct{ os.Signal }

func (s signalError) Error() string { return s.String() }

// exitCode follows the convention of shells: 130 for Ctrl-C.
func (s signalError) exitCode() int {
	if s.Signal == syscall.SIGTERM {
		return exitTerminated
	}
	return exitCancelled
}

// cancelledText says what a signal has stopped, and what to do.
func cancelledText(command *cobra.Command, err error) string {
	if required, ok := errors.AsType[*session.SignInRequiredError](err); ok {
		return required.Text
	}
	if stopped, ok := errors.AsType[stoppedError](err); ok {
		return stopped.Error()
	}
	return "Cancelled before the command had finished.\nRun it again: " + command.CommandPath()
}

const rootLong = `Sign in once, and use kubectl with every cluster that you may use.

Without a command, it shows whether you are signed in and which commands to
use next.

Exit codes: 0 success, 1 failure, 2 wrong usage, 3 sign-in required, 4 refused
by the server, 130 cancelled with Ctrl-C.

It never asks and never opens a browser if CI=true is set, or if there is
neither a terminal nor a browser: then it ends at once with exit code 3.
NO_COLOR switches off colours and progress.`

func newCommand() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use: "kubectl-fairlead", Short: "Sign in once, and use kubectl with every cluster that you may use", Long: rootLong,
		Version: version.String(), SilenceUsage: true, SilenceErrors: true, SuggestionsMinimumDistance: 2,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl fairlead"},
		Args:        unknownCommand,
		RunE:        func(cmd *cobra.Command, _ []string) error { return a.showOverview(cmd) },
	}
	root.PersistentFlags().StringVar(&a.profile, "profile", os.Getenv("FAIRLEAD_PROFILE"), "`name` of one of several accounts at a server (or FAIRLEAD_PROFILE)")
	root.SetFlagErrorFunc(flagError)
	wrapFlags(root)
	const signIn, clusters, other = "sign-in", "clusters", "other"
	root.AddGroup(&cobra.Group{ID: signIn, Title: "Sign in:"}, &cobra.Group{ID: clusters, Title: "Clusters:"}, &cobra.Group{ID: other, Title: "More:"})
	addGroup := func(group string, commands ...*cobra.Command) {
		for _, command := range commands {
			command.GroupID = group
		}
		root.AddCommand(commands...)
	}
	addGroup(signIn, a.loginCommand(), a.logoutCommand(), a.statusCommand())
	addGroup(clusters, a.clustersCommand(), a.useCommand(), a.kubeconfigCommand(), a.eachCommand())
	addGroup(other, a.doctorCommand(), a.getTokenCommand(), versionCommand(), manCommand())
	root.SetHelpCommandGroupID(other)
	root.SetCompletionCommandGroupID(other)
	addKubectlCompletion(root)
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version.String())
			return err
		},
	}
}
