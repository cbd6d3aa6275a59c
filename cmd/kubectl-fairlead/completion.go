package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/fairlead-auth/fairlead/internal/version"
)

// kubectlCompletion lets kubectl complete "kubectl fairlead" (kubectl 1.26 and later): it runs
// a program of this name from the PATH.
const kubectlCompletion = `#!/bin/sh
# Save as kubectl_complete-fairlead in a folder of your PATH, and make it executable.
exec kubectl-fairlead __complete "$@"
`

// addCompletion adds to the scripts for shells the one that kubectl itself runs.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	completion, _, err := root.Find([]string{"completion"})
	if err != nil {
		return
	}
	completion.AddCommand(&cobra.Command{
		Use: "kubectl", Short: "Print the script that lets kubectl complete \"kubectl fairlead\"", Args: cobra.NoArgs,
		Example: "  kubectl fairlead completion kubectl > ~/.local/bin/kubectl_complete-fairlead\n  chmod +x ~/.local/bin/kubectl_complete-fairlead",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), kubectlCompletion)
			return err
		},
	})
}

// manCommand writes man pages, for packages.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write man pages into a folder", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // everybody may read them
				return fmt.Errorf("writing man pages: %w", err)
			}
			// The same pages for the same version, whenever they are made.
			day := time.Unix(0, 0).UTC()
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := doc.GenManTree(root, &doc.GenManHeader{Title: "KUBECTL-FAIRLEAD", Section: "1", Date: &day, Source: "Fairlead " + version.String(), Manual: "Fairlead"}, args[0]); err != nil {
				return fmt.Errorf("writing man pages: %w", err)
			}
			return nil
		},
	}
}
