package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

// defaultParallel is how many clusters are asked at once.
const defaultParallel = 8

func (g *global) eachCommand() *cobra.Command {
	parallel := defaultParallel
	each := &cobra.Command{
		Use: "each SELECTOR -- KUBECTL-ARGUMENTS...", Short: "Run kubectl for many clusters at once",
		Long: "Run kubectl for many clusters at once, with one sign-in.\n\n" +
			"SELECTOR is \"all\", names and patterns (prod-eu,dev-*), or labels as kubectl takes them (environment=prod,team in (a,b)).\n" +
			"Each line of output begins with the cluster's id. Your kubeconfig is not needed and not changed.\n" +
			"The exit code is 1 when kubectl failed for any of them; which, and how, is said at the end.",
		Example: "  kubectl fairlead each all -- get nodes\n  kubectl fairlead each 'prod-*' -- get pods -A --field-selector status.phase=Failed\n  kubectl fairlead each environment=prod -- version",
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 1 || len(args) < 2 {
				return usageError{errors.New("want: kubectl fairlead each SELECTOR -- KUBECTL-ARGUMENTS, such as: kubectl fairlead each all -- get nodes")}
			}
			return nil
		},
		ValidArgsFunction: g.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			if parallel < 1 {
				return usageError{errors.New("--parallel: want 1 or more")}
			}
			c, list, err := g.mine(cmd, nil)
			if err != nil {
				return err
			}
			chosen, err := choose(list.Clusters, args[0])
			if err != nil {
				return err
			}
			r := runner{out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), args: args[1:], codes: map[string]int{}}
			return r.all(cmd.Context(), c, chosen, parallel)
		},
	}
	each.Flags().IntVar(&parallel, "parallel", parallel, "how many clusters at once")
	return each
}

// choose returns the clusters that a selector selects.
func choose(clusters []apitypes.Cluster, selector string) ([]apitypes.Cluster, error) {
	matches, err := matcher(selector)
	if err != nil {
		return nil, usageError{err}
	}
	chosen := slices.DeleteFunc(slices.Clone(clusters), func(c apitypes.Cluster) bool { return !matches(c) })
	if len(chosen) == 0 {
		var ids []string
		for _, c := range clusters {
			ids = append(ids, c.ID)
		}
		return nil, usageError{fmt.Errorf("no cluster of yours is selected by %q; yours are: %s", selector, strings.Join(ids, ", "))}
	}
	return chosen, nil
}

func matcher(selector string) (func(c apitypes.Cluster) bool, error) {
	if selector == "all" {
		return func(apitypes.Cluster) bool { return true }, nil
	}
	if strings.ContainsAny(selector, "=!()") {
		parsed, err := labels.Parse(selector)
		if err != nil {
			return nil, fmt.Errorf("the selector %q: %w", selector, err)
		}
		return func(c apitypes.Cluster) bool {
			set := labels.Set{"environment": c.Environment, "id": c.ID}
			maps.Copy(set, c.Labels)
			return parsed.Matches(set)
		}, nil
	}
	patterns := strings.Split(selector, ",")
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return nil, fmt.Errorf("the pattern %q: %w", p, err)
		}
	}
	return func(c apitypes.Cluster) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			byID, _ := path.Match(p, c.ID) // it was checked before
			byContext, _ := path.Match(p, c.Context)
			return byID || byContext
		})
	}, nil
}

// runner runs kubectl and merges what it says.
type runner struct {
	args  []string
	width int

	mu       sync.Mutex
	out, err io.Writer
	codes    map[string]int // of those that failed
}

func (r *runner) all(ctx context.Context, c *session.Client, clusters []apitypes.Cluster, parallel int) error {
	file, err := fleetFile(c, clusters)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file) }()
	for _, cluster := range clusters {
		r.width = max(r.width, len(cluster.ID))
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, cluster := range clusters {
		group.Go(func() error { return r.one(ctx, file, cluster) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(r.codes) == 0 {
		return nil
	}
	var failed []string
	for _, cluster := range clusters {
		if code, bad := r.codes[cluster.ID]; bad {
			failed = append(failed, fmt.Sprintf("%s (exit code %d)", cluster.ID, code))
		}
	}
	fmt.Fprintf(r.err, "%d of %d clusters failed: %s\n", len(failed), len(clusters), strings.Join(failed, ", "))
	return codeError{exitFailed}
}

// fleetFile is a kubeconfig of these clusters, for this run. It holds no secret.
func fleetFile(c *session.Client, clusters []apitypes.Cluster) (string, error) {
	text, err := kubeconfig.Render(clusters, kubeconfig.WithPlugin(command(), c.Account.Server, c.Account.Profile))
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "fairlead-*.kubeconfig")
	if err != nil {
		return "", fmt.Errorf("writing kubeconfig: %w", err)
	}
	_, errWrite := f.Write(text)
	if err := errors.Join(errWrite, f.Close()); err != nil {
		return "", fmt.Errorf("writing kubeconfig: %w", err)
	}
	return f.Name(), nil
}

func (r *runner) one(ctx context.Context, file string, c apitypes.Cluster) error {
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--kubeconfig", file, "--context", c.Context}, r.args...)...) //nolint:gosec // what the person asks for
	stdout, errOut := cmd.StdoutPipe()
	stderr, errErr := cmd.StderrPipe()
	if err := errors.Join(errOut, errErr, cmd.Start()); err != nil {
		return fmt.Errorf("running kubectl: %w", err)
	}
	var group errgroup.Group
	group.Go(func() error { return r.lines(r.out, c.ID, stdout) })
	group.Go(func() error { return r.lines(r.err, c.ID, stderr) })
	errRead := group.Wait()
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.codes[c.ID] = exit.ExitCode()
		return nil
	}
	return errors.Join(errRead, err)
}

// lines writes whole lines, so that those of several clusters don't mix.
func (r *runner) lines(to io.Writer, id string, from io.Reader) error {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.mu.Lock()
			_, errWrite := fmt.Fprintf(to, "%-*s  %s\n", r.width, id, strings.TrimSuffix(line, "\n"))
			r.mu.Unlock()
			if errWrite != nil {
				return errWrite
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
