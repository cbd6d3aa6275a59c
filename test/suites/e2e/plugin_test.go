package e2e_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// byHand is a kubeconfig that a user has written and cares about.
const byHand = `# mine; do not reformat
apiVersion: v1
kind: Config
clusters:
- cluster: {server: "https://kind.test:6443"}   # the laptop's
  name: kind
contexts:
- name: kind
  context: {cluster: kind, user: kind}
current-context: kind # for years
users:
- name: kind
  user: {token: abc}
`

// TestPlugin goes through every command of kubectl-fairlead.
func TestPlugin(t *testing.T) {
	t.Parallel()
	s := setupProxies(t)
	me := s.person(t, jane())
	writeFile(t, me.home+"/kubeconfig", byHand)
	r := me.run("", "kubectl-fairlead", "login", s.issuer)
	if r.code != 0 || !strings.Contains(r.err, "Signed in to") || !strings.Contains(r.err, "Try: kubectl auth whoami --context ") {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	t.Run("others' entries", func(t *testing.T) { othersStay(t, *me) })
	t.Run("clusters", func(t *testing.T) { listsClusters(t, *me) })
	t.Run("kubeconfig", func(t *testing.T) { mendsContexts(t, *me) })
	t.Run("each", func(t *testing.T) { asksEach(t, *me) })
	t.Run("doctor", func(t *testing.T) { looksAround(t, *me) })
	t.Run("completion", func(t *testing.T) { completes(t, *me) })
	t.Run("CI", func(t *testing.T) { neverPrompts(t, *me) })
	t.Run("profiles", func(t *testing.T) { hasTwoAccounts(t, *me) })
	t.Run("everywhere", func(t *testing.T) { signsOutEverywhere(t, *me) })
}

func othersStay(t *testing.T, p person) {
	text := readFile(t, p.home+"/kubeconfig")
	for line := range strings.Lines(byHand) {
		if !strings.Contains(text, line) {
			t.Errorf("%q is gone:\n%s", line, text)
		}
	}
	if got := readFile(t, p.home+"/kubeconfig.fairlead-backup"); got != byHand {
		t.Errorf("the backup is\n%s", got)
	}
	p.t = t
	if got := strings.TrimSpace(p.kubectl("config", "current-context")); got != "kind" {
		t.Errorf("the current context is %s", got)
	}
}

func listsClusters(t *testing.T, p person) {
	p.t = t
	if got := p.must("kubectl-fairlead", "clusters", "-o", "name"); got != "a\nb\n" {
		t.Errorf("%q", got)
	}
	var list []struct{ ID, Name, Server string }
	if err := json.Unmarshal([]byte(p.must("kubectl-fairlead", "clusters", "-o", "json")), &list); err != nil || len(list) != 2 || list[1].Name != "Cluster b" {
		t.Errorf("%+v %v", list, err)
	}
	if got := p.must("kubectl-fairlead", "clusters", "-o", "yaml"); !strings.Contains(got, "name: Cluster a\n") {
		t.Error(got)
	}
	if got := p.must("kubectl-fairlead", "clusters"); !strings.HasPrefix(got, "CLUSTER") || !strings.Contains(got, "Cluster b") {
		t.Error(got)
	}
	if r := p.run("", "kubectl-fairlead", "clusters", "-o", "xml"); r.code != 2 || !strings.Contains(r.err, "Use json, yaml or name.") {
		t.Errorf("%+v", r)
	}
	if got := p.must("kubectl-fairlead", "status"); !strings.Contains(got, "Session   ends in ") || !strings.Contains(got, "a file that only you can read") {
		t.Error(got)
	}
}

func mendsContexts(t *testing.T, p person) {
	p.t = t
	if got := p.must("kubectl-fairlead", "kubeconfig", "--dry-run"); got != "" {
		t.Errorf("nothing is different, but\n%s", got)
	}
	p.must("kubectl-fairlead", "kubeconfig", "--check")
	server := p.contextServer("a")
	p.kubectl("config", "set-cluster", "a", "--server=https://wrong.test")
	p.kubectl("config", "rename-context", "a", "work")
	before := readFile(t, p.home+"/kubeconfig")
	if got := p.must("kubectl-fairlead", "kubeconfig", "--dry-run"); !strings.Contains(got, "-    server: https://wrong.test") || !strings.Contains(got, "+    server: "+server) {
		t.Errorf("%s", got)
	}
	if r := p.run("", "kubectl-fairlead", "kubeconfig", "--check"); r.code != 1 || !strings.Contains(r.err, "Run: kubectl fairlead kubeconfig") {
		t.Errorf("%+v", r)
	}
	if readFile(t, p.home+"/kubeconfig") != before {
		t.Error("to look has changed the file")
	}
	p.must("kubectl-fairlead", "kubeconfig")
	if got := p.contextServer("a"); got != server {
		t.Errorf("the context goes to %s", got)
	}
	p.kubectl("auth", "whoami", "--context", "work")
	p.must("kubectl-fairlead", "use", "Cluster b")
	if got := strings.TrimSpace(p.kubectl("config", "current-context")); got != "b" {
		t.Errorf("the current context is %s", got)
	}
	p.kubectl("config", "use-context", "kind")
	p.kubectl("config", "rename-context", "work", "a")
	if r := p.run("", "kubectl-fairlead", "use", "nowhere"); r.code != 2 || !strings.Contains(r.err, "Choose one of: a, b") {
		t.Errorf("%+v", r)
	}
	lock := writeFile(t, p.home+"/kubeconfig.lock", "")
	defer os.Remove(lock)
	if r := p.run("", "kubectl-fairlead", "use", "a"); r.code != 1 || !strings.Contains(r.err, "remove "+lock) {
		t.Errorf("%+v", r)
	}
}

func asksEach(t *testing.T, p person) {
	p.t = t
	for selector, want := range map[string]string{"all": "a b", "a": "a", "b,nothing": "b", "[ab]": "a b", "id=b": "b", "id in (a, b),environment!=prod": "a b"} {
		got := p.must("kubectl-fairlead", "each", selector, "--", "get", "pods", "-n", "demo", "-o", "name")
		var who []string
		for _, cluster := range []string{"a", "b"} {
			if strings.Contains(got, cluster+"  pod/hello\n") {
				who = append(who, cluster)
			}
		}
		if strings.Join(who, " ") != want {
			t.Errorf("%s: %s", selector, got)
		}
	}
	if r := p.run("", "kubectl-fairlead", "each", "all", "--", "get", "secrets", "-n", "kube-system"); r.code != 1 || !strings.Contains(r.err, "a  Error from server (Forbidden)") || !strings.Contains(r.err, "2 of 2 clusters failed: a (exit code 1), b (exit code 1)") {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"each", "nothing", "--", "version"}, {"each", "all"}, {"each", "[", "--", "version"}, {"each", "a in (", "--", "version"}, {"each", "all", "--parallel", "0", "--", "version"}} {
		if r := p.run("", "kubectl-fairlead", args...); r.code != 2 || r.err == "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if left, err := filepath.Glob(os.TempDir() + "/fairlead-*.kubeconfig"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func looksAround(t *testing.T, p person) {
	p.t = t
	if got := p.must("kubectl-fairlead", "doctor"); strings.Contains(got, "FAIL") || strings.Count(got, "\nok ") < 7 {
		t.Errorf("%s", got)
	}
	p.env = append(append([]string{}, p.env...), "KUBERC="+writeFile(t, t.TempDir()+"/kuberc", "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\ncredentialPluginPolicy: DenyAll\n"), "PATH="+t.TempDir())
	r := p.run("", "kubectl-fairlead", "doctor")
	for _, want := range []string{"FAIL plugin", "FAIL kubectl", "FAIL allow list", "credentialPluginAllowlist: - name: ", "ok   sign-in"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q:\n%s", want, r.out)
		}
	}
	if r.code != 1 || !strings.Contains(r.err, "3 of ") {
		t.Errorf("%+v", r)
	}
}

