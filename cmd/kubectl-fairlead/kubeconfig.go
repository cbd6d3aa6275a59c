package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/merge"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

// fileOptions say how kubeconfigs are written.
type fileOptions struct {
	// file is the only one, when it is named.
	file string
	// use is the id of the cluster whose context becomes the current one.
	use string
	// dryRun, when set, gets the differences, and nothing is written.
	dryRun io.Writer
	// follow adds only what is new at the server.
	follow bool
}

func (g *global) kubeconfigCommand() *cobra.Command {
	var opts fileOptions
	var toOutput, check, dryRun, quiet bool
	cmd := &cobra.Command{
		Use: "kubeconfig [SERVER]", Short: "Write, print or check the contexts of your clusters", Args: cobra.MaximumNArgs(1),
		Long: "Write a context for each of your clusters into your kubeconfig: the first file of KUBECONFIG, or the usual one.\n\n" +
			"Own entries are found by the server that they name, and are added, updated and removed. Everything else stays as it is, to the byte.\n" +
			"Names that you gave to contexts stay too. What was there before is kept beside the file, in FILE.fairlead-backup.",
		Example: "  kubectl fairlead kubeconfig --dry-run\n  kubectl fairlead kubeconfig --print > fleet.yaml\n  kubectl fairlead kubeconfig --check",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, list, err := g.mine(cmd, args)
			if err != nil {
				return err
			}
			switch {
			case toOutput:
				text, err := kubeconfig.Render(list.Clusters, kubeconfig.WithPlugin(kubeconfig.Plugin, c.Account.Server, c.Account.Profile))
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(text)
				return err
			case check:
				return g.checkContexts(cmd, c, opts, list.Clusters)
			case dryRun:
				opts.dryRun = cmd.OutOrStdout()
			}
			words := cmd.ErrOrStderr()
			if quiet {
				words, opts.follow = io.Discard, true
			}
			return g.writeContexts(words, c, opts, list.Clusters)
		},
	}
	cmd.Flags().StringVar(&opts.file, "kubeconfig", "", "file to write to instead of the usual one")
	cmd.Flags().BoolVar(&toOutput, "print", false, "print a file of your clusters instead of writing to yours")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change, and change nothing")
	cmd.Flags().BoolVar(&check, "check", false, "say whether the contexts are as the server says; exit code 1 when not")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "say nothing, and add only what is new at the server")
	cmd.MarkFlagsMutuallyExclusive("print", "dry-run", "check", "quiet")
	return cmd
}

// checkContexts says what is different, and writes nothing.
func (g *global) checkContexts(cmd *cobra.Command, c *session.Client, opts fileOptions, clusters []apitypes.Cluster) error {
	var differences bytes.Buffer
	opts.dryRun = &differences
	if err := g.writeContexts(cmd.OutOrStdout(), c, opts, clusters); err != nil {
		return err
	}
	if differences.Len() > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "The contexts are not as the server says. Run: kubectl fairlead kubeconfig")
		return codeError{exitFailed}
	}
	fmt.Fprintln(cmd.OutOrStdout(), "Every context is as the server says.")
	return nil
}

// writeContexts brings the person's kubeconfigs up to date.
func (g *global) writeContexts(w io.Writer, c *session.Client, opts fileOptions, clusters []apitypes.Cluster) error {
	files, first := kubeconfigs(opts.file)
	known := c.Cache.Kubeconfigs()
	if opts.follow && len(known.Files) > 0 {
		files, first = known.Files, known.Files[0]
	}
	u := update{client: c, opts: opts, clusters: clusters, known: known}
	for _, file := range files {
		if err := u.file(file, file == first); err != nil {
			return err
		}
	}
	if opts.dryRun == nil {
		if err := u.remember(); err != nil {
			return err
		}
	}
	u.report(w)
	return nil
}

// kubeconfigs are the person's files, and the one that new entries go to.
func kubeconfigs(named string) (files []string, first string) {
	paths := clientcmd.NewDefaultPathOptions()
	paths.LoadingRules.ExplicitPath = named
	if named != "" {
		return []string{named}, named
	}
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

// update is one run over some files.
type update struct {
	client   *session.Client
	opts     fileOptions
	clusters []apitypes.Cluster
	known    cache.Kubeconfigs

	changes []merge.Change
	written []string
	names   map[string]string // of contexts, by cluster
	current string
}

// file brings one file up to date. Entries for new clusters go to the first only.
func (u *update) file(name string, first bool) error {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target // or the link would be replaced
	} else if !first {
		return nil // there is no such file
	}
	if u.opts.dryRun == nil {
		unlock, err := lockFile(name)
		if err != nil {
			return err
		}
		defer unlock()
	}
	text, err := os.ReadFile(name) //nolint:gosec // the person's own kubeconfig
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading kubeconfig: %w", err)
	}
	want, err := u.desired(name, text, first)
	if err != nil || want == nil {
		return err
	}
	result, err := merge.Merge(text, *want)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	u.take(name, result)
	if bytes.Equal(text, result.Text) {
		return nil
	}
	if u.opts.dryRun != nil {
		_, err := io.WriteString(u.opts.dryRun, udiff.Unified(name, name+" (new)", string(text), string(result.Text)))
		return err
	}
	return replace(name, text, result.Text)
}

