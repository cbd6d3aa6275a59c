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

	"sigs.k8s.io/yaml"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/merge"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
	"github.com/fairlead-auth/fairlead/internal/version"
)

// checkPlugin checks that "kubectl fairlead" runs this program.
func checkPlugin() checkResult {
	r := checkResult{name: "plugin", advice: "Move this program into a folder of your PATH, with the name " + kubeconfig.Plugin + "."}
	self, err := os.Executable()
	if err != nil {
		r.result = err.Error()
		return r
	}
	found, err := exec.LookPath(kubeconfig.Plugin)
	if err != nil {
		r.result = "kubectl does not find " + self + ": it is not in your PATH"
		return r
	}
	if !sameFile(self, found) {
		r.result, r.advice = fmt.Sprintf("kubectl runs %s, but this is %s", found, self), "Remove one of them."
		return r
	}
	r.ok, r.result = true, found+", version "+version.String()
	return r
}

const (
	kubectlTimeout    = 10 * time.Second
	kubectlInstallURL = "https://kubernetes.io/docs/tasks/tools/"
)

func checkKubectl(ctx context.Context) checkResult {
	r := checkResult{name: "kubectl", advice: "Install kubectl: " + kubectlInstallURL}
	ctx, cancel := context.WithTimeout(ctx, kubectlTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "kubectl", "version", "--client", "-o", "yaml").Output()
	if err != nil {
		r.result = err.Error()
		return r
	}
	var answer struct {
		ClientVersion struct{ GitVersion string }
	}
	if err := yaml.Unmarshal(out, &answer); err != nil || answer.ClientVersion.GitVersion == "" {
		r.result = `"kubectl version --client" prints no version`
		return r
	}
	r.ok, r.result = true, answer.ClientVersion.GitVersion
	return r
}

// checkAllowList checks that the preferences of kubectl 1.35 and later (kuberc) allow the
// plugin.
func checkAllowList() checkResult {
	allowed := checkResult{name: "allow list", ok: true, result: "kubectl allows every plugin"}
	home, err := os.UserHomeDir()
	file := os.Getenv("KUBERC")
	if file == "" && err == nil {
		file = filepath.Join(home, ".kube", "kuberc")
	}
	text, err := os.ReadFile(file) //nolint:gosec // the user's own preferences
	if err != nil {
		return allowed
	}
	var preferences struct {
		Policy    string `json:"credentialPluginPolicy"`
		Allowlist []struct {
			Name    string `json:"name"`
			Command string `json:"command"`
		} `json:"credentialPluginAllowlist"`
	}
	if err := yaml.Unmarshal(text, &preferences); err != nil {
		return checkResult{name: "allow list", result: file + " can't be read: " + err.Error(), advice: "Repair the file."}
	}
	for _, entry := range preferences.Allowlist {
		if strings.TrimSuffix(filepath.Base(entry.Name+entry.Command), ".exe") == kubeconfig.Plugin {
			allowed.result = file + " allows the plugin"
			return allowed
		}
	}
	if preferences.Policy == "DenyAll" || preferences.Policy == "Allowlist" {
		return checkResult{name: "allow list", result: fmt.Sprintf("%s has credentialPluginPolicy: %s, and does not allow this plugin", file, preferences.Policy), advice: "Add to credentialPluginAllowlist: - name: " + pluginCommand()}
	}
	return allowed
}

// checkKubeconfigs checks that the kubeconfigs are valid, not locked, and have contexts of the
// account.
func checkKubeconfigs(c *session.Client) []checkResult {
	var results []checkResult
	files, first := kubeconfigPaths("")
	count := 0
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // the user's own kubeconfig
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var contents merge.Contents
		if err == nil {
			contents, err = merge.Read(text)
		}
		if err != nil {
			results = append(results, checkResult{name: "kubeconfig", result: file + ": " + err.Error(), advice: "Repair the file, or name another one in KUBECONFIG."})
			continue
		}
		count += len(contents.Clusters(merge.Account(c.Account)))
		if _, err := os.Stat(file + ".lock"); err == nil {
			results = append(results, checkResult{name: "kubeconfig", result: "the file is locked by " + file + ".lock", advice: "If no kubectl is running, remove " + file + ".lock: a kubectl that was killed left it."})
		}
	}
	return append(results, checkResult{name: "kubeconfig", ok: count > 0, result: fmt.Sprintf("%d contexts of this account in %s", count, first), advice: "Run: kubectl fairlead kubeconfig"})
}

// maxClockSkew is the largest difference of clocks with which tokens are accepted.
const maxClockSkew = 30 * time.Second

// checkServer checks the server, the clocks, the sign-in and the clusters.
func checkServer(ctx context.Context, c *session.Client) []checkResult {
	ca := ""
	if s := c.Cache.Session(); s != nil {
		ca = s.CA
	}
	server, err := serverclient.New(c.Account.Server, ca, c.Now)
	if err == nil {
		err = server.Check(ctx)
	}
	if err != nil {
		advice := "Check the address and your network. Proxy settings: " + proxySettings()
		if strings.Contains(err.Error(), "certificate") {
			advice = adviceCertificate(c.Account.Server)
		}
		return []checkResult{{name: "server", result: err.Error(), advice: advice}}
	}
	results := []checkResult{{name: "server", ok: true, result: c.Account.Server}}
	skew := server.Skew().Round(time.Second).Abs()
	results = append(results, checkResult{name: "clock", ok: skew < maxClockSkew, result: fmt.Sprintf("differs from the server's clock by %s", skew), advice: "Set the clock of this computer. Clusters refuse tokens that are not valid yet."})
	list, err := c.Clusters(ctx)
	if err != nil {
		return append(results, checkResult{name: "sign-in", result: firstLine(err.Error()), advice: "Run: " + session.LoginCommand(c.Account)})
	}
	s := c.Cache.Session()
	results = append(results, checkResult{name: "sign-in", ok: true, result: fmt.Sprintf("%s, stored in %s", list.User, storage(s != nil && s.InKeyring))})
	return append(results, checkResult{
		name: "clusters", ok: len(list.Clusters) > 0, result: fmt.Sprintf("access to %d", len(list.Clusters)), advice: "Ask an admin for access: " + c.Account.Server + "/",
	})
}

// proxySettings names the proxy variables that are set.
func proxySettings() string {
	var set []string
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"} {
		if os.Getenv(name) != "" {
			set = append(set, name)
		}
	}
	if len(set) == 0 {
		return "none."
	}
	return strings.Join(set, ", ") + "."
}