func completes(t *testing.T, p person) {
	p.t = t
	if got := p.must("kubectl-fairlead", "__complete", "use", ""); !strings.Contains(got, "a\tCluster a\n") {
		t.Errorf("%q", got)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := p.must("kubectl-fairlead", "completion", shell); !strings.Contains(got, "fairlead") {
			t.Errorf("%s: %s", shell, got)
		}
	}
	// The shells themselves take it.
	for shell, try := range map[string][2]string{
		"bash": {`eval "$(kubectl-fairlead completion bash)" && complete -p kubectl-fairlead`, "__start_kubectl-fairlead kubectl-fairlead"},
		"zsh":  {`autoload -U compinit && compinit -u -D && eval "$(kubectl-fairlead completion zsh)" && print ${_comps[kubectl-fairlead]}`, "_kubectl-fairlead"},
		"fish": {`kubectl-fairlead completion fish | source; complete -C "kubectl-fairlead use "`, "a\tCluster a"},
	} {
		if r := p.run("", prerequisite.Program(t, shell), "-c", try[0]); r.code != 0 || !strings.Contains(r.out, try[1]) {
			t.Errorf("%s: %+v", shell, r)
		}
	}
	dir := t.TempDir()
	script := writeFile(t, dir+"/kubectl_complete-fairlead", p.must("kubectl-fairlead", "completion", "kubectl"))
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	p.env = append(append([]string{}, p.env...), "PATH="+dir+":"+p.s.bin+":"+p.s.parts.kube+":"+os.Getenv("PATH"))
	if got := p.kubectl("__complete", "fairlead", "use", ""); !strings.Contains(got, "b\tCluster b\n") {
		t.Errorf("kubectl completes %q", got)
	}
	pages := t.TempDir()
	p.must("kubectl-fairlead", "man", pages)
	if got := readFile(t, pages+"/kubectl-fairlead-each.1"); !strings.Contains(got, "SELECTOR") {
		t.Errorf("%s", got)
	}
}

