package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// actAsRules let jane act as some, and the proxy ask.
const actAsRules = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: may-act-as}
rules:
- {apiGroups: [""], resources: [users], resourceNames: [bob, "system:anonymous", "system:serviceaccount:demo:x:y"], verbs: [impersonate]}
- {apiGroups: [""], resources: [groups], resourceNames: [dev, "system:unauthenticated", "system:authenticated"], verbs: [impersonate]}
- {apiGroups: [authentication.k8s.io], resources: [uids], resourceNames: ["42"], verbs: [impersonate]}
- {apiGroups: [authentication.k8s.io], resources: [userextras/scopes, userextras/example.com/a], resourceNames: [view], verbs: [impersonate]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: may-act-as}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: may-act-as}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "local:jane@example.test"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: may-act-as, namespace: demo}
rules:
- {apiGroups: [""], resources: [serviceaccounts], resourceNames: [default], verbs: [impersonate]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: may-act-as, namespace: demo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: may-act-as}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "local:jane@example.test"}]
`

// wishes are headers that the API server takes in one way only.
func wishes() map[string]http.Header {
	return map[string]http.Header{
		"nobody else":                   {},
		"bob":                           {"Impersonate-User": {"bob"}},
		"somebody not allowed":          {"Impersonate-User": {"admin"}},
		"a group":                       {"Impersonate-User": {"bob"}, "Impersonate-Group": {"dev"}},
		"a group not allowed":           {"Impersonate-User": {"bob"}, "Impersonate-Group": {"dev", "system:masters"}},
		"everybody's group":             {"Impersonate-User": {"bob"}, "Impersonate-Group": {"system:authenticated"}},
		"nobody's group":                {"Impersonate-User": {"bob"}, "Impersonate-Group": {"system:unauthenticated"}},
		"a service account":             {"Impersonate-User": {"system:serviceaccount:demo:default"}},
		"one in another namespace":      {"Impersonate-User": {"system:serviceaccount:kube-system:default"}},
		"a service account with groups": {"Impersonate-User": {"system:serviceaccount:demo:default"}, "Impersonate-Group": {"dev"}},
		"what only looks like one":      {"Impersonate-User": {"system:serviceaccount:demo:x:y"}},
		"anonymous":                     {"Impersonate-User": {"system:anonymous"}},
		"anonymous with a group":        {"Impersonate-User": {"system:anonymous"}, "Impersonate-Group": {"dev"}},
		"a uid":                         {"Impersonate-User": {"bob"}, "Impersonate-Uid": {"42"}},
		"a uid not allowed":             {"Impersonate-User": {"bob"}, "Impersonate-Uid": {"0"}},
		"extra":                         {"Impersonate-User": {"bob"}, "Impersonate-Extra-Scopes": {"view"}},
		"extra not allowed":             {"Impersonate-User": {"bob"}, "Impersonate-Extra-Scopes": {"view", "admin"}},
		"extra of a key not allowed":    {"Impersonate-User": {"bob"}, "Impersonate-Extra-Other": {"view"}},
		"an encoded key":                {"Impersonate-User": {"bob"}, "Impersonate-Extra-Example.com%2fa": {"view"}},
		"an encoded key, upper case":    {"Impersonate-User": {"bob"}, "Impersonate-Extra-Example.com%2Fa": {"view"}},
		"encoded twice":                 {"Impersonate-User": {"bob"}, "Impersonate-Extra-Example.com%252fa": {"view"}},
		"everything":                    {"Impersonate-User": {"bob"}, "Impersonate-Group": {"dev"}, "Impersonate-Uid": {"42"}, "Impersonate-Extra-Scopes": {"view"}},
	}
}

// outcome is the answer that a caller got.
type outcome struct {
	Code int
	Body map[string]any
}

func (s *system) tryAs(t *testing.T, client *http.Client, address, token string, wish http.Header) outcome {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/apis/authentication.k8s.io/v1/selfsubjectreviews", strings.NewReader(`{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = wish.Clone()
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := outcome{Code: resp.StatusCode}
	if err := json.Unmarshal(text, &out.Body); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	delete(out.Body, "metadata")
	return out
}

// TestActAsIsWhatTheAPIServerDoes sends the same token and the same headers to the API
// server and through the proxy: the same person arrives, or the same words come back.
func TestActAsIsWhatTheAPIServerDoes(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	address := freeAddress(t)
	s.runFor(t, address)
	s.startKube(t, []byte(s.operate(t, "cluster", "config", "a")))
	s.apply(t, actAsRules)
	s.startProxy(t, "a", address, "")
	me := s.person(t, jane())
	if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	token := me.token("a")
	if _, code := review(t, s, s.kube, token); code != http.StatusCreated { // waits for the issuer's keys
		t.Fatalf("the API server does not take the token: %d", code)
	}
	direct := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsFromPEM(t, s.kube.CA)}}
	proxied := "https://" + address

	// Without the rights for it the proxy refuses all impersonation, and says why.
	if got := s.tryAs(t, s.client, proxied, token, wishes()["bob"]); got.Code != http.StatusForbidden || !strings.Contains(fmt.Sprint(got.Body["message"]), "proxy-kubectl-as-rbac.yaml") {
		t.Errorf("without the rights: %+v", got)
	}
	s.apply(t, readFile(t, "../../../deploy/kubernetes/proxy-kubectl-as-rbac.yaml"))
	for name, wish := range wishes() {
		want, got := s.tryAs(t, direct, s.kube.URL, token, wish), s.tryAs(t, s.client, proxied, token, wish)
		if len(wish) == 0 { // where a token comes from is said by each in its own way
			for _, o := range []outcome{want, got} {
				if status, ok := o.Body["status"].(map[string]any); ok {
					delete(status["userInfo"].(map[string]any), "extra")
				}
			}
		}
		if strings.Contains(fmt.Sprint(want.Body["message"]), "cannot impersonate") {
			// Since constrained impersonation (Kubernetes 1.36) the API server's words name the
			// last of the questions that it asked, of two kinds; the proxy's the one that
			// would have to be allowed.
			for _, o := range []outcome{want, got} {
				if !strings.Contains(fmt.Sprint(o.Body["message"]), `User "local:jane@example.test" cannot impersonate`) {
					t.Errorf("%s: %v", name, o.Body["message"])
				}
				delete(o.Body, "message")
				delete(o.Body, "details")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-API server +proxy):\n%s", name, diff)
		}
	}
	if r := me.run("", "kubectl", "--context", "a", "auth", "whoami", "--as", "bob", "--as-group", "dev"); r.code != 0 || !strings.Contains(r.out, "bob") {
		t.Errorf("kubectl --as: %+v", r)
	}
	if r := me.run("", "kubectl", "--context", "a", "get", "--raw", "/api", "--as", "admin"); r.code == 0 || !strings.Contains(r.err, `cannot impersonate resource "users"`) {
		t.Errorf("kubectl --as somebody not allowed: %+v", r)
	}
	if !strings.Contains(s.proxies["a"].String(), `as \"bob\" in`) {
		t.Error("the proxy did not record whom jane acted as")
	}
}
