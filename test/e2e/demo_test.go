package e2e_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-auth/fairlead/test/rp"
)

// TestDemo is "make run", then what its first visitor does: sign in as jane,
// see the cluster, download the kubeconfig, use kubectl.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	dir := t.TempDir()
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	_, proxyPort, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"FAIRLEAD_DEMO_DIR=" + dir, "FAIRLEAD_DEMO_PORT=" + port, "FAIRLEAD_DEMO_PROXY_PORT=" + proxyPort}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	out := start(t, root+"/bin/demo", env)
	eventually(t, "portal", time.Minute, func() bool { return strings.Contains(out.String(), "Fairlead is up") })
	issuer := "http://localhost:" + port
	s := &system{parts: p, dir: dir, issuer: issuer, client: http.DefaultClient}
	writeFile(t, dir+"/ca.crt", "")

	// 1. In a browser.
	b := rp.NewBrowser(t, issuer, nil)
	home := b.SignIn(issuer+"/", jane().Credentials)
	if !strings.Contains(home.Text, "Demo cluster") || !strings.Contains(home.Text, "This is a demo") {
		t.Fatalf("%v\n%s", home, home.Text)
	}
	eventually(t, "cluster", 3*time.Minute, func() bool {
		return strings.Contains(b.Get(issuer+"/").Doc.Find("#clusters").Text(), "Ready")
	})
	file := b.Get(issuer + "/clusters/demo/kubeconfig")
	if got := file.Header.Get("Content-Disposition"); !strings.Contains(got, "demo.kubeconfig.yaml") {
		t.Errorf("Content-Disposition %q", got)
	}
	cfg, err := clientcmd.Load([]byte(file.Text))
	if err != nil || len(cfg.Contexts) != 1 || strings.Contains(file.Text, "eyJ") || strings.Contains(file.Text, "token: ") {
		t.Fatalf("%v\n%s", err, file.Text)
	}

	// 2. On the command line.
	me := s.person(t, jane())
	kubeconfig := writeFile(t, me.home+"/downloaded", file.Text)
	if got := me.kubectl("--kubeconfig", kubeconfig, "get", "pods", "-n", "demo"); !strings.Contains(got, "web") {
		t.Errorf("get pods: %s", got)
	}
	if r := me.run("", "kubectl", "--kubeconfig", kubeconfig, "get", "nodes"); r.code == 0 || !strings.Contains(r.err, "local:jane@example.test") {
		t.Errorf("get nodes: %+v", r)
	}
	if r := me.run("", "kubectl", "--kubeconfig", kubeconfig, "exec", "web", "--", "id"); r.code == 0 {
		t.Errorf("exec must run nothing on this computer: %+v", r)
	}
	if _, err := os.Stat(dir + "/fairlead.db"); err != nil {
		t.Error(err)
	}
}
