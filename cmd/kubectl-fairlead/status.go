package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

// statusTimeout limits the request of a status, so that the last known state is shown soon if
// the server can't be reached.
const statusTimeout = 5 * time.Second

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status [SERVER]", Short: "Show who is signed in, until when, and with which clusters", Args: optionalServer, SuggestFor: []string{"whoami", "info"},
		Long: "Show who is signed in, until when, and with which clusters.\n\n" +
			"If the server can't be reached, it shows the last known state, and the exit\ncode is 1.",
		RunE: func(cmd *cobra.Command, args []string) error {
			accounts, err := a.accounts()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				accounts = []cache.Account{{Server: strings.TrimSuffix(args[0], "/"), Profile: a.profile}}
			}
			if len(accounts) == 0 {
				return a.errNotSignedIn()
			}
			_, err = a.showAccounts(cmd, accounts, showDetails)
			return err
		},
	}
}

// status is the state of one account.
type status struct {
	account    cache.Account
	user       string
	signInEnds time.Time // zero if not known
	inKeyring  bool
	clusters   []apitypes.Cluster
	tokens     map[string]time.Time // when the cached tokens expire, by cluster id
	contexts   contextNames
	// unreachable is why the server did not answer. Then the other fields are those of the last
	// answer.
	unreachable error
}

// detail is how much of a status is shown.
type detail bool

const (
	showSummary detail = false
	showDetails detail = true
)

// showAccounts shows the status of accounts. It returns the last status that could be shown.
func (a *app) showAccounts(cmd *cobra.Command, accounts []cache.Account, detail detail) (shown *status, err error) {
	out, errs := output(cmd), messages(cmd)
	for i, account := range accounts {
		if i > 0 {
			fmt.Fprintln(out)
		}
		s, errStatus := a.readStatus(cmd, account)
		if errStatus == nil {
			errStatus = s.unreachable
		}
		if errStatus != nil && len(accounts) == 1 && s == nil {
			return nil, errStatus
		}
		if errStatus != nil {
			text := errorText(errStatus)
			if len(accounts) > 1 {
				text = account.String() + ": " + text
			}
			fmt.Fprintln(errs, text)
			err = codeError{exitCode(errStatus)}
		}
		if s == nil {
			continue
		}
		shown = s
		if errPrint := s.print(out, time.Now(), detail); errPrint != nil {
			return nil, errPrint
		}
	}
	return shown, err
}

// readStatus asks the server, and uses the cache if the server can't be reached.
func (a *app) readStatus(cmd *cobra.Command, account cache.Account) (*status, error) {
	accountApp := &app{profile: account.Profile}
	c, err := accountApp.newClient(cmd, account.Server)
	if err != nil {
		return nil, err
	}
	progress := messages(cmd).Progress("Asking " + account.Server)
	defer progress.Stop()
	ctx, cancel := context.WithTimeout(cmd.Context(), statusTimeout)
	defer cancel()
	list, err := c.Clusters(ctx)
	if cmd.Context().Err() != nil {
		return nil, cmd.Context().Err()
	}
	cached := c.Cache.Session()
	_, required := errors.AsType[*session.SignInRequiredError](err)
	_, refused := errors.AsType[*serverclient.RefusedError](err)
	if err != nil && (required || refused || cached == nil) {
		return nil, err
	}
	s := &status{account: account, user: list.User, signInEnds: list.SignInEnds, clusters: list.Clusters, unreachable: err, tokens: map[string]time.Time{}}
	if err != nil {
		s.user, s.signInEnds, s.clusters = cached.User, cached.SignInEnds, cached.Clusters
	}
	s.inKeyring = cached != nil && cached.InKeyring
	s.contexts = readContextNames(account)
	for _, cluster := range s.clusters {
		if token, valid := c.Cache.Token(cluster.ID, time.Now(), 0); valid {
			s.tokens[cluster.ID] = token.Expires
		}
	}
	return s, nil
}

