package e2e_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"k8s.io/client-go/tools/clientcmd"
)

// visitDemo signs in as jane in Chromium, waits until the page says that the
// cluster is ready, and downloads its kubeconfig.
func visitDemo(t *testing.T, s *system) string {
	t.Helper()
	c := startChromium(t, s)
	downloads := t.TempDir()
	c.do(browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(downloads))
	c.look(1280, "light")
	c.signInPlain(s.issuer + "/")
	c.shoot("demo-starting", "light", 1280)
	eventually(t, "cluster", 3*time.Minute, func() bool {
		c.do(chromedp.Navigate(s.issuer+"/"), chromedp.WaitReady("#clusters"))
		text := c.eval("document.body.innerText")
		if !strings.Contains(text, "Demo cluster") || !strings.Contains(text, "This is a demo") {
			t.Fatalf("the page says:\n%s", text)
		}
		return strings.Contains(text, "Ready")
	})
	c.shoot("demo-ready", "light", 1280)
	c.click("a.cluster-name")
	c.do(chromedp.Click("label[for=way-download]", chromedp.ByQuery), chromedp.Click("#way-download + label + .tabset-panel a.button-like", chromedp.ByQuery))
	file := downloads + "/demo.kubeconfig.yaml"
	eventually(t, "download", 20*time.Second, func() bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), "users:")
	})
	return readFile(t, file)
}

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
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	out := start(t, root+"/bin/demo", env)
	eventually(t, "portal", time.Minute, func() bool { return strings.Contains(out.String(), "Fairlead is up") })
	issuer := "http://localhost:" + port
	s := &system{parts: p, dir: dir, issuer: issuer, client: http.DefaultClient}
	writeFile(t, dir+"/ca.crt", readFile(t, dir+"/proxy-ca.crt"))

	// 1. In a browser.
	file := visitDemo(t, s)
	cfg, err := clientcmd.Load([]byte(file))
	if err != nil || len(cfg.Contexts) != 1 || strings.Contains(file, "eyJ") || strings.Contains(file, "token: ") {
		t.Fatalf("%v\n%s", err, file)
	}

	// 2. On the command line.
	me := s.person(t, jane())
	kubeconfig := writeFile(t, me.home+"/downloaded", file)
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
