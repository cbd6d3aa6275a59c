package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
	"github.com/fairlead-auth/fairlead/internal/wire"
)

// writeContexts merges a context for each cluster into the person's kubeconfig,
// with kubectl's own lock. Entries of others stay as they are; own ones are
// found by the server that they name. The current context is set only when
// there is none.
func writeContexts(w io.Writer, file, server string, clusters []wire.Cluster) error {
	paths := clientcmd.NewDefaultPathOptions()
	paths.LoadingRules.ExplicitPath = file
	cfg, err := paths.GetStartingConfig()
	if err != nil {
		return fmt.Errorf("reading kubeconfig: %w", err)
	}
	command := kubeconfig.Plugin
	if self, err := os.Executable(); err == nil && !strings.HasPrefix(self, os.TempDir()) {
		command = self // programs that no shell started don't have our PATH
	}
	removed := removeStale(cfg, server, clusters)
	if err := addAll(cfg, clusters, kubeconfig.WithPlugin(command, server)); err != nil {
		return err
	}
	if cfg.CurrentContext == "" && len(clusters) > 0 {
		cfg.CurrentContext = clusters[0].Context
	}
	if err := clientcmd.ModifyConfig(paths, *cfg, false); err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	report(w, paths, clusters, removed)
	return nil
}

// removeStale drops own contexts of clusters that the person may not use any
// more.
func removeStale(cfg *api.Config, server string, clusters []wire.Cluster) []string {
	var removed []string
	for name, auth := range cfg.AuthInfos {
		if !isOurs(auth, server) || slices.ContainsFunc(clusters, func(c wire.Cluster) bool { return c.Context == name }) {
			continue
		}
		delete(cfg.AuthInfos, name)
		for contextName, context := range cfg.Contexts {
			if context.AuthInfo == name {
				delete(cfg.Contexts, contextName)
				delete(cfg.Clusters, context.Cluster)
				removed = append(removed, contextName)
			}
		}
	}
	slices.Sort(removed)
	return removed
}

func isOurs(auth *api.AuthInfo, server string) bool {
	return auth.Exec != nil && strings.HasPrefix(filepath.Base(auth.Exec.Command), kubeconfig.Plugin) &&
		slices.Contains(auth.Exec.Args, "--server="+server)
}

func addAll(cfg *api.Config, clusters []wire.Cluster, as kubeconfig.User) error {
	text, err := kubeconfig.Render(clusters, as)
	if err != nil {
		return err
	}
	fresh, err := clientcmd.Load(text)
	if err != nil {
		return fmt.Errorf("reading what was rendered: %w", err)
	}
	maps.Copy(cfg.Clusters, fresh.Clusters)
	maps.Copy(cfg.AuthInfos, fresh.AuthInfos)
	for name, context := range fresh.Contexts {
		if old := cfg.Contexts[name]; old != nil && old.Namespace != "" {
			context.Namespace = old.Namespace // the person chose it
		}
		cfg.Contexts[name] = context
	}
	return nil
}

func report(w io.Writer, paths *clientcmd.PathOptions, clusters []wire.Cluster, removed []string) {
	for _, name := range removed {
		fmt.Fprintf(w, "Removed the context %s: it is not shared with you any more.\n", name)
	}
	if len(clusters) == 0 {
		fmt.Fprintln(w, "No cluster is shared with you yet.")
		return
	}
	fmt.Fprintf(w, "Contexts in %s:\n", paths.GetDefaultFilename())
	for _, c := range clusters {
		fmt.Fprintf(w, "  %s\t%s\n", c.Context, c.Name)
	}
	fmt.Fprintf(w, "Try: kubectl auth whoami --context %s\n", clusters[0].Context)
}
