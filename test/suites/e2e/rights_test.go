package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// TestTheProxyMayDoWhatItNeeds runs one proxy with each form of its rights, and one with all:
// people can work, the proxy itself can't be used for more, and it says when it could.
func TestTheProxyMayDoWhatItNeeds(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	a, b := freeAddress(t), freeAddress(t)
	s.runFor(t, a, b)
	s.startKube(t, nil)
	if _, err := s.kube.Kubectl(t.Context(), "", "delete", "clusterrolebinding", "fairlead-proxy"); err != nil {
		t.Fatal(err)
	}
	s.apply(t, readFile(t, "../../../deploy/kubernetes/proxy-rbac-constrained.yaml"))
	s.startProxy(t, "a", a, "")
	s.startProxy(t, "b", b, s.kube.Admin)
	me := s.person(t, jane())
	if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	// Everything that a developer does, with constrained impersonation only.
	me.kubectl("get", "pods", "-n", "demo", "--context", "a")
	me.kubectl("get", "--raw", "/healthz", "--context", "a")
	me.kubectl("auth", "whoami", "--context", "a")
	me.kubectl("api-resources", "--context", "a")
	execWorks(t, *me)
	logsWork(t, *me)
	watchWorks(t, *me)
	portForwardWorks(t, *me)
	if r := me.run("", "kubectl", "delete", "pod", "-n", "demo", "second", "--context", "a", "--wait=false"); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if r := me.run("", "kubectl", "get", "secrets", "-n", "kube-system", "--context", "a"); r.code == 0 || !strings.Contains(r.err, `User "local:jane@example.test" cannot list`) {
		t.Errorf("%+v", r)
	}
	eventually(t, "a warning of the one with all rights", 20*time.Second, func() bool {
		return strings.Contains(s.proxies["b"].String(), "has permissions that the proxy does not need")
	})
	if strings.Contains(s.proxies["a"].String(), "has permissions that the proxy does not need") || strings.Contains(s.proxies["a"].String(), "permissions are unknown") {
		t.Errorf("a warning without a reason: %s", s.proxies["a"])
	}
	t.Run("broken into", func(t *testing.T) { brokenInto(t, s) })
}

// brokenInto uses the proxy's credential as a burglar would.
func brokenInto(t *testing.T, s *system) {
	file, err := s.kube.ClientKubeconfig("burglar", "fairlead-proxy")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]int{"": http.StatusForbidden, "system:node:fake": http.StatusForbidden, "system:serviceaccount:kube-system:default": http.StatusForbidden, "local:jane@example.test": http.StatusForbidden} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.kube.URL+"/api/v1/namespaces/kube-system/secrets", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			req.Header["Impersonate-User"] = []string{user}
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("as %q: %s", user, resp.Status)
		}
	}
}
