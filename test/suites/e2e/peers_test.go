package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/fairlead-auth/fairlead/test/harness/jws"
	"github.com/fairlead-auth/fairlead/test/harness/realkube"
)

// secondIssuer is an OpenID provider that a cluster trusts besides Fairlead.
type secondIssuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

func startSecondIssuer(t *testing.T) *secondIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &secondIssuer{key: key}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"}})
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *secondIssuer) token(t *testing.T, change map[string]any) string {
	t.Helper()
	claims := map[string]any{"iss": i.URL, "aud": "ci", "sub": "42", "email": "bot@example.test", "roles": []string{"deploy"}, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "jti": "j1"}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return signES256(t, i.key, claims)
}

func signES256(t *testing.T, key *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	return jws.Sign(t, jose.ES256, key, "k", claims)
}

// authentication is the file that both the API server and the proxy take.
func (i *secondIssuer) authentication() string {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Raw})
	return "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer:\n    url: " + i.URL + "\n    audiences: [ci, other]\n    audienceMatchPolicy: MatchAny\n    certificateAuthority: |\n      " +
		strings.ReplaceAll(strings.TrimSpace(string(ca)), "\n", "\n      ") + `
  claimMappings:
    username: {claim: email, prefix: "ci:"}
    groups: {claim: roles, prefix: "ci:"}
    uid: {claim: sub}
`
}

// peers is a cluster with two proxies: a trusts as much as it can, b only the server.
type peers struct {
	*system
	second *secondIssuer
	me     *person
	a, b   string
	hooked *webhook
}

// webhook receives audit events.
type webhook struct {
	*httptest.Server
	mu     sync.Mutex
	events []auditv1.Event
}

func startWebhook(t *testing.T) *webhook {
	t.Helper()
	h := &webhook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var list auditv1.EventList
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			t.Error(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events = append(h.events, list.Items...)
	}))
	t.Cleanup(h.Close)
	return h
}

func setupPeers(t *testing.T) *peers {
	t.Helper()
	s := prepare(t, needParts(t))
	p := &peers{system: s, second: startSecondIssuer(t), a: freeAddress(t), b: freeAddress(t), hooked: startWebhook(t)}
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), localUsers(t)+"clusters:\n"+clusterEntry("a", p.a, s.dir)+clusterEntry("b", p.b, s.dir)+`
rules:
- {id: everybody, description: Everybody, who: {groups: ["local:developers"], users: ["local:bob@example.test"]}, clusters: {ids: ["*"]}}
`)
	s.startKubeAs(t, realkube.Config{AuthenticationConfig: []byte(p.second.authentication())})
	s.apply(t, readFile(t, "../../../deploy/kubernetes/proxy-service-account-tokens-rbac.yaml"))
	s.apply(t, readFile(t, "../../../deploy/kubernetes/proxy-kubectl-as-rbac.yaml"))
	s.apply(t, actAsRules)
	file := writeFile(t, s.dir+"/authentication.yaml", p.second.authentication())
	hook := writeFile(t, s.dir+"/webhook.kubeconfig", "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \""+p.hooked.URL+"\"}}]\ncontexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n")
	s.proxyExtra = fmt.Sprintf("authentication: {file: %s, serviceAccountTokens: true}\naudit: {file: {path: %s/a.log}, webhook: %s}\n", file, s.dir, hook)
	s.startProxy(t, "a", p.a, "") // with a client certificate
	s.proxyExtra = ""
	s.startProxy(t, "b", p.b, s.serviceAccount(t))
	p.me = s.person(t, jane())
	if r := p.me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, p.me.browserFault())
	}
	return p
}

