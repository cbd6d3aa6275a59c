package e2e_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authnv1 "k8s.io/api/authentication/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-auth/fairlead/test/harness/realkube"
)

const everythingPolicy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"

// TestTheProxyIsTheAPIServer sends more than 500 requests twice: straight to the API server,
// by an admin who says who they are from, and through the proxy by that person. Status,
// headers and body are the same; so is who it was, by the API server's audit log; and the
// proxy's own audit log says what the API server's says.
func TestTheProxyIsTheAPIServer(t *testing.T) {
	t.Parallel()
	d := setupDifferential(t)
	list := probes()
	if len(list) < 500 {
		t.Fatalf("%d requests, want 500", len(list))
	}
	for i, p := range list {
		d.send(t, i, p)
	}
	d.compareLogs(t, list)
}

// differential is a person's way through the proxy beside an admin's straight one.
type differential struct {
	*system
	me            authnv1.UserInfo
	token         string
	admin, client *http.Client
	proxied, log  string
	codes         map[int]int // of the answers, by request
}

func setupDifferential(t *testing.T) *differential {
	t.Helper()
	s := prepare(t, needParts(t))
	address := freeAddress(t)
	s.runFor(t, address)
	s.startKubeAs(t, realkube.Config{AuditPolicy: []byte(everythingPolicy)})
	s.apply(t, actAsRules)
	s.apply(t, readFile(t, "../../../deploy/kubernetes/proxy-kubectl-as-rbac.yaml"))
	s.apply(t, readFile(t, "testdata/work.yaml"))
	s.aggregate(t)
	for _, k := range kinds[:9] {
		s.apply(t, strings.Replace(fmt.Sprintf(k.body, k.one), `"metadata":{`, `"metadata":{"namespace":"work",`, 1))
	}
	eventually(t, "the custom resource", 30*time.Second, func() bool {
		_, err := s.kube.Kubectl(t.Context(), strings.Replace(fmt.Sprintf(kinds[9].body, "blue"), `"metadata":{`, `"metadata":{"namespace":"work",`, 1), "apply", "-f", "-")
		return err == nil
	})
	d := &differential{system: s, proxied: "https://" + address, log: s.dir + "/audit.log", codes: map[int]int{}}
	s.proxyExtra = "audit: {file: {path: " + d.log + "}}\n"
	s.startProxy(t, "a", address, "")
	p := s.person(t, jane())
	if r := p.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, p.browserFault())
	}
	d.token = p.token("a")
	d.client = &http.Client{Transport: s.client.Transport, CheckRedirect: stay, Timeout: 20 * time.Second}
	cfg, err := clientcmd.BuildConfigFromFlags("", s.kube.Admin)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TLSConfigFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.admin = &http.Client{Transport: &http.Transport{TLSClientConfig: transport}, CheckRedirect: stay, Timeout: 20 * time.Second}
	var who struct {
		Status struct {
			UserInfo authnv1.UserInfo `json:"userInfo"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(p.kubectl("auth", "whoami", "-o", "json")), &who); err != nil {
		t.Fatal(err)
	}
	d.me = who.Status.UserInfo
	return d
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// aggregate registers an API server of the test's own behind the real one, and one that is
// not there.
func (s *system) aggregate(t *testing.T) {
	t.Helper()
	behind := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Behind", "yes")
		if strings.HasSuffix(r.URL.Path, "/teapot") {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		groups := r.Header.Values("X-Remote-Group")
		slices.Sort(groups)
		_ = json.NewEncoder(w).Encode(map[string]any{"uri": r.RequestURI, "user": r.Header.Values("X-Remote-User"), "groups": groups, "authorization": r.Header.Values("Authorization")})
	}))
	t.Cleanup(behind.Close)
	_, port, err := net.SplitHostPort(behind.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"aggregated": port, "missing": "1"} {
		s.apply(t, fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: demo}
spec: {type: ExternalName, externalName: 127.0.0.1.nip.test, ports: [{port: %[2]s}]}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.%[1]s.test}
spec: {group: %[1]s.test, version: v1, groupPriorityMinimum: 1000, versionPriority: 10, insecureSkipTLSVerify: true, service: {name: %[1]s, namespace: demo, port: %[2]s}}
`, name, to))
	}
	s.apply(t, "apiVersion: v1\nkind: Service\nmetadata: {name: aggregated, namespace: demo}\nspec: {type: ExternalName, externalName: localhost, ports: [{port: "+port+"}]}\n")
	eventually(t, "the aggregated API", 30*time.Second, func() bool {
		out, err := s.kube.Kubectl(t.Context(), "", "get", "--raw", "/apis/aggregated.test/v1/things")
		return err == nil && strings.Contains(out, "uri")
	})
}

// reply is what came back, without what differs between any two answers.
type reply struct {
	Code   int
	Header http.Header
	Body   string
}

// own are headers that are another's on each way, or of each answer.
var own = []string{"Date", "Audit-Id", "X-Request-Id", "Content-Length", "Connection"}

// changing is what differs between two answers to the same request.
var changing = regexp.MustCompile(`"(uid|resourceVersion|creationTimestamp|time|token|expirationTimestamp|continue)":\s*"[^"]*"|req_[a-z0-9]+|resourceVersion: "\d+"|creationTimestamp: "[^"]*"|uid: [0-9a-f-]{36}|time: "[^"]*"|kube-api-access-[a-z0-9]{5}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|current: \d+`)

