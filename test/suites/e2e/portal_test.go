package e2e_test

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestTheListIsOnesOwn marks a cluster, uses one, and looks what the list says of it.
func TestTheListIsOnesOwn(t *testing.T) {
	t.Parallel()
	s := setupProxies(t)
	b := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	names := func(page *relyingparty.Page) []string {
		return page.Doc.Find(".cluster-name").Map(func(_ int, d *relyingparty.Selection) string { return d.Text() })
	}
	page := b.SignIn(s.issuer+"/", jane().Credentials)
	if got := names(page); !slices.Equal(got, []string{"Cluster a", "Cluster b"}) {
		t.Fatalf("%q\n%s", got, page.Text)
	}
	eventually(t, "both clusters to answer", 10*time.Second, func() bool { return b.Get(s.issuer+"/").Doc.Find("#clusters .state.ok").Length() == 2 })
	page = b.Post(s.issuer+"/clusters/b/favourite", url.Values{"favourite": {"yes"}, "back": {"/?q=cluster"}})
	if got := names(page); !slices.Equal(got, []string{"Cluster b", "Cluster a"}) || page.Doc.Find("[aria-pressed=true]").Length() != 1 || page.Doc.Find("#clusters time").Length() != 0 {
		t.Errorf("%q\n%s", got, page.Text)
	}
	me := s.person(t, jane())
	me.must("kubectl-fairlead", "login", s.issuer)
	me.kubectl("auth", "whoami", "--context", "a")
	page = b.Get(s.issuer + "/")
	if got := page.Doc.Find("#clusters tbody tr").Eq(1).Find("time").AttrOr("datetime", ""); !strings.HasPrefix(got, time.Now().UTC().Format("2006-01-02T15")) || page.Doc.Find("#clusters time").Length() != 1 {
		t.Errorf("last used %q", got)
	}
	if got := names(b.Post(s.issuer+"/clusters/b/favourite", url.Values{"favourite": {"no"}, "back": {"//evil.example"}})); !slices.Equal(got, []string{"Cluster a", "Cluster b"}) {
		t.Errorf("%q", got)
	}
	// A user without access to a cluster can't mark it, and learns nothing about it.
	stranger := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	stranger.SignIn(s.issuer+"/", bob().Credentials)
	for _, id := range []string{"a", "nope"} {
		if page := stranger.Post(s.issuer+"/clusters/"+id+"/favourite", url.Values{"favourite": {"yes"}}); page.Status != http.StatusNotFound {
			t.Errorf("%s: %d", id, page.Status)
		}
	}
}

// TestATokenInAFile is for a computer where nothing may be installed.
func TestATokenInAFile(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	a, b := freeAddress(t), freeAddress(t)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), localUsers(t)+"clusters:\n"+strings.Replace(clusterEntry("a", a, s.dir), "}", ", tokenFile: 30m}", 1)+clusterEntry("b", b, s.dir)+`
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
`)
	s.startKube(t, nil)
	s.startProxy(t, "a", a, "")
	browser := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	page := browser.SignIn(s.issuer+"/clusters/a", jane().Credentials)
	form := page.Doc.Find(`form[action$="/token-file"]`)
	if form.Length() != 1 || !strings.Contains(page.Text, "It is a password") || !strings.Contains(page.Text, "for 30 minutes") {
		t.Fatalf("%s", page.Text)
	}
	file := browser.Post(s.issuer+form.AttrOr("action", ""), nil)
	if file.Status != http.StatusOK || !strings.HasPrefix(file.Header.Get("Content-Disposition"), `attachment; filename="a-until-`) || file.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", file.Status, file.Header)
	}
	cfg, err := clientcmd.Load([]byte(file.Text))
	if err != nil || cfg.AuthInfos["a"].Exec != nil {
		t.Fatalf("%v %v", err, cfg)
	}
	claims := relyingparty.Claims(t, cfg.AuthInfos["a"].Token)
	if life := claims["exp"].(float64) - claims["iat"].(float64); life != 1800 || claims["aud"] != "k8s-a" || claims["sid"] == nil {
		t.Errorf("%v", claims)
	}
	cmd := exec.CommandContext(t.Context(), s.parts.kube+"/kubectl", "get", "pods", "-n", "demo", "--kubeconfig", writeFile(t, t.TempDir()+"/config", file.Text))
	cmd.Env = append(os.Environ(), "PATH=/usr/bin:/bin", "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "hello") {
		t.Errorf("%v: %s", err, out)
	}
	if log := s.server.String(); !strings.Contains(log, `"token_file"`) || strings.Contains(log, cfg.AuthInfos["a"].Token) {
		t.Error("the audit log does not say that a token was given in a file, or has it")
	}
	// Unless an admin allows it there is neither a button nor a token.
	if page := browser.Get(s.issuer + "/clusters/b"); page.Doc.Find(`form[action$="/token-file"]`).Length() != 0 {
		t.Error("b offers a token")
	}
	if page := browser.Post(s.issuer+"/clusters/b/token-file", nil); page.Status != http.StatusForbidden || !strings.Contains(page.Text, "Token files are switched off for Cluster b.") {
		t.Errorf("%d %s", page.Status, page.Text)
	}
	if page := browser.Get(s.issuer + "/clusters/a/token-file"); page.Status == http.StatusOK || strings.Contains(page.Text, "eyJ") {
		t.Errorf("by a link: %d", page.Status)
	}
	stranger := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	stranger.SignIn(s.issuer+"/", bob().Credentials)
	if page := stranger.Post(s.issuer+"/clusters/a/token-file", nil); page.Status != http.StatusNotFound {
		t.Errorf("bob: %d", page.Status)
	}
}