func (s *status) print(out *terminal.Output, now time.Time, detail detail) error {
	heading := "Signed in as "
	if s.unreachable != nil {
		heading = "Last known state: signed in as "
	}
	fmt.Fprintln(out, heading+out.Bold(terminal.Clean(s.user)))
	for _, line := range s.lines(now, detail) {
		fmt.Fprintf(out, "  %s%s\n", out.Dim(fmt.Sprintf("%-10s", line[0])), terminal.Clean(line[1]))
	}
	if !detail {
		return nil
	}
	fmt.Fprintln(out)
	if len(s.clusters) == 0 {
		_, err := fmt.Fprintln(out, noClusters(s.account))
		return err
	}
	var rows [][]string
	for _, c := range s.clusters {
		token := "-"
		if expires, valid := s.tokens[c.ID]; valid {
			token = remaining(expires.Sub(now))
		}
		mark, name := s.contexts.of(c.ID)
		rows = append(rows, []string{mark, c.ID, c.Name, name, token})
	}
	return out.Table([]terminal.Column{{Title: ""}, {Title: "CLUSTER", Fixed: true}, {Title: "NAME"}, {Title: "CONTEXT"}, {Title: "TOKEN", Right: true, Optional: true}}, rows)
}

// lines are the labels and values of a status.
func (s *status) lines(now time.Time, detail detail) [][2]string {
	lines := [][2]string{{"Server", s.account.Server}}
	if s.account.Profile != "" {
		lines = append(lines, [2]string{"Profile", s.account.Profile})
	}
	if !s.signInEnds.IsZero() {
		text := "ended; sign in again"
		if left := s.signInEnds.Sub(now); left > 0 {
			text = fmt.Sprintf("ends in %s, on %s", remaining(left), s.signInEnds.Local().Format("Mon 2 Jan 15:04"))
		}
		lines = append(lines, [2]string{"Session", text})
	}
	if detail {
		return append(lines, [2]string{"Stored in", storage(s.inKeyring)})
	}
	lines = append(lines, [2]string{"Clusters", fmt.Sprint(len(s.clusters))})
	if len(s.clusters) == 0 {
		return lines
	}
	cluster := s.contexts.currentCluster()
	if cluster == "" {
		return append(lines, [2]string{"Tokens", fmt.Sprintf("for %d of %d clusters; kubectl gets and renews them by itself", len(s.tokens), len(s.clusters))})
	}
	token := "none yet; kubectl gets one by itself"
	if expires, valid := s.tokens[cluster]; valid {
		token = "valid for " + remaining(expires.Sub(now)) + "; kubectl renews it by itself"
	}
	return append(lines, [2]string{"Context", s.contexts.current}, [2]string{"Token", token})
}

// storage says where the refresh token is.
func storage(inKeyring bool) string {
	if inKeyring {
		return "the system's keyring"
	}
	return "a file that only you can read"
}

// contextNames are the contexts of an account in the user's kubeconfigs.
type contextNames struct {
	byCluster map[string][]string
	current   string // of any account
}

func readContextNames(account cache.Account) contextNames {
	names := contextNames{byCluster: map[string][]string{}}
	for _, file := range readKubeconfigs() {
		if names.current == "" {
			names.current = file.Current // the first file with one decides, as in kubectl
		}
		for _, entry := range file.Entries {
			if cache.Account(entry.Account) == account {
				names.byCluster[entry.Cluster] = append(names.byCluster[entry.Cluster], entry.Contexts...)
			}
		}
	}
	return names
}

// currentCluster returns the cluster of the current context, or "" if that is not one of the
// account.
func (n contextNames) currentCluster() string {
	for cluster, names := range n.byCluster {
		if n.current != "" && slices.Contains(names, n.current) {
			return cluster
		}
	}
	return ""
}

// of returns the context of a cluster, and "*" if it is the current one.
func (n contextNames) of(cluster string) (mark, name string) {
	names := n.byCluster[cluster]
	switch {
	case len(names) == 0:
		return "", "-"
	case slices.Contains(names, n.current):
		return "*", n.current
	}
	return "", names[0]
}