func (d *differential) send(t *testing.T, i int, p probe) {
	t.Helper()
	direct, proxied := p.header.Clone(), p.header.Clone()
	if direct == nil {
		direct, proxied = http.Header{}, http.Header{}
	}
	if len(p.as) > 0 {
		for name, values := range p.as {
			direct[name], proxied[name] = values, values
		}
	} else {
		d.say(direct)
	}
	proxied.Set("Authorization", "Bearer "+d.token)
	direct.Set("Audit-Id", fmt.Sprintf("direct-%d", i))
	proxied.Set("Audit-Id", fmt.Sprintf("proxied-%d", i))
	want, got := d.get(t, way{d.admin, d.kube.URL}, p, direct), d.get(t, way{d.client, d.proxied}, p, proxied)
	d.codes[i] = got.Code
	if diff := cmp.Diff(want, got); diff != "" {
		if len(diff) > 2000 {
			diff = diff[:2000] + "…"
		}
		t.Errorf("%s (-API server +proxy):\n%s", p, diff)
	}
}

// say adds who the person is to an admin's request.
func (d *differential) say(h http.Header) {
	h["Impersonate-User"], h["Impersonate-Uid"] = []string{d.me.Username}, []string{d.me.UID}
	h["Impersonate-Group"] = d.me.Groups
	for key, values := range d.me.Extra {
		h["Impersonate-Extra-"+strings.ReplaceAll(key, "/", "%2f")] = values
	}
}

// way is how a request goes.
type way struct {
	client  *http.Client
	address string
}

func (d *differential) get(t *testing.T, w way, p probe, header http.Header) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), p.method, "https://x/", strings.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	// The path goes out as it is written, whatever a parser would make of it.
	host := strings.TrimPrefix(w.address, "https://")
	path, query, asked := strings.Cut(p.path, "?")
	req.URL.Host, req.Host = host, host
	req.URL.Opaque, req.URL.RawQuery, req.URL.ForceQuery = "//"+host+path, query, asked
	req.Header = header
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	defer resp.Body.Close()
	var body io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	for _, name := range own {
		resp.Header.Del(name)
	}
	if strings.HasPrefix(p.path, "/openapi/") { // it is made anew while the API server starts
		resp.Header.Del("Last-Modified")
	}
	for _, host := range []string{d.kube.URL, d.proxied} {
		text = bytes.ReplaceAll(text, []byte(strings.TrimPrefix(host, "https://")), []byte("HOST"))
	}
	return reply{resp.StatusCode, resp.Header, changing.ReplaceAllString(string(text), "…")}
}

// compareLogs holds the two ways of each request equal in the API server's audit log, and
// the proxy's audit log equal to that.
func (d *differential) compareLogs(t *testing.T, list []probe) {
	t.Helper()
	theirs, ours := events(t, d.kube.AuditLog), events(t, d.log)
	for i, p := range list {
		direct, proxied := theirs[fmt.Sprintf("direct-%d", i)], theirs[fmt.Sprintf("proxied-%d", i)]
		mine, ok := ours[fmt.Sprintf("proxied-%d", i)]
		if !ok {
			t.Errorf("%s: not in the proxy's audit log", p)
			continue
		}
		if direct == nil || proxied == nil {
			t.Errorf("%s: not in the API server's audit log (direct %v, proxied %v)", p, direct != nil, proxied != nil)
			continue
		}
		if diff := cmp.Diff(brief(direct, direct.ImpersonatedUser), brief(proxied, proxied.ImpersonatedUser)); diff != "" {
			t.Errorf("%s in the API server's audit log (-direct +through the proxy):\n%s", p, diff)
		}
		person := &mine.User
		if mine.ImpersonatedUser != nil {
			person = mine.ImpersonatedUser
		}
		if diff := cmp.Diff(brief(proxied, proxied.ImpersonatedUser), brief(mine, person)); diff != "" {
			t.Errorf("%s (-API server's audit log +proxy's):\n%s", p, diff)
		}
		if mine.User.Username != d.me.Username || (len(p.as) > 0) != (mine.ImpersonatedUser != nil) {
			t.Errorf("%s: the proxy's audit log says %+v as %+v", p, mine.User, mine.ImpersonatedUser)
		}
	}
}

// account is what two audit logs have to agree about.
type account struct {
	User      authnv1.UserInfo
	Verb, URI string
	Code      int32
	On        *auditv1.ObjectReference
}

func brief(e *auditv1.Event, who *authnv1.UserInfo) account {
	a := account{Verb: e.Verb, On: e.ObjectRef, URI: e.RequestURI}
	if who != nil {
		a.User = *who
		if len(a.User.Extra) == 0 {
			a.User.Extra = nil
		}
		a.User.Groups = slices.Sorted(slices.Values(a.User.Groups))
	}
	if a.On != nil { // those of the object, which the API server reads from the body
		on := *a.On
		on.UID, on.ResourceVersion = "", ""
		if e.Verb == "create" && on.Subresource == "" {
			on.Name = ""
		}
		a.On = &on
	}
	if e.ResponseStatus != nil {
		a.Code = e.ResponseStatus.Code
	}
	if a.On != nil && slices.Contains([]string{"exec", "attach", "portforward", "proxy"}, a.On.Subresource) {
		a.URI, _, _ = strings.Cut(a.URI, "?") // the proxy leaves commands out
	}
	return a
}

// events are the last of each request, by its id.
func events(t *testing.T, file string) map[string]*auditv1.Event {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]*auditv1.Event{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		out[string(e.AuditID)] = &e
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
