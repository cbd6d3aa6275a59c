package e2e_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func localUsers(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf(`
connectors:
- {id: local, type: local, name: Local users}
localUsers:
- {login: jane@example.test, name: Jane Doe, email: jane@example.test, groups: [developers], passwordHash: %q}
- {login: bob@example.test, name: Bob, passwordHash: %[1]q}
`, hashed(t))
}

func jane() credentials {
	return credentials{Credentials: relyingparty.Credentials{Username: "jane@example.test", Password: "fairlead-demo"}}
}

func bob() credentials {
	return credentials{Credentials: relyingparty.Credentials{Username: "bob@example.test", Password: "fairlead-demo"}}
}

func clusterEntry(id, address, dir string) string {
	return fmt.Sprintf("- {id: %s, name: Cluster %[1]s, server: \"https://%s\", ca: \"file:%s/ca.crt\"}\n", id, address, dir)
}

// runFor runs a server with clusters a, b and so on at these addresses, which developers may
// use.
func (s *system) runFor(t *testing.T, addresses ...string) {
	t.Helper()
	clusters := "clusters:\n"
	for i, address := range addresses {
		clusters += clusterEntry(string(rune('a'+i)), address, s.dir)
	}
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), localUsers(t)+clusters+`
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
`)
}

// setupProxies is a server, one real API server and proxies for two clusters
// before it.
func setupProxies(t *testing.T) *system {
	t.Helper()
	p := needParts(t)
	a, b := freeAddress(t), freeAddress(t)
	s := prepare(t, p)
	s.runFor(t, a, b)
	s.startKube(t, nil)
	s.startProxy(t, "a", a, "")
	s.startProxy(t, "b", b, s.serviceAccount(t))
	return s
}

// TestMainJob is the product in one test: sign in, get contexts, kubectl works;
// what RBAC does not allow is Forbidden with the person's name.
func TestMainJob(t *testing.T) {
	t.Parallel()
	s := setupProxies(t)
	me := s.person(t, jane())
	login := me.run("", "kubectl-fairlead", "login", s.issuer)
	if login.code != 0 || !strings.Contains(login.err, "local:jane@example.test") {
		t.Fatalf("login: %+v\n%s", login, me.browserFault())
	}
	text := readFile(t, me.home+"/kubeconfig")
	for _, secret := range []string{"eyJ", "token:", "password", "jane"} {
		if strings.Contains(text, secret) {
			t.Errorf("kubeconfig holds %q:\n%s", secret, text)
		}
	}
	if got := me.kubectl("get", "pods", "-n", "demo", "--context", "a"); !strings.Contains(got, "hello") {
		t.Errorf("get pods: %s", got)
	}
	if r := me.run("", "kubectl", "get", "nodes", "--context", "a"); r.code == 0 || !strings.Contains(r.err, "Forbidden") || !strings.Contains(r.err, "local:jane@example.test") {
		t.Errorf("get nodes: %+v", r)
	}
	// One sign-in serves the second cluster too.
	me.kubectl("get", "pods", "-n", "demo", "--context", "b")
	if me.tabs() != 1 {
		t.Errorf("%d browser tabs, want 1", me.tabs())
	}
	t.Run("whoami is what the cluster page announced", func(t *testing.T) { whoamiAsAnnounced(t, s, me, "a", "--context", "a") })
	t.Run("a token is for one cluster", func(t *testing.T) { tokenForOneCluster(t, s, me) })
	t.Run("streams", func(t *testing.T) { streams(t, me) })
	t.Run("hostile headers", func(t *testing.T) { hostileHeaders(t, s, me) })
	t.Run("status and logout", func(t *testing.T) { statusAndLogout(t, me) })
}

type whoami struct {
	Status struct {
		UserInfo struct {
			Username string              `json:"username"`
			UID      string              `json:"uid"`
			Groups   []string            `json:"groups"`
			Extra    map[string][]string `json:"extra"`
		} `json:"userInfo"`
	} `json:"status"`
}

// whoamiAsAnnounced compares what kubectl shows at a cluster with what the
// cluster's page announced in a browser, and the extra values with the token.
func whoamiAsAnnounced(t *testing.T, s *system, me *person, cluster string, kubectl ...string) {
	t.Helper()
	var who whoami
	if err := json.Unmarshal([]byte(me.kubectl(append([]string{"auth", "whoami", "-o", "json"}, kubectl...)...)), &who); err != nil {
		t.Fatal(err)
	}
	page := relyingparty.NewBrowser(t, s.issuer, s.client.Transport).SignIn(s.issuer+"/clusters/"+cluster, jane().Credentials)
	text := func(_ int, d *relyingparty.Selection) string { return strings.TrimSpace(d.Text()) }
	facts := page.Doc.Find("#me dd").Map(text)
	groups := page.Doc.Find("#groups li").Map(text)
	keys := page.Doc.Find("#me dd:has(code + .mono) code:first-child").Map(text)
	got := who.Status.UserInfo
	if len(facts) < 3 || facts[0] != got.Username || facts[1] != got.UID || !slices.Equal(groups, got.Groups) {
		t.Errorf("page says %q and groups %q, the cluster says %+v", facts, groups, got)
	}
	claims := relyingparty.Claims(t, me.token(cluster))
	want := map[string][]string{
		"fairlead.dev/sid": {fmt.Sprint(claims["sid"])}, "fairlead.dev/device": {fmt.Sprint(claims["device_id"])},
		"authentication.kubernetes.io/credential-id": {"JTI=" + fmt.Sprint(claims["jti"])},
	}
	if diff := cmp.Diff(want, got.Extra); diff != "" {
		t.Errorf("extra (-token +cluster):\n%s", diff)
	}
	announced := slices.Sorted(slices.Values(keys))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), announced); diff != "" {
		t.Errorf("announced extra keys (-want +page):\n%s", diff)
	}
}

