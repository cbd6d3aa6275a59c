package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/realkube"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestDirectMode gives a real API server exactly what "fairlead cluster config"
// prints.
func TestDirectMode(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	s := prepare(t, p)
	// The API server's address is known only when it runs, and it needs the
	// issuer first: so the server starts with a placeholder.
	listen := strings.TrimPrefix(s.issuer, "https://")
	entry := func(id, address, ca string) string {
		return "- {id: " + id + ", mode: direct, server: \"" + address + "\", ca: \"file:" + ca + "\"}\n"
	}
	rules := `
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
admins: {users: ["local:jane@example.test"]}
`
	config := func(a, b, ca string) string {
		return localUsers(t) + "clusters:\n" + entry("a", a, ca) + entry("b", b, ca) + rules
	}
	s.run(t, listen, config("https://127.0.0.1:1", "https://127.0.0.1:1", s.dir+"/ca.crt"))

	clusters := map[string]*realkube.Cluster{}
	for _, id := range []string{"a", "b"} {
		out, err := exec.Command(s.bin+"/fairlead", "cluster", "config", id, "--config", s.dir+"/fairlead.yaml").Output()
		if err != nil {
			t.Fatal(err)
		}
		s.startKube(t, out)
		clusters[id] = s.kube
	}
	// The page says the same to an admin, and not to a user without access to the cluster.
	page := relyingparty.NewBrowser(t, s.issuer, s.client.Transport).SignIn(s.issuer+"/clusters/a", jane().Credentials)
	printed, err := exec.Command(s.bin+"/fairlead", "cluster", "config", "a", "--config", s.dir+"/fairlead.yaml").Output()
	if err != nil || strings.TrimSpace(page.Doc.Find("#way-direct + label + .tabset-panel pre").First().Text()) != strings.TrimSpace(string(printed)) {
		t.Errorf("the page says otherwise: %v\n%s", err, page.Text)
	}
	bob := jane().Credentials
	bob.Username = "bob@example.test"
	if page := relyingparty.NewBrowser(t, s.issuer, s.client.Transport).SignIn(s.issuer+"/clusters/a", bob); page.Status != http.StatusNotFound || strings.Contains(page.Text, "jwt:") {
		t.Errorf("bob sees %v", page)
	}
	me := s.person(t, jane())
	if r := me.run("", "kubectl-fairlead", "login", s.issuer, "--no-kubeconfig"); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	tokens := map[string]string{"a": me.token("a"), "b": me.token("b")}
	for id, kube := range clusters {
		review(t, s, kube, tokens[id]) // waits until the issuer's keys are there
		for of, token := range tokens {
			who, code := review(t, s, kube, token)
			if of != id {
				if code != http.StatusUnauthorized {
					t.Errorf("cluster %s took the token of %s: %d", id, of, code)
				}
				continue
			}
			if code != http.StatusCreated {
				t.Fatalf("cluster %s does not take its own token: %d", id, code)
			}
			if got := who.Status.UserInfo.Username; got != "local:jane@example.test" {
				t.Errorf("cluster %s sees %q", id, got)
			}
			ca := writeFile(t, me.home+"/"+id+".crt", string(kube.CA))
			whoamiAsAnnounced(t, s, me, id, "--server", kube.URL, "--certificate-authority", ca, "--token", token)
		}
	}
	// An access token is useless at a cluster.
	if _, code := review(t, s, clusters["a"], "not-a-jwt"); code != http.StatusUnauthorized {
		t.Errorf("garbage: %d", code)
	}
}

// review asks an API server who a token is. It retries while the API server
// has not yet fetched the issuer's keys.
func review(t *testing.T, s *system, kube *realkube.Cluster, token string) (who whoami, code int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsFromPEM(t, kube.CA)}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, kube.URL+"/apis/authentication.k8s.io/v1/selfsubjectreviews",
			strings.NewReader(`{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusCreated {
			err = json.NewDecoder(resp.Body).Decode(&who)
		}
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if s.warm[kube] || resp.StatusCode == http.StatusCreated {
			s.warm[kube] = true
			return who, resp.StatusCode
		}
		select {
		case <-ctx.Done():
			return who, resp.StatusCode
		case <-time.After(200 * time.Millisecond):
		}
	}
}