// neverPrompts has no terminal, no person and no sign-in.
func neverPrompts(t *testing.T, p person) {
	p.t = t
	before := p.tabs()
	p.env = append(append([]string{}, p.env...), "CI=true", "FAIRLEAD_CACHE_DIR="+t.TempDir())
	began := time.Now()
	r := p.run("", "kubectl-fairlead", "get-token", "--server", p.s.issuer, "--cluster", "a")
	if r.code != 3 || !strings.HasSuffix(strings.TrimSpace(r.err), "Run: kubectl fairlead login "+p.s.issuer) || p.tabs() != before {
		t.Errorf("%+v, %d tabs", r, p.tabs()-before)
	}
	t.Logf("it took %s to say so", time.Since(began).Round(time.Millisecond))
	if r := p.run("", "kubectl-fairlead", "login", p.s.issuer); r.code != 3 {
		t.Errorf("login: %+v", r)
	}
}

func hasTwoAccounts(t *testing.T, p person) {
	p.t = t
	login, err := json.Marshal(bob())
	if err != nil {
		t.Fatal(err)
	}
	other := p
	other.env = append(append([]string{}, p.env...), "FAIRLEAD_TEST_LOGIN="+string(login))
	if r := other.run("", "kubectl-fairlead", "login", p.s.issuer, "--profile", "Not A Name"); r.code != 2 {
		t.Errorf("%+v", r)
	}
	r := other.run("", "kubectl-fairlead", "login", p.s.issuer, "--profile", "work")
	if r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if got := p.kubectl("auth", "whoami", "--context", "a"); !strings.Contains(got, "local:jane@example.test") {
		t.Errorf("%s", got)
	}
	shell := p
	shell.env = append(append([]string{}, p.env...), "FAIRLEAD_PROFILE=work")
	if got := shell.kubectl("auth", "whoami", "--context", "a"); !strings.Contains(got, "local:jane@example.test") {
		t.Errorf("the shell's profile made it somebody else's:\n%s", got)
	}
	if r := p.run("", "kubectl-fairlead", "clusters"); r.code != 2 || !strings.Contains(r.err, p.s.issuer+" as work") {
		t.Errorf("%+v", r)
	}
	if got := p.must("kubectl-fairlead", "status"); !strings.Contains(got, "local:jane@example.test") || !strings.Contains(got, "local:bob@example.test") {
		t.Errorf("%s", got)
	}
	p.must("kubectl-fairlead", "logout", "--profile", "work")
	p.must("kubectl-fairlead", "clusters")
}

func signsOutEverywhere(t *testing.T, p person) {
	p.t = t
	laptop := p.s.person(t, jane())
	if r := laptop.run("", "kubectl-fairlead", "login", p.s.issuer); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if r := p.run("", "kubectl-fairlead", "logout", "--everywhere"); r.code != 0 || !strings.Contains(r.err, "in every browser and on every device") {
		t.Fatalf("%+v", r)
	}
	laptop.env = append(laptop.env, "CI=true")
	eventually(t, "the laptop to be signed out", 20*time.Second, func() bool {
		return laptop.run("", "kubectl-fairlead", "status").code == 3
	})
	if r := p.run("", "kubectl-fairlead", "status"); r.code != 3 {
		t.Errorf("%+v", r)
	}
}

