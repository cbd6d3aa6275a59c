package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/suggest"
)

func (a *app) clustersCommand() *cobra.Command {
	var format string
	list := &cobra.Command{
		Use: "clusters [SERVER]", Short: "List your clusters", Args: optionalServer, SuggestFor: []string{"list", "ls", "get-clusters"},
		Example: "  kubectl fairlead clusters\n  kubectl fairlead clusters -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"", "json", "yaml", "name"}, format) {
				return errUsage(cmd, fmt.Sprintf("The output format %q is not known. Use json, yaml or name.%s", format, didYouMean(suggest.Closest(format, []string{"json", "yaml", "name"}))))
			}
			c, list, err := a.clientWithClusters(cmd, args)
			if err != nil {
				return err
			}
			return writeClusters(output(cmd), format, c.Account, list.Clusters)
		},
	}
	list.Flags().StringVarP(&format, "output", "o", "", "`format` instead of a table: json, yaml or name")
	_ = list.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml", "name"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return list
}

func writeClusters(out *terminal.Output, format string, account cache.Account, clusters []apitypes.Cluster) error {
	var text []byte
	var err error
	switch format {
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
		return printClusters(out, account, clusters)
	}
	if err != nil {
		return fmt.Errorf("encoding the clusters: %w", err)
	}
	_, err = out.Write(text)
	return err
}

func noClusters(account cache.Account) string {
	return "You have no cluster yet: no access rule names you or one of your groups.\nAsk an admin for access: " + account.Server + "/"
}

func printClusters(out *terminal.Output, account cache.Account, clusters []apitypes.Cluster) error {
	if len(clusters) == 0 {
		_, err := fmt.Fprintln(out, noClusters(account))
		return err
	}
	columns := []terminal.Column{{Title: "CLUSTER", Fixed: true}, {Title: "NAME"}, {Title: "ENVIRONMENT", Fixed: true, Optional: true}, {Title: "SERVER", Optional: true, Min: 24}}
	var rows [][]string
	environments := false
	for _, c := range clusters {
		rows = append(rows, []string{c.ID, c.Name, c.Environment, c.Server})
		environments = environments || c.Environment != ""
	}
	if !environments {
		columns = slices.Delete(columns, 2, 3)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 2, 3)
		}
	}
	return out.Table(columns, rows)
}

// clusterID finds a cluster by its id, its name or its context.
func clusterID(clusters []apitypes.Cluster, name string) (string, error) {
	var names []string
	for _, c := range clusters {
		if c.ID == name || c.Context == name || strings.EqualFold(c.Name, name) {
			return c.ID, nil
		}
		names = append(names, c.ID, c.Context, c.Name)
	}
	return "", usageError{fmt.Errorf("you have no cluster %q.%s\n%s", name, didYouMean(suggest.Closest(name, names)), yourClusters(clusters))}
}

// yourClusters lists the first clusters, for messages.
func yourClusters(clusters []apitypes.Cluster) string {
	const shown = 10
	if len(clusters) == 0 {
		return "No access rule gives you a cluster. Ask an admin for access."
	}
	var ids []string
	for _, c := range clusters[:min(len(clusters), shown)] {
		ids = append(ids, c.ID)
	}
	text := "Choose one of: " + strings.Join(ids, ", ")
	if more := len(clusters) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more, see: kubectl fairlead clusters", more)
	}
	return text
}

// completeClusters completes the names of clusters from the cache, without a request.
func (a *app) completeClusters(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	accounts, err := a.accounts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	dir, err := cacheDir()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, account := range accounts {
		c, err := cache.New(dir, account, false)
		if err != nil {
			continue
		}
		for _, cluster := range c.Clusters() {
			names = append(names, cluster.ID+"\t"+cluster.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
