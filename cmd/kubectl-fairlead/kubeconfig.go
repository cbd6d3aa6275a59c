package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/merge"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

func (a *app) kubeconfigCommand() *cobra.Command {
	var opts updateOptions
	var printOnly, check, dryRun, quiet bool
	cmd := &cobra.Command{
		Use: "kubeconfig [SERVER]", Short: "Write, print or check the contexts of your clusters", Args: optionalServer, SuggestFor: []string{"update", "sync"},
		Long: "Write a context for each of your clusters into your kubeconfig: the first file\nof KUBECONFIG, or the default file.\n\n" +
			"It adds, updates and removes only entries that name the server. It leaves\nevery other byte of the file unchanged, and keeps context names that you\nchanged. The previous file is kept in FILE.fairlead-backup.",
		Example: "  kubectl fairlead kubeconfig --dry-run\n  kubectl fairlead kubeconfig --print > fleet.yaml\n  kubectl fairlead kubeconfig --check",
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return exclusive(cmd, "print", "dry-run", "check", "quiet")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, list, err := a.clientWithClusters(cmd, args)
			if err != nil {
				return err
			}
			switch {
			case printOnly:
				text, err := kubeconfig.Render(list.Clusters, kubeconfig.WithPlugin(kubeconfig.Plugin, c.Account.Server, c.Account.Profile))
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(text)
				return err
			case check:
				return checkContexts(cmd, c, opts, list.Clusters)
			case dryRun:
				opts.dryRun = cmd.OutOrStdout()
			}
			errs := messages(cmd)
			if quiet {
				errs, opts.background = terminal.New(io.Discard, os.Getenv), true
			}
			return updateContexts(errs, c, opts, list.Clusters)
		},
	}
	cmd.Flags().StringVar(&opts.file, "kubeconfig", "", "write to this `file` instead of the default one")
	cmd.Flags().BoolVar(&printOnly, "print", false, "print a kubeconfig of your clusters, and write no file")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change, and write no file")
	cmd.Flags().BoolVar(&check, "check", false, "compare your contexts with the server; exit code 1 if they differ")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "print nothing, and add only clusters that are new at the server")
	cmd.MarkFlagsMutuallyExclusive("print", "dry-run", "check", "quiet") // for completion
	return cmd
}

// exclusive refuses more than one of some flags.
func exclusive(cmd *cobra.Command, names ...string) error {
	var set []string
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			set = append(set, "--"+name)
		}
	}
	if len(set) > 1 {
		return errUsage(cmd, strings.Join(set, " and ")+" can't be used together. Use one of them.")
	}
	return nil
}

// checkContexts compares the contexts with the server, and writes nothing.
func checkContexts(cmd *cobra.Command, c *session.Client, opts updateOptions, clusters []apitypes.Cluster) error {
	var differences bytes.Buffer
	opts.dryRun = &differences
	if err := updateContexts(output(cmd), c, opts, clusters); err != nil {
		return err
	}
	if differences.Len() > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "Your contexts differ from the clusters at the server.\nRun: kubectl fairlead kubeconfig")
		return codeError{exitFailed}
	}
	fmt.Fprintln(cmd.OutOrStdout(), "Your contexts match the clusters at the server.")
	return nil
}

// kubeconfigPaths returns the user's kubeconfigs, and the one to which new entries go. A named
// file is the only one.
func kubeconfigPaths(named string) (files []string, first string) {
	if named != "" {
		return []string{named}, named
	}
	paths := clientcmd.NewDefaultPathOptions()
	first = paths.GetDefaultFilename()
	if list := os.Getenv(clientcmd.RecommendedConfigPathEnvVar); list != "" {
		for _, file := range filepath.SplitList(list) {
			if file != "" && !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
		if len(files) > 0 {
			first = files[0]
		}
	}
	if !slices.Contains(files, first) {
		files = append(files, first)
	}
	return files, first
}

// readKubeconfigs reads the user's kubeconfigs. It skips files that are missing or not valid.
func readKubeconfigs() []merge.Contents {
	files, _ := kubeconfigPaths("")
	var all []merge.Contents
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // the user's own kubeconfig
		if err != nil {
			continue
		}
		if contents, err := merge.Read(text); err == nil {
			all = append(all, contents)
		}
	}
	return all
}

// pluginCommand is the command in exec sections: the path of this program, because programs
// that no shell started don't have the user's PATH. It prefers the path in PATH to the target
// of a symbolic link, which package managers move with each version.
func pluginCommand() string {
	self, err := os.Executable()
	if err != nil || strings.Contains(filepath.ToSlash(self), "/go-build") { // "go run" deletes the program
		return kubeconfig.Plugin
	}
	found, err := exec.LookPath(kubeconfig.Plugin)
	if err == nil && filepath.IsAbs(found) && sameFile(found, self) {
		return found
	}
	return self
}