// TestPluginOnAServerOfOthers signs in over SSH: with a code on another screen, and with the
// address that a browser elsewhere ended at.
func TestPluginOnAServerOfOthers(t *testing.T) {
	t.Parallel()
	s := withClient(t)
	me := s.person(t, jane())
	var env []string
	for _, v := range me.env {
		if !strings.HasPrefix(v, "BROWSER=") && !strings.HasPrefix(v, "FAIRLEAD_TEST_LOGIN=") {
			env = append(env, v)
		}
	}
	me.env = append(env, "BROWSER=", "SSH_CONNECTION=192.0.2.1 1 192.0.2.2 22")
	t.Run("by a code", func(t *testing.T) { signsInByCode(t, *me) })
	t.Run("by pasting", func(t *testing.T) { signsInByPasting(t, *me, 3) })
	t.Run("by pasting what is wrong", func(t *testing.T) { signsInByPasting(t, *me, 10) })
}

// screen is what a program shows on a terminal, read line by line.
func screen(t *testing.T, p person, args ...string) (lines *bufio.Scanner, keys *os.File, wait func() int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := p.command(ctx, "kubectl-fairlead", args...)
	cmd.Env = append(cmd.Env, "NO_COLOR=1")
	keys, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	return bufio.NewScanner(keys), keys, func() int {
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
}

// shows reads lines until one matches.
func shows(t *testing.T, lines *bufio.Scanner, pattern string) string {
	t.Helper()
	var seen []string
	for lines.Scan() {
		seen = append(seen, lines.Text())
		if found := regexp.MustCompile(pattern).FindString(lines.Text()); found != "" {
			return found
		}
	}
	t.Fatalf("no %s:\n%s", pattern, strings.Join(seen, "\n"))
	return ""
}

func signsInByCode(t *testing.T, p person) {
	p.t = t
	lines, _, wait := screen(t, p, "login", p.s.issuer, "--no-kubeconfig")
	address := shows(t, lines, `https://\S+/device\b`)
	code := shows(t, lines, `[A-Z]{4}-[A-Z]{4}`)
	b := relyingparty.NewBrowser(t, p.s.issuer, p.s.client.Transport)
	b.SignIn(p.s.issuer+"/", jane().Credentials)
	page := b.Submit(b.Get(address), map[string]string{"user_code": code})
	b.Submit(page, map[string]string{"answer": "yes"})
	shows(t, lines, "Signed in to .* as local:jane@example.test")
	if code := wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.must("kubectl-fairlead", "status")
}

// signsInByPasting pastes something else some times, and then the address.
func signsInByPasting(t *testing.T, p person, wrong int) {
	p.t = t
	p.env = append(p.env, "BROWSER=/bin/true")
	lines, keys, wait := screen(t, p, "login", p.s.issuer, "--no-kubeconfig")
	address := shows(t, lines, `https://\S+/authorize\S+`)
	shows(t, lines, "paste the address of that page here")
	b := relyingparty.NewBrowser(t, p.s.issuer, p.s.client.Transport)
	page := b.SignIn(address, jane().Credentials)
	if page.RedirectedTo == nil {
		t.Fatalf("%s", page.Text)
	}
	other := *page.RedirectedTo
	other.RawQuery = url.Values{"code": {"made-up"}, "state": {"another"}, "iss": {p.s.issuer}}.Encode()
	for range wrong {
		if _, err := io.WriteString(keys, other.String()+"\r"); err != nil {
			t.Fatal(err)
		}
		shows(t, lines, "That is not the address of the page")
	}
	if wrong >= 10 {
		shows(t, lines, "none of 10 pasted texts was the address of the page")
		if code := wait(); code != 3 {
			t.Errorf("exit code %d", code)
		}
		return
	}
	if _, err := io.WriteString(keys, page.RedirectedTo.String()+"\r"); err != nil {
		t.Fatal(err)
	}
	shows(t, lines, "Signed in to .* as local:jane@example.test")
	if code := wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestContextsFollowTheServer changes at the server what can change there: the next kubectl,
// or the one after it, works, without a download. testdata/follows.golden has the
// kubeconfig after each change.
func TestContextsFollowTheServer(t *testing.T) {
	t.Parallel()
	f := startFollowing(t)
	s, me := f.system, f.me
	one := clusterEntry("a", f.a, s.dir)
	me.kubectl("auth", "whoami", "--context", "a")
	f.note("after the sign-in")
	f.follow("a cluster was added", one+clusterEntry("b", f.b, s.dir), func() bool { return strings.Contains(f.kubeconfig(), "--cluster=b") })
	s.startProxy(t, "b", f.b, "")
	me.kubectl("auth", "whoami", "--context", "b")
	f.follow("a cluster got another name", strings.Replace(one, "Cluster a", "Shop", 1)+clusterEntry("b", f.b, s.dir), func() bool { return strings.Contains(f.kubeconfig(), "sign in to Shop") })
	me.kubectl("auth", "whoami", "--context", "a")
	f.follow("an endpoint moved", clusterEntry("a", f.b, s.dir)+clusterEntry("b", f.b, s.dir), func() bool { return me.contextServer("a") == "https://"+f.b })
	writeFile(t, s.dir+"/other.crt", readFile(t, s.dir+"/ca.crt")+readFile(t, s.dir+"/ca.crt"))
	before := f.kubeconfig()
	f.follow("an authority was rotated", strings.Replace(one, "/ca.crt", "/other.crt", 1)+clusterEntry("b", f.b, s.dir), func() bool { return f.kubeconfig() != before && me.contextServer("a") == "https://"+f.a })
	me.kubectl("auth", "whoami", "--context", "a")
	writeFile(t, s.dir+"/kube.crt", string(s.kube.CA))
	direct := fmt.Sprintf("- {id: a, name: Cluster a, mode: direct, server: %q, ca: \"file:%s/kube.crt\"}\n", s.kube.URL, s.dir)
	f.follow("a cluster is reached directly now", direct+clusterEntry("b", f.b, s.dir), func() bool { return me.contextServer("a") == s.kube.URL })
	review(t, s, s.kube, me.token("a")) // waits until the API server has the issuer's keys
	me.kubectl("auth", "whoami", "--context", "a")
	me.kubectl("config", "rename-context", "b", "mine")
	f.follow("access was taken away", direct, func() bool { return !strings.Contains(f.kubeconfig(), "--cluster=b") })
	if strings.Contains(f.kubeconfig(), "mine") {
		t.Errorf("%s", f.kubeconfig())
	}
	me.kubectl("auth", "whoami", "--context", "a")
	const golden = "testdata/follows.golden"
	if *updateRefusals {
		if err := os.WriteFile(golden, []byte(f.story.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(readFile(t, golden), f.story.String()); diff != "" {
		t.Errorf("%s (-file +now), update it with -update:\n%s", golden, diff)
	}
}

// following is a user whose kubeconfig follows the changes at the server.
type following struct {
	*system
	t     *testing.T
	me    *person
	a, b  string
	head  string
	story strings.Builder
}

func startFollowing(t *testing.T) *following {
	t.Helper()
	s := prepare(t, needParts(t))
	f := &following{system: s, t: t, a: freeAddress(t), b: freeAddress(t)}
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), f.configuration(clusterEntry("a", f.a, s.dir)))
	// The API server trusts the issuer from the start, and is asked directly later.
	file := writeFile(t, s.dir+"/direct.yaml", strings.Replace(readFile(t, s.dir+"/fairlead.yaml"), "name: Cluster a", "mode: direct, name: Cluster a", 1))
	authentication, err := exec.Command(s.bin+"/fairlead", "cluster", "config", "a", "--config", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	s.startKube(t, authentication)
	s.startProxy(t, "a", f.a, s.serviceAccount(t))
	f.me = s.person(t, jane())
	if r := f.me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, f.me.browserFault())
	}
	base := readFile(t, s.dir+"/fairlead.yaml")
	f.head = base[:strings.Index(base, "upstream: {maxAge: 1ms}\n")+len("upstream: {maxAge: 1ms}\n")]
	return f
}

func (f *following) configuration(clusters string) string {
	return localUsers(f.t) + "clusters:\n" + clusters + "rules:\n- {id: developers, description: Developers, who: {groups: [\"local:developers\"]}, clusters: {ids: [\"*\"]}}\n"
}

func (f *following) kubeconfig() string { return readFile(f.t, f.me.home+"/kubeconfig") }

// follow changes the clusters, and uses kubectl's plugin until it has followed.
func (f *following) follow(what, clusters string, done func() bool) {
	f.t.Helper()
	writeFile(f.t, f.dir+"/fairlead.yaml", f.head+f.configuration(clusters))
	eventually(f.t, what, 40*time.Second, func() bool {
		f.me.backdate("kubeconfigs.json")
		_ = f.me.run("", "kubectl-fairlead", "get-token", "--server", f.issuer, "--cluster", "a")
		time.Sleep(300 * time.Millisecond)
		return done()
	})
	f.note(what)
}

// note writes down what the kubeconfig says now, without what differs in each run.
func (f *following) note(what string) {
	f.t.Helper()
	text := f.kubeconfig()
	for from, to := range map[string]string{
		f.issuer: "https://SERVER", "https://" + f.a: "https://A", "https://" + f.b: "https://B", f.kube.URL: "https://API-SERVER", f.bin: "/bin",
		encode(readFile(f.t, f.dir+"/ca.crt") + readFile(f.t, f.dir+"/ca.crt")): "OTHER-AUTHORITY", encode(string(f.kube.CA)): "AUTHORITY-OF-API-SERVER",
	} {
		text = strings.ReplaceAll(text, from, to)
	}
	text = strings.ReplaceAll(text, encode(readFile(f.t, f.dir+"/ca.crt")), "AUTHORITY")
	fmt.Fprintf(&f.story, "# %s\n%s\n", what, text)
}

func encode(text string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.TrimSpace(text)))
}

