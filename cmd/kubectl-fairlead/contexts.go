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
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/merge"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

// updateOptions are options of an update of kubeconfigs.
type updateOptions struct {
	// file is the only file to update; empty means the user's kubeconfigs.
	file string
	// currentCluster is the id of the cluster whose context becomes the current one.
	currentCluster string
	// brief reports the new current context instead of all contexts.
	brief bool
	// dryRun, if set, receives the differences, and no file is written.
	dryRun io.Writer
	// background updates the files of the last update, and adds only clusters that are new at
	// the server.
	background bool
}

// updateContexts updates the user's kubeconfigs and reports the changes.
func updateContexts(out *terminal.Output, c *session.Client, opts updateOptions, clusters []apitypes.Cluster) error {
	files, first := kubeconfigPaths(opts.file)
	previous := c.Cache.Kubeconfigs()
	if opts.background && len(previous.Files) > 0 {
		files, first = previous.Files, previous.Files[0]
	}
	u := contextUpdate{client: c, opts: opts, clusters: clusters, previous: previous}
	for _, file := range files {
		if err := u.updateFile(file, file == first); err != nil {
			return err
		}
	}
	if opts.dryRun == nil {
		if err := u.save(); err != nil {
			return err
		}
	}
	return u.report(out)
}

// contextUpdate is one update of some kubeconfigs.
type contextUpdate struct {
	client   *session.Client
	opts     updateOptions
	clusters []apitypes.Cluster
	previous cache.Kubeconfigs

	changes []merge.Change
	files   []string          // with contexts of the account
	names   map[string]string // of contexts, by cluster id
	current string
}

// updateFile updates one file. Entries for new clusters go to the first file only.
func (u *contextUpdate) updateFile(name string, first bool) error {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target // otherwise the file would replace the symbolic link
	} else if !first {
		return nil // the file does not exist
	}
	if u.opts.dryRun == nil {
		unlock, err := lockFile(name)
		if err != nil {
			return err
		}
		defer unlock()
	}
	text, err := os.ReadFile(name) //nolint:gosec // the user's own kubeconfig
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	desired, err := u.desired(name, text, first)
	if err != nil || desired == nil {
		return err
	}
	result, err := merge.Merge(text, *desired)
	if err != nil {
		return fmt.Errorf("updating %s: %w", name, err)
	}
	u.record(name, result)
	if bytes.Equal(text, result.Text) {
		return nil
	}
	if u.opts.dryRun != nil {
		_, err := io.WriteString(u.opts.dryRun, udiff.Unified(name, name+" (new)", string(text), string(result.Text)))
		return err
	}
	return replaceFile(name, text, result.Text)
}

// desired returns the desired state of a file, or nil if the file has no entry of the account
// and gets none.
func (u *contextUpdate) desired(name string, text []byte, first bool) (*merge.Desired, error) {
	account := merge.Account(u.client.Account)
	contents, err := merge.Read(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if !first && len(contents.Clusters(account)) == 0 {
		return nil, nil
	}
	desired := merge.Desired{Account: account, Command: pluginCommand(), Clusters: u.clusters, CurrentCluster: u.opts.currentCluster}
	if u.opts.background {
		desired.AddedBefore = u.previous.Clusters
	}
	if !first {
		for _, c := range u.clusters { // new clusters go to the first file
			desired.InOtherFiles = append(desired.InOtherFiles, c.ID)
		}
		return &desired, nil
	}
	others, _ := kubeconfigPaths(u.opts.file)
	for _, other := range others {
		text, err := os.ReadFile(other) //nolint:gosec // the user's own kubeconfig
		if err != nil || sameFile(other, name) {
			continue
		}
		if contents, err := merge.Read(text); err == nil {
			desired.InOtherFiles, desired.UsedNames = append(desired.InOtherFiles, contents.Clusters(account)...), append(desired.UsedNames, contents.Names...)
		}
	}
	return &desired, nil
}

// record remembers the result of a file for save and report.
func (u *contextUpdate) record(file string, r merge.Result) {
	if absolute, err := filepath.Abs(file); err == nil {
		file = absolute
	}
	if len(r.Contexts) > 0 || len(r.Changes) > 0 {
		u.files = append(u.files, file)
	}
	if u.names == nil {
		u.names, u.current = r.Contexts, r.Current
	}
	maps.Copy(u.names, r.Contexts)
	u.changes = append(u.changes, r.Changes...)
}

// save lets later background updates use the same files.
func (u *contextUpdate) save() error {
	k := cache.Kubeconfigs{Files: u.previous.Files, Updated: u.client.Now()}
	for _, file := range u.files {
		if !slices.Contains(k.Files, file) {
			k.Files = append(k.Files, file)
		}
	}
	for _, c := range u.clusters {
		k.Clusters = append(k.Clusters, c.ID)
	}
	return u.client.Cache.SaveKubeconfigs(k)
}

func (u *contextUpdate) report(out *terminal.Output) error {
	for _, c := range u.changes {
		switch c.Kind {
		case merge.Removed:
			fmt.Fprintf(out, "Removed the context %s: you no longer have access to the cluster.\n", c.Context)
		case merge.Renamed:
			fmt.Fprintf(out, "Renamed the context %s to %s: the cluster was renamed at the server.\n", c.PreviousName, c.Context)
		case merge.Updated:
			fmt.Fprintf(out, "Updated the context %s.\n", c.Context)
		case merge.Added: // the list below has them
		}
	}
	if len(u.clusters) == 0 {
		_, err := fmt.Fprintln(out, noClusters(u.client.Account))
		return err
	}
	if u.opts.dryRun != nil || len(u.names) == 0 {
		return nil
	}
	if u.opts.brief {
		_, err := fmt.Fprintf(out, "kubectl now uses the context %s.\n", out.Bold(u.current))
		return err
	}
	return u.list(out)
}

// list shows the context of each cluster, with a star at the current one.
func (u *contextUpdate) list(out *terminal.Output) error {
	example := ""
	var rows [][]string
	for _, c := range u.clusters {
		name := u.names[c.ID]
		if name == "" {
			continue
		}
		mark := ""
		if name == u.current {
			mark = "*"
		}
		if example == "" || name == u.current {
			example = name
		}
		rows = append(rows, []string{mark, name, c.Name})
	}
	fmt.Fprintf(out, "Contexts in %s:\n", strings.Join(u.files, ", "))
	if err := out.Table([]terminal.Column{{Title: ""}, {Title: "CONTEXT", Fixed: true}, {Title: "CLUSTER"}}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "Try: %s\n", out.Bold("kubectl auth whoami --context "+example))
	return err
}

// backgroundInterval is how often the contexts are compared with the server while the user
// uses kubectl.
const backgroundInterval = 5 * time.Minute

// updateInBackground starts a process that updates the contexts, so that kubectl need not wait
// for it. It starts one process per interval.
func updateInBackground(c *session.Client) {
	previous := c.Cache.Kubeconfigs()
	if os.Getenv("CI") == "true" || len(previous.Files) == 0 || c.Now().Sub(previous.Updated) < backgroundInterval {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	previous.Updated = c.Now() // so that other processes start none
	if c.Cache.SaveKubeconfigs(previous) != nil {
		return
	}
	args := []string{"kubeconfig", c.Account.Server, "--quiet"}
	if c.Account.Profile != "" {
		args = append(args, "--profile", c.Account.Profile)
	}
	startDetached(context.Background(), self, args...)
}
