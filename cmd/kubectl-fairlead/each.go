package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

// defaultParallel is the default number of clusters at the same time.
const defaultParallel = 8

func (a *app) eachCommand() *cobra.Command {
	parallel := defaultParallel
	var server string
	each := &cobra.Command{
		Use: "each SELECTOR -- KUBECTL-ARGUMENTS...", Short: "Run kubectl for several clusters at once", SuggestFor: []string{"foreach", "for-each", "run", "exec"},
		Long: "Run kubectl for several clusters at once, with one sign-in.\n\n" +
			"SELECTOR is \"all\", a list of names and patterns (prod-eu,dev-*), or a label\nselector as in kubectl (environment=prod,team in (a,b)).\n\n" +
			"Each line of output begins with the cluster's id. Your kubeconfig is neither\nused nor changed. The exit code is 1 if kubectl failed for a cluster; the last\nline names those clusters.",
		Example: "  kubectl fairlead each all -- get nodes\n  kubectl fairlead each 'prod-*' -- get pods -A --field-selector status.phase=Failed\n  kubectl fairlead each environment=prod -- version",
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 1 || len(args) < 2 {
				return errUsage(cmd, "\"kubectl fairlead each\" needs a selector, two dashes and arguments for kubectl, such as: kubectl fairlead each all -- get nodes")
			}
			return nil
		},
		ValidArgsFunction: a.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			if parallel < 1 {
				return errUsage(cmd, "--parallel must be 1 or more.")
			}
			c, list, err := a.clientWithClusters(cmd, serverArgument(server))
			if err != nil {
				return err
			}
			selected, err := selectClusters(list.Clusters, args[0])
			if err != nil {
				return err
			}
			f := fleetRun{out: output(cmd), errs: messages(cmd), args: args[1:], exitCodes: map[string]int{}}
			return f.run(cmd.Context(), c, selected, parallel)
		},
	}
	each.Flags().IntVar(&parallel, "parallel", parallel, "`number` of clusters at the same time")
	addServerFlag(each, &server)
	return each
}

// fleetRun runs kubectl for several clusters and merges the output.
type fleetRun struct {
	args      []string
	idWidth   int
	out, errs *terminal.Output
	progress  *terminal.Progress

	mu        sync.Mutex
	finished  int
	stop      context.CancelFunc // stops kubectl for all clusters
	stopped   []string           // clusters for which a signal has stopped kubectl
	exitCodes map[string]int     // of the clusters for which kubectl failed
}

func (f *fleetRun) run(ctx context.Context, c *session.Client, clusters []apitypes.Cluster, parallel int) error {
	file, err := writeFleetKubeconfig(c, clusters)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file) }()
	for _, cluster := range clusters {
		f.idWidth = max(f.idWidth, len(cluster.ID))
	}
	f.progress = f.errs.Progress(f.progressText(len(clusters)))
	ctx, f.stop = context.WithCancel(ctx)
	defer f.stop()
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, cluster := range clusters {
		group.Go(func() error {
			err := f.runKubectl(ctx, file, cluster)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.finished++
			f.progress.Update(f.progressText(len(clusters)))
			return err
		})
	}
	err = group.Wait()
	f.progress.Stop()
	if ctx.Err() != nil {
		return stoppedError{fmt.Errorf("Cancelled: kubectl was stopped for %s.\nRun the command again for these clusters.", strings.Join(f.stopped, ", "))} //nolint:revive,staticcheck // a sentence for the user
	}
	if err != nil {
		return err
	}
	return f.summarize(clusters)
}

func (f *fleetRun) progressText(total int) string {
	return fmt.Sprintf("kubectl: %d of %d clusters finished", f.finished, total)
}

// summarize names the clusters for which kubectl failed.
func (f *fleetRun) summarize(clusters []apitypes.Cluster) error {
	if len(f.exitCodes) == 0 {
		return nil
	}
	var failed []string
	for _, cluster := range clusters {
		if code, ok := f.exitCodes[cluster.ID]; ok {
			failed = append(failed, fmt.Sprintf("%s (exit code %d)", cluster.ID, code))
		}
	}
	fmt.Fprintf(f.errs, "%s: %s\n", f.errs.Bad(fmt.Sprintf("%d of %d clusters failed", len(failed), len(clusters))), strings.Join(failed, ", "))
	return codeError{exitFailed}
}

// writeFleetKubeconfig writes a temporary kubeconfig of the clusters. It holds no secret.
func writeFleetKubeconfig(c *session.Client, clusters []apitypes.Cluster) (string, error) {
	text, err := kubeconfig.Render(clusters, kubeconfig.WithPlugin(pluginCommand(), c.Account.Server, c.Account.Profile))
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "fairlead-*.kubeconfig")
	if err != nil {
		return "", fmt.Errorf("writing a temporary kubeconfig: %w", err)
	}
	_, errWrite := f.Write(text)
	if err := errors.Join(errWrite, f.Close()); err != nil {
		return "", fmt.Errorf("writing a temporary kubeconfig: %w", err)
	}
	return f.Name(), nil
}

// stopDelay is how long kubectl may take to end after an interrupt.
const stopDelay = 5 * time.Second

func (f *fleetRun) runKubectl(ctx context.Context, file string, c apitypes.Cluster) error {
	if ctx.Err() != nil {
		f.markStopped(c.ID)
		return nil
	}
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--kubeconfig", file, "--context", c.Context}, f.args...)...) //nolint:gosec // the user's arguments
	cmd.WaitDelay = stopDelay
	cmd.Cancel = func() error {
		if cmd.Process.Signal(os.Interrupt) != nil { // Windows has no interrupt
			return cmd.Process.Kill()
		}
		return nil
	}
	stdout, errOut := cmd.StdoutPipe()
	stderr, errErr := cmd.StderrPipe()
	if err := errors.Join(errOut, errErr, cmd.Start()); err != nil {
		return fmt.Errorf("running kubectl: %w. Install kubectl: %s", err, kubectlInstallURL)
	}
	var group errgroup.Group
	group.Go(func() error { return f.copyLines(f.out, c.ID, stdout) })
	group.Go(func() error { return f.copyLines(f.errs, c.ID, stderr) })
	errRead := group.Wait()
	err := cmd.Wait()
	if ctx.Err() != nil || interrupted(cmd.ProcessState) {
		f.markStopped(c.ID)
		return nil
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.exitCodes[c.ID] = exit.ExitCode()
		return nil
	}
	return errors.Join(errRead, err)
}

// markStopped notes that a signal has stopped kubectl for a cluster, and stops it for the others. A terminal sends
// Ctrl-C to kubectl as well, which can end before this program gets the signal.
func (f *fleetRun) markStopped(id string) {
	f.stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = append(f.stopped, id)
}

// copyLines writes complete lines with the cluster's id, so that the lines of several clusters
// don't mix.
func (f *fleetRun) copyLines(to *terminal.Output, id string, from io.Reader) error {
	prefix := to.Bold(fmt.Sprintf("%-*s", f.idWidth, id))
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var errWrite error
			f.progress.Around(func() {
				_, errWrite = fmt.Fprintf(to, "%s  %s\n", prefix, strings.TrimSuffix(line, "\n"))
			})
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