// backdate lets a file of the cache say that it is an hour older.
func (p *person) backdate(name string) {
	p.t.Helper()
	for _, file := range p.cacheFiles("*." + name) {
		var v map[string]any
		if err := json.Unmarshal([]byte(readFile(p.t, file)), &v); err != nil {
			p.t.Fatal(err)
		}
		v["updated"] = time.Now().Add(-time.Hour)
		text, err := json.Marshal(v)
		if err != nil {
			p.t.Fatal(err)
		}
		writeFile(p.t, file, string(text))
	}
}

// TestThePluginIsInstalledFromTheHelpPage pastes the commands of the page into a shell, as a new user does. A
// second user gets another file than the announced one.
func TestThePluginIsInstalledFromTheHelpPage(t *testing.T) {
	t.Parallel()
	s := withClient(t)
	page := relyingparty.NewBrowser(t, s.issuer, s.client.Transport).Get(s.issuer + "/help")
	command := page.Doc.Find("#system-linux + label + .tabset-panel pre code").First().Text()
	if page.Doc.Find("#system-linux").Length() != 1 || !strings.Contains(command, "sudo mv kubectl-fairlead /usr/local/bin/") {
		t.Fatalf("%s", command)
	}
	dir := t.TempDir()
	paste := func(command string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "sudo mv kubectl-fairlead /usr/local/bin/", "mkdir -p bin && mv kubectl-fairlead bin/", 1))
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CURL_CA_BUNDLE="+s.dir+"/ca.crt")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := paste(command); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mine, err := commandOutput(t, dir+"/bin/kubectl-fairlead", "version")
	if own, errOwn := commandOutput(t, s.bin+"/kubectl-fairlead", "version"); err != nil || errOwn != nil || mine != own {
		t.Errorf("%s %v, %s %v", mine, err, own, errOwn)
	}
	if err := os.RemoveAll(dir + "/bin"); err != nil {
		t.Fatal(err)
	}
	digest := regexp.MustCompile(`[0-9a-f]{64}`).FindString(command)
	if out, err := paste(strings.Replace(command, digest, strings.Repeat("0", len(digest)), 1)); err == nil {
		t.Errorf("another file was installed: %s", out)
	}
	if _, err := os.Stat(dir + "/bin/kubectl-fairlead"); err == nil {
		t.Error("another file was installed")
	}
}