// desired returns the desired state of a file, or nil if the file needs no change.
func (u *update) desired(name string, text []byte, first bool) (*merge.Desired, error) {
	account := merge.Account(u.client.Account)
	own, _, err := merge.Entries(text, account)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if !first && len(own) == 0 {
		return nil, nil
	}
	want := merge.Desired{Account: account, Command: command(), Clusters: u.clusters, CurrentCluster: u.opts.use}
	if u.opts.follow {
		want.AddedBefore = u.known.Clusters
	}
	if !first {
		for _, c := range u.clusters { // what is new goes to the first
			want.InOtherFiles = append(want.InOtherFiles, c.ID)
		}
		return &want, nil
	}
	others, _ := kubeconfigs(u.opts.file)
	for _, other := range others {
		text, err := os.ReadFile(other) //nolint:gosec // the person's own kubeconfig
		if err != nil || sameFile(other, name) {
			continue
		}
		if ids, names, err := merge.Entries(text, account); err == nil {
			want.InOtherFiles, want.UsedNames = append(want.InOtherFiles, ids...), append(want.UsedNames, names...)
		}
	}
	return &want, nil
}

// command is what entries call: this program, by its place, since programs that no shell
// started don't have the person's PATH. The place in the PATH is better than where a link
// leads to: package managers move that with each version.
func command() string {
	self, err := os.Executable()
	if err != nil || strings.Contains(filepath.ToSlash(self), "/go-build") { // "go run" leaves nothing
		return kubeconfig.Plugin
	}
	found, err := exec.LookPath(kubeconfig.Plugin)
	if err == nil && filepath.IsAbs(found) && sameFile(found, self) {
		return found
	}
	return self
}

func (u *update) take(file string, r merge.Result) {
	if absolute, err := filepath.Abs(file); err == nil {
		file = absolute
	}
	if len(r.Contexts) > 0 || len(r.Changes) > 0 {
		u.written = append(u.written, file)
	}
	if u.names == nil {
		u.names, u.current = r.Contexts, r.Current
	}
	maps.Copy(u.names, r.Contexts)
	u.changes = append(u.changes, r.Changes...)
}

// remember lets later runs follow the server in the same files.
func (u *update) remember() error {
	known := cache.Kubeconfigs{Files: u.known.Files, Updated: u.client.Now()}
	for _, file := range u.written {
		if !slices.Contains(known.Files, file) {
			known.Files = append(known.Files, file)
		}
	}
	for _, c := range u.clusters {
		known.Clusters = append(known.Clusters, c.ID)
	}
	return u.client.Cache.SaveKubeconfigs(known)
}

func (u *update) report(w io.Writer) {
	for _, c := range u.changes {
		switch c.Kind {
		case merge.Removed:
			fmt.Fprintf(w, "Removed the context %s: it is not shared with you any more.\n", c.Context)
		case merge.Renamed:
			fmt.Fprintf(w, "Renamed the context %s to %s, as the server calls it now.\n", c.PreviousName, c.Context)
		case merge.Updated:
			fmt.Fprintf(w, "Updated the context %s.\n", c.Context)
		case merge.Added: // they are all listed
		}
	}
	if len(u.clusters) == 0 {
		fmt.Fprintf(w, "No cluster is shared with you yet. Whom to ask: %s/\n", u.client.Account.Server)
		return
	}
	if u.opts.dryRun != nil || len(u.names) == 0 {
		return
	}
	u.list(w)
}

// list says what each cluster's context is called, and marks the current one.
func (u *update) list(w io.Writer) {
	width, example := 0, ""
	for _, c := range u.clusters {
		name := u.names[c.ID]
		width = max(width, len(name))
		if name != "" && (example == "" || name == u.current) {
			example = name
		}
	}
	fmt.Fprintf(w, "Contexts in %s:\n", strings.Join(u.written, ", "))
	for _, c := range u.clusters {
		mark := " "
		if u.names[c.ID] == u.current {
			mark = "*"
		}
		if name := u.names[c.ID]; name != "" {
			fmt.Fprintf(w, "%s %-*s   %s\n", mark, width, name, c.Name)
		}
	}
	fmt.Fprintf(w, "Try: kubectl auth whoami --context %s\n", example)
}

// followEvery is how often the contexts are compared with the server's list while kubectl is
// in use.
const followEvery = 5 * time.Minute

// followLater lets another process bring the contexts up to date, so that nobody waits for
// it: a cluster that moved, a new authority, a new cluster.
func (g *global) followLater(c *session.Client) {
	known := c.Cache.Kubeconfigs()
	if !c.MaySignIn || len(known.Files) == 0 || c.Now().Sub(known.Updated) < followEvery {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	known.Updated = c.Now() // of several at once, one does it
	if c.Cache.SaveKubeconfigs(known) != nil {
		return
	}
	args := []string{"kubeconfig", c.Account.Server, "--quiet"}
	if c.Account.Profile != "" {
		args = append(args, "--profile", c.Account.Profile)
	}
	detach(context.Background(), self, args...)
}
