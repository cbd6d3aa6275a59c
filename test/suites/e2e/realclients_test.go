package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// TestRealClients has other programs than kubectl use the kubeconfig as it is: client-go, on
// which helm, k9s, stern, Terraform and Argo CD are built, and the client for JavaScript, on
// which Lens and Headlamp are.
func TestRealClients(t *testing.T) {
	t.Parallel()
	s := setupProxies(t)
	me := s.person(t, jane())
	if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	me.expireTokens() // they have to get their own
	t.Run("client-go", func(t *testing.T) { usesClientGo(t, *me) })
	t.Run("JavaScript", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), prerequisite.Program(t, "node"), "cluster.mjs", "b", "demo")
		cmd.Dir = prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "@kubernetes/client-node")
		cmd.Env = append(append(os.Environ(), me.env...), "PATH=/usr/bin:/bin") // as a program with a window has it
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"hello"`) {
			t.Errorf("%v: %s", err, out)
		}
	})
	clients := prerequisite.Variable(t, "FAIRLEAD_TEST_CLIENTS", "Helm, stern and an older kubectl")
	t.Run("Helm", func(t *testing.T) { usesHelm(t, s, me, clients+"/helm") })
	t.Run("stern", func(t *testing.T) {
		me.expireTokens()
		if got := me.must(clients+"/stern", "hello", "--context", "b", "--namespace", "demo", "--no-follow"); !strings.Contains(got, "main from hello") {
			t.Errorf("%s", got)
		}
	})
	t.Run("an older kubectl", func(t *testing.T) { usesOlderKubectl(t, me, clients+"/kubectl") })
	if me.tabs() != 1 {
		t.Errorf("%d tabs", me.tabs())
	}
}

// usesOlderKubectl has the oldest minor that is still supported.
func usesOlderKubectl(t *testing.T, me *person, kubectl string) {
	me.expireTokens()
	if got := me.must(kubectl, "version", "--client"); !strings.Contains(got, "Client Version: v1.35.") {
		t.Errorf("%s", got)
	}
	if got := me.must(kubectl, "auth", "whoami", "--context", "a"); !strings.Contains(got, "local:jane@example.test") {
		t.Errorf("%s", got)
	}
	if got := me.must(kubectl, "exec", "hello", "-n", "demo", "--context", "b", "--", "echo", "over", "here"); !strings.Contains(got, "over here") {
		t.Errorf("%s", got)
	}
	if r := me.run("", kubectl, "get", "nodes", "--context", "a"); r.code == 0 || !strings.Contains(r.err, "Forbidden") {
		t.Errorf("%+v", r)
	}
}

func usesClientGo(t *testing.T, p person) {
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: p.home + "/kubeconfig"}, &clientcmd.ConfigOverrides{CurrentContext: "a"}).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range p.env { // client-go starts the plugin with this program's environment, and these
		name, value, _ := strings.Cut(v, "=")
		cfg.ExecProvider.Env = append(cfg.ExecProvider.Env, clientcmdapi.ExecEnvVar{Name: name, Value: value})
	}
	client, err := corev1.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	pods, err := client.Pods("demo").List(ctx, metav1.ListOptions{})
	if err != nil || len(pods.Items) == 0 {
		t.Errorf("%v %v", pods, err)
	}
}

// chart is a Helm chart of one ConfigMap.
var chart = map[string]string{
	"Chart.yaml":          "apiVersion: v2\nname: greeting\nversion: 1.0.0\n",
	"values.yaml":         "text: hello\n",
	"templates/text.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}\"}\ndata: {text: \"{{ .Values.text }}\"}\n",
}

// deployers lets developers do what Helm does.
const deployers = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: deployer, namespace: demo}
rules:
- {apiGroups: [""], resources: [configmaps, secrets], verbs: [get, list, watch, create, update, patch, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployers, namespace: demo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: "local:developers"}
`

// usesHelm installs, upgrades, lists and removes.
func usesHelm(t *testing.T, s *system, p *person, bin string) {
	s.apply(t, deployers)
	p.expireTokens()
	for name, text := range chart {
		if err := os.MkdirAll(filepath.Dir(p.home+"/chart/"+name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, p.home+"/chart/"+name, text)
	}
	helm := func(args ...string) string {
		t.Helper()
		return p.must(bin, append(args, "--kube-context", "a", "--namespace", "demo")...)
	}
	helm("install", "first", p.home+"/chart")
	helm("upgrade", "first", p.home+"/chart", "--set", "text=changed")
	if got := p.kubectl("get", "configmap", "first", "-n", "demo", "--context", "b", "-o", "jsonpath={.data.text}"); got != "changed" {
		t.Errorf("%q", got)
	}
	if got := helm("list"); !strings.Contains(got, "first") || !strings.Contains(got, "deployed") {
		t.Errorf("%s", got)
	}
	helm("uninstall", "first")
}
