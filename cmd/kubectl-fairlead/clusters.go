package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

func (g *global) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status [SERVER]", Short: "Say who is signed in and which clusters that opens", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			accounts, err := g.accounts()
			if err != nil {
				return err
			}
			if len(args) == 1 || len(accounts) == 1 {
				return g.status(cmd, args)
			}
			if len(accounts) == 0 {
				return errNobody()
			}
			var last error
			for i, a := range accounts {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				one := &global{profile: a.Profile}
				if err := one.status(cmd, []string{a.Server}); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", a, err)
					last = codeError{exitCode(err)}
				}
			}
			return last
		},
	}
}

func (g *global) status(cmd *cobra.Command, args []string) error {
	c, list, err := g.mine(cmd, args)
	if err != nil {
		return err
	}
	return printStatus(cmd.OutOrStdout(), c.Account, list, c.Cache.Session(), time.Now())
}

func printStatus(w io.Writer, account cache.Account, list apitypes.Clusters, s *cache.Session, now time.Time) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(tw, "Server\t%s\n", account.Server)
	if account.Profile != "" {
		fmt.Fprintf(tw, "Profile\t%s\n", account.Profile)
	}
	fmt.Fprintf(tw, "User\t%s\nSession\tkept in %s\n", list.User, kept(s))
	if !list.SignInEnds.IsZero() {
		fmt.Fprintf(tw, "Sign in again\tin %s at the latest, %s\n", remaining(list.SignInEnds.Sub(now)), list.SignInEnds.Local().Format("Mon 2 Jan 15:04"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printClusters(w, account, list.Clusters)
}

// remaining is a time as people say it.
func remaining(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d minutes", max(d/time.Minute, 0))
}

func printClusters(w io.Writer, account cache.Account, clusters []apitypes.Cluster) error {
	if len(clusters) == 0 {
		_, err := fmt.Fprintf(w, "No cluster is shared with you. Whom to ask: %s/\n", account.Server)
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "CLUSTER\tNAME\tSERVER")
	for _, c := range clusters {
		fmt.Fprintln(tw, strings.Join([]string{c.ID, c.Name, c.Server}, "\t"))
	}
	return tw.Flush()
}

func (g *global) clustersCommand() *cobra.Command {
	var output string
	list := &cobra.Command{
		Use: "clusters [SERVER]", Short: "List your clusters", Args: cobra.MaximumNArgs(1),
		Example: "  kubectl fairlead clusters\n  kubectl fairlead clusters -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"", "json", "yaml", "name"}, output) {
				return usageError{fmt.Errorf("-o %s: want json, yaml or name", output)}
			}
			c, list, err := g.mine(cmd, args)
			if err != nil {
				return err
			}
			return writeClusters(cmd.OutOrStdout(), output, c.Account, list.Clusters)
		},
	}
	list.Flags().StringVarP(&output, "output", "o", "", "json, yaml or name instead of a table")
	_ = list.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml", "name"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return list
}

func writeClusters(w io.Writer, output string, account cache.Account, clusters []apitypes.Cluster) error {
	var text []byte
	var err error
	switch output {
	case "json":
		text, err = json.MarshalIndent(clusters, "", "  ")
		text = append(text, '\n')
	case "yaml":
		text, err = yaml.Marshal(clusters)
	case "name":
		for _, c := range clusters {
			text = append(text, c.ID+"\n"...)
		}
	default:
		return printClusters(w, account, clusters)
	}
	if err != nil {
		return fmt.Errorf("printing clusters: %w", err)
	}
	_, err = w.Write(text)
	return err
}

// clusterID finds a cluster by its id, its name or its context.
func clusterID(clusters []apitypes.Cluster, name string) (string, error) {
	var ids []string
	for _, c := range clusters {
		if c.ID == name || c.Context == name || strings.EqualFold(c.Name, name) {
			return c.ID, nil
		}
		ids = append(ids, c.ID)
	}
	if len(ids) == 0 {
		return "", usageError{fmt.Errorf("there is no cluster %s for you: no cluster is shared with you", name)}
	}
	return "", usageError{fmt.Errorf("there is no cluster %s for you; yours are %s", name, strings.Join(ids, ", "))}
}

// completeClusters completes names of clusters from what is known, without asking anybody.
func (g *global) completeClusters(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	accounts, err := g.accounts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	dir, err := cacheDir()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, a := range accounts {
		c, err := cache.New(dir, a, false)
		if err != nil {
			continue
		}
		for _, cluster := range c.Clusters() {
			names = append(names, cluster.ID+"\t"+cluster.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
