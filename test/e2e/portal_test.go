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

	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-auth/fairlead/test/rp"
)

// TestTheListIsOnesOwn marks a cluster, uses one, and looks what the list says of it.
func TestTheListIsOnesOwn(t *testing.T) {
	t.Parallel()
	s := setupProxies(t)
	b := rp.NewBrowser(t, s.issuer, s.client.Transport)
	names := func(page *rp.Page) []string {
		return page.Doc.Find(".cluster-name").Map(func(_ int, d *rp.Selection) string { return d.Text() })
	}
	page := b.SignIn(s.issuer+"/", jane().Credentials)
	if got := names(page); !slices.Equal(got, []string{"Cluster a", "Cluster b"}) {
		t.Fatalf("%q\n%s", got, page.Text)
	}
	eventually(t, "both clusters to answer", 10*time.Second, func() bool { return b.Get(s.issuer+"/").Doc.Find(".state-ready").Length() == 2 })
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
	// Whoever may not use a cluster can't mark it either, and learns nothing.
	stranger := rp.NewBrowser(t, s.issuer, s.client.Transport)
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
	browser := rp.NewBrowser(t, s.issuer, s.client.Transport)
	page := browser.SignIn(s.issuer+"/clusters/a", jane().Credentials)
	form := page.Doc.Find(`form[action$="/token-file"]`)
	if form.Length() != 1 || !strings.Contains(page.Text, "it is a password") || !strings.Contains(page.Text, "for 30 minutes") {
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
	claims := rp.Claims(t, cfg.AuthInfos["a"].Token)
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
	// Where no admin allows it there is neither a button nor a token.
	if page := browser.Get(s.issuer + "/clusters/b"); page.Doc.Find(`form[action$="/token-file"]`).Length() != 0 {
		t.Error("b offers a token")
	}
	if page := browser.Post(s.issuer+"/clusters/b/token-file", nil); page.Status != http.StatusForbidden || !strings.Contains(page.Text, "Nobody may carry a token for Cluster b in a file.") {
		t.Errorf("%d %s", page.Status, page.Text)
	}
	if page := browser.Get(s.issuer + "/clusters/a/token-file"); page.Status == http.StatusOK || strings.Contains(page.Text, "eyJ") {
		t.Errorf("by a link: %d", page.Status)
	}
	stranger := rp.NewBrowser(t, s.issuer, s.client.Transport)
	stranger.SignIn(s.issuer+"/", bob().Credentials)
	if page := stranger.Post(s.issuer+"/clusters/a/token-file", nil); page.Status != http.StatusNotFound {
		t.Errorf("bob: %d", page.Status)
	}
}
