package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/merge"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
	"github.com/fairlead-auth/fairlead/internal/version"
)

// finding is what one check found. Advice is what to do when it is not good.
type finding struct {
	what, found, advice string
	good                bool
}

func (g *global) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor [SERVER]", Short: "Find out why it does not work", Args: cobra.MaximumNArgs(1),
		Long: "Look at everything that has to fit: this program, kubectl, its allow list, your kubeconfig, the server, the clocks, and your sign-in.\n" +
			"Nothing is changed. The exit code is 1 when anything is wrong.",
		RunE: func(cmd *cobra.Command, args []string) error {
			findings := []finding{g.onPath(), kubectlIsThere(cmd.Context()), allowList()}
			if c, err := g.clientFor(cmd, args); err != nil {
				findings = append(findings, finding{what: "sign-in", found: err.Error(), advice: "Sign in first, or name a server."})
			} else {
				findings = append(findings, files(c)...)
				findings = append(findings, atServer(cmd.Context(), c)...)
			}
			bad := 0
			for _, f := range findings {
				mark := "ok  "
				if !f.good {
					mark = "BAD "
					bad++
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %-12s %s\n", mark, f.what, f.found)
				if !f.good && f.advice != "" {
					fmt.Fprintf(cmd.OutOrStdout(), "                  %s\n", f.advice)
				}
			}
			if bad > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d checks found something.\n", bad, len(findings))
				return codeError{exitFailed}
			}
			return nil
		},
	}
}

// onPath looks whether "kubectl fairlead" finds this program.
func (*global) onPath() finding {
	f := finding{what: "plugin", advice: "Put this program into a folder of your PATH, under the name " + kubeconfig.Plugin + "."}
	self, err := os.Executable()
	if err != nil {
		f.found = err.Error()
		return f
	}
	found, err := exec.LookPath(kubeconfig.Plugin)
	if err != nil {
		f.found = self + " is not in your PATH: kubectl does not find it"
		return f
	}
	if !sameFile(self, found) {
		f.found, f.advice = fmt.Sprintf("kubectl runs %s, this is %s", found, self), "Remove one of the two."
		return f
	}
	f.good, f.found = true, found+", version "+version.String()
	return f
}

const kubectlPatience = 10 * time.Second

func kubectlIsThere(ctx context.Context) finding {
	f := finding{what: "kubectl", advice: "Install kubectl: https://kubernetes.io/docs/tasks/tools/"}
	ctx, cancel := context.WithTimeout(ctx, kubectlPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "kubectl", "version", "--client", "-o", "yaml").Output()
	if err != nil {
		f.found = err.Error()
		return f
	}
	var said struct {
		ClientVersion struct{ GitVersion string }
	}
	if err := yaml.Unmarshal(out, &said); err != nil || said.ClientVersion.GitVersion == "" {
		f.found = "it does not say its version"
		return f
	}
	f.good, f.found = true, said.ClientVersion.GitVersion
	return f
}

// allowList looks whether kuberc lets kubectl run the plugin (kubectl 1.35 and later).
func allowList() finding {
	f := finding{what: "allow list", good: true, found: "kuberc allows every plugin"}
	home, err := os.UserHomeDir()
	file := os.Getenv("KUBERC")
	if file == "" && err == nil {
		file = filepath.Join(home, ".kube", "kuberc")
	}
	text, err := os.ReadFile(file) //nolint:gosec // the person's own preferences
	if err != nil {
		return f
	}
	var prefs struct {
		Policy string `json:"credentialPluginPolicy"`
		List   []struct {
			Name    string `json:"name"`
			Command string `json:"command"`
		} `json:"credentialPluginAllowlist"`
	}
	if err := yaml.Unmarshal(text, &prefs); err != nil {
		return finding{what: "allow list", found: file + " can't be read: " + err.Error()}
	}
	for _, entry := range prefs.List {
		if strings.TrimSuffix(filepath.Base(entry.Name+entry.Command), ".exe") == kubeconfig.Plugin {
			f.found = file + " allows the plugin"
			return f
		}
	}
	if prefs.Policy == "DenyAll" || prefs.Policy == "Allowlist" {
		return finding{what: "allow list", found: fmt.Sprintf("%s has credentialPluginPolicy: %s, and not this plugin", file, prefs.Policy), advice: "Add to credentialPluginAllowlist: - name: " + command()}
	}
	return f
}

// files looks at the kubeconfigs.
func files(c *session.Client) []finding {
	var list []finding
	names, first := kubeconfigs("")
	own := 0
	for _, name := range names {
		text, err := os.ReadFile(name) //nolint:gosec // the person's own kubeconfig
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var ids []string
		if err == nil {
			ids, _, err = merge.Entries(text, merge.Account(c.Account))
		}
		if err != nil {
			list = append(list, finding{what: "kubeconfig", found: name + ": " + err.Error(), advice: "Mend it, or name another file with KUBECONFIG."})
			continue
		}
		own += len(ids)
		if _, err := os.Stat(name + ".lock"); err == nil {
			list = append(list, finding{what: "kubeconfig", found: name + ".lock is there", advice: "When no kubectl is writing, remove it: it was left by one that was killed."})
		}
	}
	f := finding{what: "kubeconfig", good: own > 0, found: fmt.Sprintf("%d contexts in %s", own, first), advice: "Run: kubectl fairlead kubeconfig"}
	return append(list, f)
}

// maxSkew is how wrong a clock may be before tokens are refused.
const maxSkew = 30 * time.Second

// atServer asks the server, as kubectl would.
func atServer(ctx context.Context, c *session.Client) []finding {
	s := c.Cache.Session()
	ca := ""
	if s != nil {
		ca = s.CA
	}
	server, err := serverclient.New(c.Account.Server, ca, c.Now)
	if err == nil {
		err = server.Check(ctx)
	}
	if err != nil {
		advice := "Is the address right, and can this computer reach it? Proxies: " + proxies()
		if strings.Contains(err.Error(), "certificate") {
			advice = "Trust the authority of the server: kubectl fairlead login " + c.Account.Server + " --certificate-authority FILE"
		}
		return []finding{{what: "server", found: err.Error(), advice: advice}}
	}
	list := []finding{{what: "server", good: true, found: c.Account.Server}}
	skew := server.Skew().Round(time.Second)
	list = append(list, finding{what: "clock", good: skew.Abs() < maxSkew, found: fmt.Sprintf("differs from the server's by %s", skew.Abs()), advice: "Set the clock of this computer: tokens are refused otherwise."})
	mine, err := c.Clusters(ctx)
	if err != nil {
		return append(list, finding{what: "sign-in", found: strings.ReplaceAll(err.Error(), "\n", " "), advice: "Run: kubectl fairlead login " + c.Account.Server})
	}
	list = append(list, finding{what: "sign-in", good: true, found: fmt.Sprintf("%s, kept in %s", mine.User, kept(c.Cache.Session()))})
	return append(list, finding{
		what: "clusters", good: len(mine.Clusters) > 0, found: fmt.Sprintf("%d are shared with you", len(mine.Clusters)), advice: "Ask the people who run them: " + c.Account.Server + "/",
	})
}

func proxies() string {
	var set []string
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"} {
		if os.Getenv(name) != "" {
			set = append(set, name)
		}
	}
	if len(set) == 0 {
		return "none are set."
	}
	return strings.Join(set, ", ") + " are set."
}
