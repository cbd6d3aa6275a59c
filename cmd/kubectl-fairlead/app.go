package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/browser"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/suggest"
)

// app holds the flags of all commands.
type app struct{ profile string }

// output returns the standard output of a command, for people.
func output(cmd *cobra.Command) *terminal.Output {
	return terminal.New(cmd.OutOrStdout(), os.Getenv)
}

// messages returns the standard error of a command, for messages and progress.
func messages(cmd *cobra.Command) *terminal.Output {
	return terminal.New(cmd.ErrOrStderr(), os.Getenv)
}

// cacheDir returns the user's cache folder; FAIRLEAD_CACHE_DIR overrides it.
func cacheDir() (string, error) {
	if dir := os.Getenv("FAIRLEAD_CACHE_DIR"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w. Set FAIRLEAD_CACHE_DIR to a folder of your own", err)
	}
	return filepath.Join(dir, "fairlead"), nil
}

// profileName is the form of a profile's name, which becomes part of context names.
var profileName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// newClient returns the client for a server and the profile. FAIRLEAD_KEYRING=off keeps the
// refresh token in a file even if the system has a keyring.
func (a *app) newClient(cmd *cobra.Command, server string) (*session.Client, error) {
	if a.profile != "" && !profileName.MatchString(a.profile) {
		return nil, usageError{fmt.Errorf("the profile name %q is not valid. Use up to 32 lower-case letters, digits and dashes, such as work", a.profile)}
	}
	if err := serverclient.CheckAddress(server); err != nil {
		return nil, usageError{err}
	}
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	account := cache.Account{Server: strings.TrimSuffix(server, "/"), Profile: a.profile}
	c, err := cache.New(dir, account, os.Getenv("FAIRLEAD_KEYRING") != "off")
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	errs := messages(cmd)
	method := browser.Choose()
	return &session.Client{
		Account: account, Cache: c, Now: time.Now, NoPrompt: noPrompt(cmd, account.Server, method), Messages: errs.Messages(),
		Browser: browser.Config{
			Host: host, Out: errs, Emphasize: errs.Bold, Method: method, Open: browser.Open(os.Getenv("BROWSER")), In: cmd.InOrStdin(),
		},
	}, nil
}

// errNoTerminal is the reason not to wait for a code that no user reads.
const errNoTerminal = "there is no terminal to show a code, and no browser to open. Use a terminal, or add --device if you can read this output."

// noPrompt says why the user can't be asked to sign in, or returns "".
func noPrompt(cmd *cobra.Command, server string, method browser.Method) string {
	switch {
	case os.Getenv("CI") == "true":
		return "CI=true is set. Programs sign in as workloads: " + server + apitypes.WorkloadsPath
	case method == browser.DeviceCode && !terminal.HasUser(cmd.InOrStdin(), cmd.ErrOrStderr()):
		return errNoTerminal
	}
	return ""
}

// clientFor returns the client for the server in the arguments or, without one, for the only
// account that is signed in.
func (a *app) clientFor(cmd *cobra.Command, args []string) (*session.Client, error) {
	if len(args) == 1 {
		return a.newClient(cmd, args[0])
	}
	accounts, err := a.accounts()
	if err != nil {
		return nil, err
	}
	switch len(accounts) {
	case 0:
		return nil, a.errNotSignedIn()
	case 1:
		a.profile = accounts[0].Profile
		return a.newClient(cmd, accounts[0].Server)
	}
	var names []string
	for _, account := range accounts {
		names = append(names, account.String())
	}
	how := "Name the server as an argument, or use --profile."
	if cmd.Flags().Lookup("server") != nil {
		how = "Use --server or --profile."
	}
	return nil, usageError{errors.New("you are signed in with several accounts: " + strings.Join(names, ", ") + ". " + how)}
}

// clientWithClusters returns the client for the arguments, and the user's clusters.
func (a *app) clientWithClusters(cmd *cobra.Command, args []string) (*session.Client, apitypes.Clusters, error) {
	c, err := a.clientFor(cmd, args)
	if err != nil {
		return nil, apitypes.Clusters{}, err
	}
	progress := messages(cmd).Progress("Asking " + c.Account.Server + " for your clusters")
	defer progress.Stop()
	list, err := c.Clusters(cmd.Context())
	return c, list, err
}

// accounts returns the accounts with a session; with --profile, only those of the profile.
func (a *app) accounts() ([]cache.Account, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	accounts, err := cache.Accounts(dir)
	if err != nil {
		return nil, err
	}
	return a.ofProfile(accounts), nil
}

func (a *app) ofProfile(accounts []cache.Account) []cache.Account {
	if a.profile == "" {
		return accounts
	}
	return slices.DeleteFunc(accounts, func(account cache.Account) bool { return account.Profile != a.profile })
}

// configuredAccounts returns the accounts that the user's kubeconfigs name.
func (a *app) configuredAccounts() []cache.Account {
	var accounts []cache.Account
	for _, file := range readKubeconfigs() {
		for _, entry := range file.Entries {
			if account := cache.Account(entry.Account); !slices.Contains(accounts, account) {
				accounts = append(accounts, account)
			}
		}
	}
	return a.ofProfile(accounts)
}

// errNotSignedIn tells the user how to sign in, at the servers that the kubeconfigs name.
func (a *app) errNotSignedIn() error {
	accounts := a.configuredAccounts()
	switch len(accounts) {
	case 0:
		if a.profile != "" {
			return a.errNoProfile()
		}
		return &session.SignInRequiredError{Text: "You are not signed in, and your kubeconfig names no Fairlead server. Ask your admin for its address, such as https://login.example.com.\nRun: kubectl fairlead login ADDRESS"}
	case 1:
		return &session.SignInRequiredError{Text: "You are not signed in.\nRun: " + session.LoginCommand(accounts[0])}
	}
	text := "You are not signed in, and your kubeconfig names several accounts.\nRun one of:"
	for _, account := range accounts {
		text += "\n  " + session.LoginCommand(account)
	}
	return &session.SignInRequiredError{Text: text}
}

// errNoProfile tells the user that no account has the profile.
func (a *app) errNoProfile() error {
	profile, all := a.profile, &app{}
	accounts, err := all.accounts()
	if err != nil {
		return err
	}
	var profiles []string
	server := "ADDRESS"
	for _, account := range append(accounts, all.configuredAccounts()...) {
		profiles, server = append(profiles, account.Profile), account.Server
	}
	return &session.SignInRequiredError{Text: fmt.Sprintf("You are not signed in with the profile %s.%s\nRun: kubectl fairlead login %s --profile %s", profile, didYouMean(suggest.Closest(profile, profiles)), server, profile)}
}

// remaining formats the time until something ends: "6 days", "1 minute".
func remaining(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d >= time.Minute:
		return "1 minute"
	}
	return "less than a minute"
}
