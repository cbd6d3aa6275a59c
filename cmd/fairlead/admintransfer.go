package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/server/admin"
)

func exportCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Print the entries of the admin pages as a configuration file; secrets become env:NAME", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				text, err := a.Export(ctx, shell())
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(text)
				return err
			})
		},
	}
}

func importCommand(file *string) *cobra.Command {
	var source admin.Source
	var dry bool
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Import entries from a file of Fairlead, Dex or Gangway", Args: cobra.ExactArgs(1),
		Long: "FILE is - for standard input. Secrets can be references: env:NAME or file:PATH. The environment of the command has the values of variables that the file names.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if source.Text, err = readInput(cmd.InOrStdin(), args[0]); err != nil {
				return err
			}
			source.Env, source.Resolve = os.LookupEnv, resolveText
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				work := a.Import
				if dry {
					work = a.PlanImport
				}
				plan, err := work(ctx, shell(), source)
				if err != nil {
					return err
				}
				return printPlan(cmd.OutOrStdout(), plan)
			})
		},
	}
	cmd.Flags().StringVar(&source.Format, "format", "fairlead", "format of the file: fairlead, dex or gangway")
	cmd.Flags().StringVar(&source.Reason, "reason", "", "reason for the change, for the history; with a reason, connectors may be enabled without a test sign-in")
	cmd.Flags().BoolVar(&source.Prune, "prune", false, "also delete entries of the admin pages that the file does not have, of the kinds that it names")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the effect and change nothing")
	return cmd
}

func printPlan(w io.Writer, p *admin.ImportPlan) error {
	out := &strings.Builder{}
	for _, e := range append(p.Entries, p.Prune...) {
		what := e.Action
		if len(e.Problems) > 0 {
			what = "left out"
		}
		fmt.Fprintf(out, "%s %s %s\n", what, e.Kind, e.ID)
		for _, problem := range e.Problems {
			fmt.Fprintf(out, "  %s\n", problem)
		}
		for _, change := range e.Diff {
			fmt.Fprintf(out, "  %s: %q -> %q\n", change.Label, change.Before, change.After)
		}
	}
	printList(out, "note:", p.Notes)
	printList(out, "ignored:", p.Ignored)
	printList(out, "refused:", p.Refused)
	if _, err := io.WriteString(w, out.String()); err != nil {
		return err
	}
	if err := p.Err(); err != nil {
		return err
	}
	if n := p.Problems(); n > 0 {
		return fmt.Errorf("%d entries were not imported: see the problems above. Correct them and run the command again", n)
	}
	return nil
}

func printList(w io.Writer, label string, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(w, label, line)
	}
}