// token returns the credential that kubectl gets for a cluster.
func (p *person) token(cluster string) string {
	p.t.Helper()
	var cred struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(p.must("kubectl-fairlead", "get-token", "--server", p.s.issuer, "--cluster", cluster)), &cred); err != nil {
		p.t.Fatal(err)
	}
	return cred.Status.Token
}

// contextServer returns the address of a context.
func (p *person) contextServer(context string) string {
	p.t.Helper()
	return strings.TrimSpace(p.kubectl("config", "view", "-o", `jsonpath={.clusters[?(@.name=="`+context+`")].cluster.server}`))
}

func tokenForOneCluster(t *testing.T, s *system, me *person) {
	t.Helper()
	token := me.token("a")
	for cluster, want := range map[string]int{"a": http.StatusOK, "b": http.StatusUnauthorized} {
		code, body := call(t, s, me.contextServer(cluster)+"/api/v1/namespaces/demo/pods", http.Header{"Authorization": {"Bearer " + token}})
		if code != want {
			t.Errorf("cluster %s: %d %s", cluster, code, body)
		}
		if want == http.StatusUnauthorized && (!strings.Contains(body, `"kind":"Status"`) || !strings.Contains(body, "its audience is not this cluster")) {
			t.Errorf("cluster %s says %s", cluster, body)
		}
	}
}

