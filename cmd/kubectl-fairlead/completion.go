package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/fairlead-auth/fairlead/internal/version"
)

// kubectlCompletion is the program that kubectl 1.26 and later runs to complete "kubectl
// fairlead".
const kubectlCompletion = `#!/bin/sh
# Save this as kubectl_complete-fairlead in a folder of your PATH, and make it executable.
exec kubectl-fairlead __complete "$@"
`

// addKubectlCompletion adds "completion kubectl" to the commands that print completion scripts.
func addKubectlCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	completion, _, err := root.Find([]string{"completion"})
	if err != nil {
		return
	}
	completion.AddCommand(&cobra.Command{
		Use: "kubectl", Short: "Print the program with which kubectl completes \"kubectl fairlead\"", Args: noArguments,
		Example: "  kubectl fairlead completion kubectl > ~/.local/bin/kubectl_complete-fairlead\n  chmod +x ~/.local/bin/kubectl_complete-fairlead",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), kubectlCompletion)
			return err
		},
	})
}

// manCommand writes man pages, for operating system packages.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write man pages into a folder", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // every user may read man pages
				return fmt.Errorf("writing man pages: %w", err)
			}
			date := time.Unix(0, 0).UTC() // constant, so that builds are reproducible
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := doc.GenManTree(root, &doc.GenManHeader{Title: "KUBECTL-FAIRLEAD", Section: "1", Date: &date, Source: "Fairlead " + version.String(), Manual: "Fairlead"}, args[0]); err != nil {
				return fmt.Errorf("writing man pages: %w", err)
			}
			return nil
		},
	}
}