// get asks with a token; empty is none.
func (p *peers) get(t *testing.T, address, path, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := p.client.Do(req)
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

// whoami returns the user name that an address sees.
func (p *peers) whoami(t *testing.T, client *http.Client, address, token string) (whoami, int) {
	t.Helper()
	out := p.tryAs(t, client, "https://"+address, token, http.Header{})
	var who whoami
	text, err := json.Marshal(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(text, &who)
	return who, out.Code
}

// TestPeers has the cases of the suites of kube-oidc-proxy and its forks, by their names,
// with real parts. Those that are not here have tests of their own: exec, attach, cp and
// port-forward over WebSocket and SPDY, large stdin, watch, followed logs (TestMainJob);
// impersonation in detail (TestActAsIsWhatTheAPIServerDoes); aggregated APIs, hop-by-hop
// headers and odd requests (TestTheProxyIsTheAPIServer, TestNobodyArrivesAsSomebodyElse).
func TestPeers(t *testing.T) {
	t.Parallel()
	p := setupPeers(t)
	t.Run("Token: errors when tokens are wrong for the issuer", p.wrongTokens)
	t.Run("RBAC: forbidden with a valid token and no RBAC", p.forbidden)
	t.Run("RBAC: access follows group bindings", p.followsBindings)
	t.Run("Impersonation: allowed, user missing, not authorized", p.impersonation)
	t.Run("Passthrough: off and on", p.passthrough)
	t.Run("Headers: extras are those of the token", p.extras)
	t.Run("authconfig: second issuer", p.secondIssuerWorks)
	t.Run("authconfig: ids of others", p.othersIDs)
	t.Run("reservedidentity", p.reservedIdentity)
	t.Run("Audit: to file and to webhook", p.audited)
	t.Run("Audit: ResponseStarted appears while the stream is open", p.auditedWhileOpen)
	t.Run("WebSocket: bearer subprotocol", p.bearerSubprotocol)
	t.Run("Upstream: TLS failure", p.upstreamTLS)
	t.Run("Readiness: issuer down at start, issuer lost later", p.readiness)
	t.Run("Drain: during an exec", p.drain)
}

func (p *peers) wrongTokens(t *testing.T) {
	mine := p.me.token("a")
	for name, token := range map[string]string{
		"none": "", "garbage": "garbage", "malformed": "a.b.c", "unsigned": strings.Join(append(strings.Split(mine, ".")[:2], ""), "."), "another cluster's": p.me.token("b"),
		"unknown issuer": signES256(t, p.second.key, map[string]any{"iss": "https://nobody.test", "aud": "ci", "exp": time.Now().Add(time.Hour).Unix()}),
		"other audience": p.second.token(t, map[string]any{"aud": "x"}), "expired": p.second.token(t, map[string]any{"exp": time.Now().Unix()}), "made up by the other issuer": p.second.token(t, map[string]any{"iss": p.issuer, "aud": "k8s-a"}),
	} {
		if code, body := p.get(t, p.a, "/api/v1/namespaces/demo/pods", token); code != http.StatusUnauthorized || !strings.Contains(body, `"kind":"Status"`) || !strings.Contains(body, "fairlead-proxy: ") {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	if code, body := p.get(t, p.a, "/api/v1/nodes", mine); code != http.StatusForbidden || !strings.Contains(body, `User \"local:jane@example.test\" cannot list resource`) {
		t.Errorf("a good token: %d %s", code, body)
	}
}

func (p *peers) forbidden(t *testing.T) {
	other := p.person(t, bob())
	if r := other.run("", "kubectl-fairlead", "login", p.issuer); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	for _, kind := range []string{"pods", "services", "secrets", "nodes"} {
		if r := other.run("", "kubectl", "get", kind, "-n", "demo", "--context", "a"); r.code == 0 || !strings.Contains(r.err, "Forbidden") {
			t.Errorf("%s: %+v", kind, r)
		}
	}
}

func (p *peers) followsBindings(t *testing.T) {
	allowed := []string{}
	token := p.second.token(t, map[string]any{"roles": []string{"group-1", "group-2"}})
	for i, kind := range []string{"services", "secrets"} {
		p.apply(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: sees-%[1]s, namespace: demo}
rules: [{apiGroups: [""], resources: [%[1]s], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: sees-%[1]s, namespace: demo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: sees-%[1]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "ci:group-%[2]d"}]
`, kind, i+1))
		allowed = append(allowed, kind)
		for _, kind := range []string{"services", "secrets", "configmaps"} {
			want := http.StatusForbidden
			if slices.Contains(allowed, kind) {
				want = http.StatusOK
			}
			eventually(t, kind, 10*time.Second, func() bool {
				code, _ := p.get(t, p.a, "/api/v1/namespaces/demo/"+kind, token)
				return code == want
			})
		}
	}
}

func (p *peers) impersonation(t *testing.T) {
	token := p.me.token("a")
	for name, c := range map[string]struct {
		wish http.Header
		want int
		text string
	}{
		"allowed":        {http.Header{"Impersonate-User": {"bob"}, "Impersonate-Group": {"dev"}, "Impersonate-Extra-Scopes": {"view"}}, http.StatusCreated, ""},
		"group only":     {http.Header{"Impersonate-Group": {"dev"}}, http.StatusBadRequest, ""},
		"extra only":     {http.Header{"Impersonate-Extra-Scopes": {"view"}}, http.StatusBadRequest, ""},
		"other user":     {http.Header{"Impersonate-User": {"admin"}}, http.StatusForbidden, `cannot impersonate resource "users"`},
		"other group":    {http.Header{"Impersonate-User": {"bob"}, "Impersonate-Group": {"system:masters"}}, http.StatusForbidden, `cannot impersonate resource "groups"`},
		"other extra":    {http.Header{"Impersonate-User": {"bob"}, "Impersonate-Extra-Scopes": {"admin"}}, http.StatusForbidden, `cannot impersonate resource "userextras/scopes"`},
		"two users":      {http.Header{"Impersonate-User": {"bob", "admin"}}, http.StatusBadRequest, ""},
		"unknown":        {http.Header{"Impersonate-User": {"bob"}, "Impersonate-Foo": {"x"}}, http.StatusBadRequest, ""},
		"through a fold": {http.Header{"Impersonate_User": {"admin"}}, http.StatusBadRequest, ""},
	} {
		if got := p.tryAs(t, p.client, "https://"+p.a, token, c.wish); got.Code != c.want || !strings.Contains(fmt.Sprint(got.Body["message"]), c.text) {
			t.Errorf("%s: %+v, want %d %s", name, got, c.want, c.text)
		}
	}
}

// passthrough sends a service account's token. The proxy's own certificate must not speak
// for it.
func (p *peers) passthrough(t *testing.T) {
	token, err := p.kube.Kubectl(t.Context(), "", "create", "token", "-n", "demo", "default")
	if err != nil {
		t.Fatal(err)
	}
	token = strings.TrimSpace(token)
	if code, body := p.get(t, p.b, "/api", token); code != http.StatusUnauthorized {
		t.Errorf("off: %d %s", code, body)
	}
	direct := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsFromPEM(t, p.kube.CA)}}
	want, _ := p.whoami(t, direct, strings.TrimPrefix(p.kube.URL, "https://"), token)
	for range 2 {
		if got, code := p.whoami(t, p.client, p.a, token); code != http.StatusCreated || got.Status.UserInfo.Username != "system:serviceaccount:demo:default" || !cmp.Equal(want, got) {
			t.Errorf("on: %d %s", code, cmp.Diff(want, got))
		}
	}
	if got, _ := p.whoami(t, p.client, p.a, p.me.token("a")); got.Status.UserInfo.Username != "local:jane@example.test" {
		t.Errorf("jane is %+v", got)
	}
	if got := p.tryAs(t, p.client, "https://"+p.a, token, http.Header{"Impersonate-User": {"admin"}}); got.Code != http.StatusForbidden {
		t.Errorf("a service account that acts as somebody: %+v", got)
	}
	kubeconfig := writeFile(t, p.dir+"/robot.kubeconfig", fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"https://%s\", certificate-authority: %s/ca.crt}}]\nusers: [{name: u, user: {token: %s}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n", p.a, p.dir, token))
	if r := p.me.run("", "kubectl", "--kubeconfig", kubeconfig, "auth", "whoami"); r.code != 0 || !strings.Contains(r.out, "system:serviceaccount:demo:default") {
		t.Errorf("kubectl: %+v", r)
	}
	if r := p.me.run("", "kubectl", "--kubeconfig", kubeconfig, "get", "pods", "-n", "demo"); r.code == 0 || !strings.Contains(r.err, `User "system:serviceaccount:demo:default" cannot list`) {
		t.Errorf("kubectl: %+v", r)
	}
}

func (p *peers) extras(t *testing.T) {
	who, _ := p.whoami(t, p.client, p.a, p.second.token(t, nil))
	if diff := cmp.Diff(map[string][]string{"authentication.kubernetes.io/credential-id": {"JTI=j1"}}, who.Status.UserInfo.Extra); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	who, _ = p.whoami(t, p.client, p.a, p.second.token(t, map[string]any{"jti": nil}))
	if len(who.Status.UserInfo.Extra) != 0 {
		t.Errorf("without an id: %v", who.Status.UserInfo.Extra)
	}
}

// secondIssuerWorks compares what the proxy makes of its tokens with what the API server
// makes of them, by the same file.
func (p *peers) secondIssuerWorks(t *testing.T) {
	direct := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsFromPEM(t, p.kube.CA)}}
	upstream := strings.TrimPrefix(p.kube.URL, "https://")
	eventually(t, "the API server has the issuer's keys", 30*time.Second, func() bool {
		_, code := p.whoami(t, direct, upstream, p.second.token(t, nil))
		return code == http.StatusCreated
	})
	for name, change := range map[string]map[string]any{
		"good": nil, "verified": {"email_verified": true}, "not verified": {"email_verified": false}, "one group": {"roles": "deploy"}, "no groups": {"roles": nil}, "no e-mail": {"email": nil}, "no id": {"sub": nil},
		"several audiences": {"aud": []string{"x", "other"}}, "other audience": {"aud": []string{"x"}}, "expired": {"exp": time.Now().Add(-time.Minute).Unix()}, "not yet": {"nbf": time.Now().Add(10 * time.Minute).Unix()}, "a number for a name": {"email": 5},
		"numbers for groups": {"roles": []any{1, 2}}, "no jti": {"jti": nil}, "verified in words": {"email_verified": "true"}, "unicode": {"email": "grün@example.test", "roles": []string{"größe"}},
	} {
		token := p.second.token(t, change)
		want, wantCode := p.whoami(t, direct, upstream, token)
		got, code := p.whoami(t, p.client, p.a, token)
		if (wantCode == http.StatusCreated) != (code == http.StatusCreated) {
			t.Errorf("%s: the API server says %d, the proxy %d", name, wantCode, code)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-API server +proxy):\n%s", name, diff)
		}
		if code, _ := p.get(t, p.b, "/api", token); code != http.StatusUnauthorized {
			t.Errorf("%s: a proxy that does not trust the issuer says %d", name, code)
		}
	}
}

// othersIDs: the id that another issuer chose is in no event of ours, where it could be taken
// for one of Fairlead's people.
func (p *peers) othersIDs(t *testing.T) {
	eventually(t, "an event of the second issuer's robot", 5*time.Second, func() bool {
		return strings.Contains(p.proxies["a"].String(), `"user_name":"ci:bot@example.test"`)
	})
	for line := range strings.Lines(p.proxies["a"].String()) {
		if strings.Contains(line, `"user_name":"ci:`) && strings.Contains(line, `"user_id"`) {
			t.Error(line)
		}
	}
}

func (p *peers) reservedIdentity(t *testing.T) {
	loose := writeFile(t, p.dir+"/loose.yaml", strings.NewReplacer(`prefix: "ci:"`, `prefix: ""`).Replace(p.second.authentication()))
	address := freeAddress(t)
	q := *p.system
	q.proxyExtra = "authentication: {file: " + loose + "}\n"
	q.proxies = map[string]*tail{}
	q.startProxy(t, "a", address, "")
	for name, change := range map[string]map[string]any{
		"system:masters": {"roles": []string{"system:masters"}}, "system: name": {"email": "system:admin"}, "a service account": {"email": "system:serviceaccount:kube-system:x"}, "system:authenticated": {"roles": []string{"system:authenticated"}},
	} {
		if code, body := p.get(t, address, "/api", p.second.token(t, change)); code != http.StatusForbidden || !strings.Contains(body, "which Kubernetes reserves") {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	if who, code := p.whoami(t, p.client, address, p.second.token(t, nil)); code != http.StatusCreated || who.Status.UserInfo.Username != "bot@example.test" {
		t.Errorf("an ordinary name: %d %+v", code, who)
	}
}

// audited looks for a refusal of the API server and one of the proxy, in both places.
func (p *peers) audited(t *testing.T) {
	req := func(id, token string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+p.a+"/api/v1/namespaces/kube-system/secrets/x", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + token}, "Audit-Id": {id}}
		resp, err := p.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	req("forbidden", p.me.token("a"))
	req("nobody", "x")
	want := map[string]string{
		"forbidden": `RequestReceived "local:jane@example.test" get secrets/x 0, ResponseComplete "local:jane@example.test" get secrets/x 403`,
		"nobody":    `RequestReceived "" get secrets/x 0, ResponseComplete "" get secrets/x 401`,
	}
	story := func(events []auditv1.Event) map[string]string {
		got := map[string]string{}
		for _, e := range events {
			if _, wanted := want[string(e.AuditID)]; !wanted {
				continue
			}
			code := int32(0)
			if e.ResponseStatus != nil {
				code = e.ResponseStatus.Code
			}
			if got[string(e.AuditID)] != "" {
				got[string(e.AuditID)] += ", "
			}
			got[string(e.AuditID)] += fmt.Sprintf("%s %q %s %s/%s %d", e.Stage, e.User.Username, e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name, code)
		}
		return got
	}
	var inFile []auditv1.Event
	for line := range strings.Lines(readFile(t, p.dir+"/a.log")) {
		var e auditv1.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		inFile = append(inFile, e)
	}
	if diff := cmp.Diff(want, story(inFile)); diff != "" {
		t.Errorf("the file (-want +got):\n%s", diff)
	}
	eventually(t, "the webhook", 20*time.Second, func() bool {
		p.hooked.mu.Lock()
		defer p.hooked.mu.Unlock()
		return cmp.Equal(want, story(p.hooked.events))
	})
}

func (p *peers) auditedWhileOpen(t *testing.T) {
	for name, args := range map[string][]string{
		"watch": {"get", "pods", "-n", "demo", "--context", "a", "--watch"}, "exec": {"exec", "-n", "demo", "--context", "a", "hello", "--", "sh", "-c", "echo begun; sleep 60"},
		"followed log": {"logs", "-f", "-n", "demo", "--context", "a", "hello"},
	} {
		before := strings.Count(readFile(t, p.dir+"/a.log"), `"stage":"ResponseStarted"`)
		s := p.me.stream(name, nil, args...)
		eventually(t, name, 10*time.Second, func() bool {
			return strings.Count(readFile(t, p.dir+"/a.log"), `"stage":"ResponseStarted"`) > before
		})
		if !s.open() {
			t.Errorf("%s has ended", name)
		}
		_ = s.cmd.Process.Kill()
	}
}

func (p *peers) upstreamTLS(t *testing.T) {
	wrong := writeFile(t, p.dir+"/wrong.kubeconfig", strings.Replace(readFile(t, p.kube.Admin), "127.0.0.1", "localhost", 1))
	text := readFile(t, wrong)
	_, rest, _ := strings.Cut(text, "certificate-authority-data: ")
	data, _, _ := strings.Cut(rest, "\n")
	writeFile(t, wrong, strings.Replace(strings.Replace(text, "certificate-authority-data: "+data, "certificate-authority: "+p.dir+"/ca.crt", 1), "localhost", "127.0.0.1", 1))
	address := freeAddress(t)
	q := *p.system
	q.proxies = map[string]*tail{}
	q.startProxy(t, "a", address, wrong)
	if code, body := p.get(t, address, "/api", p.me.token("a")); code != http.StatusServiceUnavailable || !strings.Contains(body, "cannot reach the cluster's API server") {
		t.Errorf("%d %s", code, body)
	}
	eventually(t, "words in the log that say why", 5*time.Second, func() bool {
		return strings.Contains(q.proxies["a"].String(), "certificate signed by unknown authority")
	})
}

func (p *peers) readiness(t *testing.T) {
	issuer := startSecondIssuer(t)
	ready := func(health string) int {
		resp, err := http.Get("http://" + health + "/readyz")
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	run := func(name, issuerURL string) (health string) {
		health = freeAddress(t)
		ca := writeFile(t, p.dir+"/"+name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw})))
		file := writeFile(t, p.dir+"/"+name+".yaml", fmt.Sprintf("listen: %s\ntls: {certificate: %[2]s/tls.crt, key: %[2]s/tls.key}\naudience: k8s-a\nissuer: {url: %q, ca: %s}\nupstream: {kubeconfig: %s}\nhealth: {listen: %s}\n",
			freeAddress(t), p.dir, issuerURL, ca, p.kube.Admin, health))
		start(t, p.bin+"/fairlead-proxy", nil, "serve", "--config", file)
		return health
	}
	down, up := run("down", "https://127.0.0.1:1"), run("up", issuer.URL)
	eventually(t, "ready with its issuer", 20*time.Second, func() bool { return ready(up) == http.StatusOK })
	eventually(t, "an answer without its issuer", 20*time.Second, func() bool { return ready(down) != 0 })
	issuer.CloseClientConnections()
	issuer.Listener.Close()
	time.Sleep(2 * time.Second)
	if code := ready(down); code != http.StatusServiceUnavailable {
		t.Errorf("a proxy whose issuer was never there says %d", code)
	}
	if code := ready(up); code != http.StatusOK {
		t.Errorf("a proxy whose issuer is gone says %d", code)
	}
}

// drain stops the proxy while a shell is open: it goes on until the deadline, and says why it
// ends.
func (p *peers) drain(t *testing.T) {
	s := p.me.stream("shell", nil, "exec", "-n", "demo", "--context", "b", "hello", "--", "sh", "-c", "echo begun; sleep 60; echo never")
	quick := p.me.stream("quick", nil, "exec", "-n", "demo", "--context", "b", "hello", "--", "sh", "-c", "echo begun; sleep 1; echo done")
	began := time.Now()
	go p.proxies["b"].stop()
	eventually(t, "the end of the shell", 20*time.Second, func() bool { return !s.open() })
	if took := time.Since(began); took < time.Second {
		t.Errorf("the shell ended at once, after %v", took)
	}
	if !strings.Contains(quick.out.String(), "done") {
		t.Errorf("what would have ended in time did not: %q %q", quick.out.String(), quick.err.String())
	}
	if !strings.Contains(s.err.String(), "fairlead-proxy") {
		t.Errorf("nobody says why: %q", s.err.String())
	}
}