// TestWithoutThePlugin has the file that everybody gets, and no plugin: kubectl says what is
// missing and where it is.
func TestWithoutThePlugin(t *testing.T) {
	t.Parallel()
	s := withClient(t)
	b := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	b.SignIn(s.issuer+"/", jane().Credentials)
	file := writeFile(t, t.TempDir()+"/config", b.Get(s.issuer+"/kubeconfig").Text)
	cmd := exec.CommandContext(t.Context(), s.parts.kube+"/kubectl", "get", "pods", "--kubeconfig", file, "--context", "rsa")
	cmd.Env = append(os.Environ(), "PATH=/usr/bin:/bin", "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "executable kubectl-fairlead not found") || !strings.Contains(string(out), "Install it as described for Linux, macOS and Windows: "+s.issuer+"/help") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestBelowAPath has the whole server below a path of a host that it shares.
func TestBelowAPath(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	a, listen := freeAddress(t), strings.TrimPrefix(s.issuer, "https://")
	s.issuer += "/sso"
	s.run(t, listen, localUsers(t)+"clusters:\n"+clusterEntry("a", a, s.dir)+`
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
admins: {users: ["local:jane@example.test"]}
`)
	s.startKube(t, nil)
	s.startProxy(t, "a", a, "")
	me := s.person(t, jane())
	me.must("kubectl-fairlead", "login", s.issuer)
	if got := me.kubectl("get", "pods", "-n", "demo", "--context", "a"); !strings.Contains(got, "hello") {
		t.Errorf("%s", got)
	}
	c := startChromium(t, s)
	c.signIn(s.issuer+"/", "jane@example.test")
	c.click(".favourite")
	c.do(chromedp.Click(".who summary", chromedp.ByQuery))
	c.click(".languages button[value=de]")
	if got := c.eval(`document.querySelector(".favourite").ariaPressed + " " + document.documentElement.lang + " " + location.pathname`); got != "true de /sso/" {
		t.Errorf("%s", got)
	}
	for _, path := range []string{"/", "/clusters/a", "/account", "/access", "/help", "/workloads", "/admin", "/admin/clusters", "/nowhere"} {
		c.reset()
		c.do(chromedp.Navigate(s.issuer+path), chromedp.WaitReady("main"))
		c.checkBudgets(path, 200<<10) // a style sheet that is not found stands in the console
		if got := c.eval(`String([...document.querySelectorAll("[href], [src], [action]")].filter(e => { const u = e.getAttribute("href") ?? e.getAttribute("src") ?? e.getAttribute("action"); return u.startsWith("/") && !u.startsWith("/sso") }).length)`); got != "0" {
			t.Errorf("%s: %s addresses are outside of the path", path, got)
		}
		if got := c.eval(`getComputedStyle(document.querySelector(".brand")).display`); got != "flex" && got != "inline-flex" {
			t.Errorf("%s has no style: %s", path, got)
		}
	}
}

// TestAnAllowListOfPlugins has the kuberc of a careful company: with the lines of the help
// page kubectl works, with any other list it says what is not allowed.
func TestAnAllowListOfPlugins(t *testing.T) {
	t.Parallel()
	s := setupProxies(t)
	me := s.person(t, jane())
	me.must("kubectl-fairlead", "login", s.issuer) // which writes the full path of the plugin
	help := relyingparty.NewBrowser(t, s.issuer, s.client.Transport).Get(s.issuer + "/help").Text
	lines := []string{"credentialPluginPolicy: Allowlist", "- name: kubectl-fairlead"}
	for _, line := range lines {
		if !strings.Contains(help, line) {
			t.Errorf("the help page has no %q", line)
		}
	}
	kuberc := func(rest string) string {
		return writeFile(t, t.TempDir()+"/kuberc", "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n"+rest)
	}
	allowed := kuberc(lines[0] + "\ncredentialPluginAllowlist:\n" + lines[1] + "\n")
	if r := me.run("", "kubectl", "auth", "whoami", "--context", "a", "--kuberc", allowed); r.code != 0 || !strings.Contains(r.out, "local:jane@example.test") {
		t.Errorf("with the lines of the page: %+v", r)
	}
	other := kuberc("credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- name: something-else\n")
	if r := me.run("", "kubectl", "auth", "whoami", "--context", "a", "--kuberc", other); r.code == 0 || !strings.Contains(r.err, "kubectl-fairlead") {
		t.Errorf("with another list: %+v", r)
	}
}