func call(t *testing.T, s *system, address string, header http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func hostileHeaders(t *testing.T, s *system, me *person) {
	t.Helper()
	bearer := "Bearer " + me.token("a")
	address := me.contextServer("a") + "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	for name, c := range map[string]struct {
		header http.Header
		want   int
	}{
		"plain":                 {http.Header{}, http.StatusCreated},
		"impersonate":           {http.Header{"Impersonate-User": {"admin"}}, http.StatusForbidden},
		"impersonate group":     {http.Header{"Impersonate-Group": {"system:masters"}}, http.StatusBadRequest},
		"underscore":            {http.Header{"Impersonate_User": {"admin"}}, http.StatusBadRequest},
		"connection":            {http.Header{"Connection": {"Impersonate-User, Impersonate-Group, Authorization"}}, http.StatusCreated},
		"front proxy":           {http.Header{"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}}, http.StatusCreated},
		"second token":          {http.Header{"Authorization": {bearer, "Bearer x"}}, http.StatusUnauthorized},
		"no token":              {http.Header{"Authorization": {}}, http.StatusUnauthorized},
		"token of another kind": {http.Header{"Authorization": {"Basic YWRtaW46YWRtaW4="}}, http.StatusUnauthorized},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(`{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {bearer}, "Content-Type": {"application/json"}}
		maps.Copy(req.Header, c.header)
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.want {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
		if resp.StatusCode == http.StatusCreated && !strings.Contains(string(body), `"username":"local:jane@example.test"`) {
			t.Errorf("%s: arrived as somebody else: %s", name, body)
		}
	}
}

// streams is everything long-lived that kubectl does, with WebSocket and with
// SPDY.
func streams(t *testing.T, me *person) {
	t.Helper()
	for name, env := range map[string][]string{
		"websocket": nil,
		"spdy":      {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"},
	} {
		p := *me
		p.env = append(append([]string{}, me.env...), env...)
		t.Run(name, func(t *testing.T) {
			p := p
			p.t = t
			t.Run("exec", func(t *testing.T) { execWorks(t, p) })
			t.Run("tty", func(t *testing.T) { ttyWorks(t, p) })
			t.Run("attach", func(t *testing.T) { attachWorks(t, p) })
			t.Run("port-forward", func(t *testing.T) { portForwardWorks(t, p) })
			t.Run("cp", func(t *testing.T) { copyWorks(t, p) })
			t.Run("logs", func(t *testing.T) { logsWork(t, p) })
		})
	}
	t.Run("watch", func(t *testing.T) { watchWorks(t, *me) })
}

const megabytes = 3 << 20

func execWorks(t *testing.T, p person) {
	p.t = t
	r := p.run("", "kubectl", "exec", "-n", "demo", "--context", "a", "hello", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
	if r.code != 7 || strings.TrimSpace(r.out) != "out" || !strings.Contains(r.err, "err") {
		t.Errorf("exec: %+v", r)
	}
	input := strings.Repeat("0123456789abcdef", megabytes/16)
	sum := md5.Sum([]byte(input))
	r = p.run(input, "kubectl", "exec", "-i", "-n", "demo", "--context", "a", "hello", "--", "md5sum")
	if !strings.HasPrefix(r.out, hex.EncodeToString(sum[:])) {
		t.Errorf("3 MB of input: %+v", r)
	}
}

func ttyWorks(t *testing.T, p person) {
	p.t = t
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := p.command(ctx, "kubectl", "exec", "-it", "-n", "demo", "--context", "a", "hello", "--", "sh", "-c", "sleep 1; stty size; exit 3")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 33, Cols: 111})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	out, _ := io.ReadAll(terminal) // ends with an error when the program does
	_ = cmd.Wait()
	if !strings.Contains(string(out), "33 111") || cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("exit %d, output %q", cmd.ProcessState.ExitCode(), out)
	}
}

func attachWorks(t *testing.T, p person) {
	p.t = t
	r := p.run("ping\n", "kubectl", "attach", "-i", "-n", "demo", "--context", "a", "hello")
	if !strings.Contains(r.out, "attached") || !strings.Contains(r.out, "ping") {
		t.Errorf("attach: %+v", r)
	}
}

func portForwardWorks(t *testing.T, p person) {
	p.t = t
	body := strings.Repeat("x", megabytes)
	backend := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %s", n, body)
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = backend.Serve(ln) }()
	t.Cleanup(func() { _ = backend.Close() })
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	local, out := p.forward(port)
	resp, err := http.Post("http://127.0.0.1:"+local, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != fmt.Sprintf("%d %s", megabytes, body) {
		t.Errorf("%d bytes, error %v\n%s", len(got), err, out)
	}
}

// forward forwards a port of the pod, until the test ends, and returns the local one and
// what kubectl says.
func (p *person) forward(port string) (local string, out *tail) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	cmd := p.command(ctx, "kubectl", "port-forward", "-n", "demo", "--context", "a", "pod/hello", ":"+port)
	out = &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		cancel()
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	eventually(p.t, "port-forward", 30*time.Second, func() bool {
		_, rest, found := strings.Cut(out.String(), "127.0.0.1:")
		local, _, _ = strings.Cut(rest, " ")
		return found
	})
	return local, out
}

func copyWorks(t *testing.T, p person) {
	p.t = t
	dir := t.TempDir()
	text := strings.Repeat("copy me\n", 1000)
	writeFile(t, dir+"/from", text)
	p.kubectl("cp", "-n", "demo", "--context", "a", dir+"/from", "hello:"+dir+"/there")
	p.kubectl("cp", "-n", "demo", "--context", "a", "hello:"+dir+"/there", dir+"/back")
	if got, err := os.ReadFile(dir + "/back"); err != nil || string(got) != text {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}

func logsWork(t *testing.T, p person) {
	p.t = t
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := p.command(ctx, "kubectl", "logs", "-f", "-n", "demo", "--context", "a", "hello")
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	eventually(t, "followed log", 20*time.Second, func() bool { return strings.Contains(out.String(), "line 3") })
}

func watchWorks(t *testing.T, p person) {
	p.t = t
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := p.command(ctx, "kubectl", "get", "pods", "-w", "-n", "demo", "--context", "a", "-o", "name")
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	eventually(t, "first list", 20*time.Second, func() bool { return strings.Contains(out.String(), "pod/hello") })
	p.s.apply(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: second, namespace: demo}\nspec: {nodeName: fake, containers: [{name: main, image: x}]}\n")
	eventually(t, "event", 10*time.Second, func() bool { return strings.Contains(out.String(), "pod/second") })
}

func statusAndLogout(t *testing.T, me *person) {
	t.Helper()
	if got := me.must("kubectl-fairlead", "status"); !strings.Contains(got, "local:jane@example.test") || !strings.Contains(got, "Cluster b") {
		t.Errorf("status: %s", got)
	}
	if got := me.must("kubectl-fairlead", "kubeconfig", "--print"); !strings.Contains(got, "get-token") {
		t.Errorf("kubeconfig: %s", got)
	}
	me.must("kubectl-fairlead", "logout")
	me.env = append(me.env, "CI=true")
	began := time.Now()
	r := me.run("", "kubectl-fairlead", "get-token", "--server", me.s.issuer, "--cluster", "a")
	if r.code != 3 || r.out != "" || !strings.HasSuffix(strings.TrimSpace(r.err), "Run: kubectl fairlead login "+me.s.issuer) {
		t.Errorf("with CI=true after sign-out: %+v", r)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v to say no", took)
	}
}
