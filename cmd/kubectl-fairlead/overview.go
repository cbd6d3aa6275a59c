package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
)

// nextCommand is a command that helps the user in the current state.
type nextCommand struct{ command, purpose string }

// showOverview shows the status and the three most useful next commands.
func (a *app) showOverview(cmd *cobra.Command) error {
	out := output(cmd)
	accounts, err := a.accounts()
	if err != nil {
		return err
	}
	if len(accounts) == 0 {
		configured := a.configuredAccounts()
		fmt.Fprintln(out, "You are not signed in.")
		if len(configured) == 0 {
			fmt.Fprintln(out, "Your kubeconfig names no Fairlead server. Ask your admin for its address.")
		}
		printNext(out, nextSignedOut(configured))
		return codeError{exitSignInRequired}
	}
	shown, err := a.showAccounts(cmd, accounts, showSummary)
	if required, ok := errors.AsType[*session.SignInRequiredError](err); ok {
		fmt.Fprintln(out, firstLine(required.Text))
		printNext(out, nextSignedOut(accounts))
		return codeError{exitSignInRequired}
	}
	if shown == nil {
		return err
	}
	printNext(out, nextSignedIn(shown, accounts))
	if shown.unreachable != nil || err != nil {
		return codeError{exitCode(err)}
	}
	return nil
}

// nextSignedOut returns next commands for a user who must sign in. Accounts may be empty.
func nextSignedOut(accounts []cache.Account) []nextCommand {
	login, doctor := "kubectl fairlead login ADDRESS", "kubectl fairlead doctor"
	if len(accounts) > 0 {
		login, doctor = session.LoginCommand(accounts[0]), "kubectl fairlead doctor "+accounts[0].Server
	}
	return []nextCommand{{login, "Sign in"}, {doctor, "Check for problems"}, {"kubectl fairlead --help", "List all commands"}}
}

// nextSignedIn returns next commands for a user who is signed in.
func nextSignedIn(s *status, accounts []cache.Account) []nextCommand {
	server := ""
	if len(accounts) > 1 {
		server = " " + s.account.Server
	}
	help := nextCommand{"kubectl fairlead --help", "List all commands"}
	switch {
	case s.unreachable != nil:
		return []nextCommand{{"kubectl fairlead doctor " + s.account.Server, "Find out why the server does not answer"}, {"kubectl fairlead status", "Show the clusters and their tokens"}, help}
	case len(s.clusters) == 0:
		return []nextCommand{{"kubectl fairlead status" + server, "See whether you have a cluster now"}, {"kubectl fairlead logout" + server, "Sign out"}, help}
	case len(s.contexts.byCluster) == 0:
		return []nextCommand{{"kubectl fairlead kubeconfig" + server, "Write a context for each cluster"}, {"kubectl fairlead clusters" + server, "List your clusters"}, help}
	}
	// The first cluster whose context is not the current one.
	other := s.clusters[0].ID
	for _, c := range s.clusters {
		if c.ID != s.contexts.currentCluster() {
			other = c.ID
			break
		}
	}
	use := nextCommand{"kubectl fairlead use " + other, "Switch kubectl to another cluster"}
	if other == s.contexts.currentCluster() {
		use = nextCommand{"kubectl auth whoami", "Show who you are in the cluster"}
	}
	return []nextCommand{use, {"kubectl fairlead status", "Show all clusters and their tokens"}, help}
}

func printNext(out *terminal.Output, commands []nextCommand) {
	commandWidth, purposeWidth := 0, 0
	for _, c := range commands {
		commandWidth, purposeWidth = max(commandWidth, len(c.command)), max(purposeWidth, len(c.purpose))
	}
	narrow := out.Width() > 0 && len("  ")+commandWidth+len("   ")+purposeWidth > out.Width()
	fmt.Fprintln(out, "\nNext:")
	for _, c := range commands {
		if narrow {
			fmt.Fprintf(out, "  %s\n      %s\n", out.Bold(c.command), c.purpose)
			continue
		}
		fmt.Fprintf(out, "  %s%s   %s\n", out.Bold(c.command), strings.Repeat(" ", commandWidth-len(c.command)), c.purpose)
	}
}