// TestOnlyThePluginEndsEverything: an application that knows a user can't sign that user out of everything. The
// attempt is recorded.
func TestOnlyThePluginEndsEverything(t *testing.T) {
	t.Parallel()
	s := withClient(t)
	ask := func(method, token string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, s.issuer+"/api/v1/sign-out", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	app := &relyingparty.Client{Issuer: s.issuer, ID: "k8s-rsa", RedirectURI: "http://localhost:8000", Scope: "openid offline_access", Transport: s.client.Transport}
	tokens := app.SignIn(t, relyingparty.NewBrowser(t, s.issuer, s.client.Transport), jane().Credentials)
	for _, token := range []string{tokens.AccessToken, tokens.IDToken, tokens.RefreshToken, "made-up", ""} {
		if got := ask(http.MethodPost, token); got != http.StatusUnauthorized {
			t.Errorf("%.10s: %d", token, got)
		}
	}
	if got := ask(http.MethodGet, tokens.AccessToken); got == http.StatusOK {
		t.Errorf("GET: %d", got)
	}
	if again := app.Refresh(t, tokens.RefreshToken); again.AccessToken == "" {
		t.Errorf("it was signed out: %+v", again)
	}
	eventually(t, "the record", 5*time.Second, func() bool { return strings.Contains(s.server.String(), `"event":"sign_out.refused"`) })
}
