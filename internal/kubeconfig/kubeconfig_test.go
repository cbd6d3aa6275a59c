package kubeconfig_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

var update = flag.Bool("update", false, "write the golden files")

func clusters() []apitypes.Cluster {
	return []apitypes.Cluster{
		{ID: "prod-eu", Name: "Production Europe", Context: "acme-prod-eu", Server: "https://prod-eu.k8s.acme.example", CA: "PEM", Audience: "k8s-prod-eu", Namespace: "team-a"},
		{ID: "dev", Name: "Dev: \"odd\" # name", Context: "acme-dev", Server: "https://dev.k8s.acme.example:6443", Audience: "k8s-dev"},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	const server = "https://login.acme.example"
	for name, c := range map[string]struct {
		clusters []apitypes.Cluster
		execFor  kubeconfig.ExecFunc
	}{
		"plugin":    {clusters(), kubeconfig.WithPlugin(kubeconfig.Plugin, server, "")},
		"windows":   {clusters()[:1], kubeconfig.WithPlugin(`C:\Program Files\fairlead\kubectl-fairlead.exe`, server, "")},
		"kubelogin": {clusters(), kubeconfig.WithKubelogin(server)},
		"empty":     {nil, kubeconfig.WithPlugin(kubeconfig.Plugin, server, "")},
	} {
		got, err := kubeconfig.Render(c.clusters, c.execFor)
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".yaml")
		if *update {
			if err := os.WriteFile(golden, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		parsed, err := clientcmd.Load(got)
		if err != nil {
			t.Fatalf("%s: client-go: %v", name, err)
		}
		check(t, name, parsed, c.clusters)
	}
}

// check compares the file, as client-go loads it, with the clusters.
func check(t *testing.T, name string, parsed *api.Config, clusters []apitypes.Cluster) {
	t.Helper()
	if err := clientcmd.Validate(*parsed); err != nil && len(clusters) > 0 {
		t.Errorf("%s: %v", name, err)
	}
	for _, c := range clusters {
		context := parsed.Contexts[c.Context]
		if context == nil || context.Namespace != c.Namespace {
			t.Fatalf("%s: context %+v", name, context)
		}
		if got := parsed.Clusters[context.Cluster]; got.Server != c.Server || string(got.CertificateAuthorityData) != c.CA {
			t.Errorf("%s: cluster %+v", name, got)
		}
		exec := parsed.AuthInfos[context.AuthInfo].Exec
		if exec.APIVersion != kubeconfig.APIVersion || exec.InteractiveMode != api.IfAvailableExecInteractiveMode || exec.InstallHint == "" {
			t.Errorf("%s: exec %+v", name, exec)
		}
		auth := parsed.AuthInfos[context.AuthInfo]
		if auth.Token != "" || auth.Password != "" || auth.AuthProvider != nil || strings.Contains(strings.Join(exec.Args, " "), "secret") {
			t.Errorf("%s: there is a secret in the file: %+v", name, auth)
		}
	}
}
