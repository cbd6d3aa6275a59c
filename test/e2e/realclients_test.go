package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/test/need"
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
		cmd := exec.CommandContext(t.Context(), need.Program(t, "node"), "cluster.mjs", "b", "demo")
		cmd.Dir = need.Variable(t, "FAIRLEAD_TEST_JS", "@kubernetes/client-node")
		cmd.Env = append(append(os.Environ(), me.env...), "PATH=/usr/bin:/bin") // as a program with a window has it
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"hello"`) {
			t.Errorf("%v: %s", err, out)
		}
	})
	if me.tabs() != 1 {
		t.Errorf("%d tabs", me.tabs())
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
