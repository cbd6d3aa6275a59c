package e2e_test

import (
	"bufio"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// startProvider runs an OpenID provider that we did not write.
func startProvider(t *testing.T) string {
	t.Helper()
	js := prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "npm modules")
	cmd := exec.Command(prerequisite.Program(t, "node"), "provider.mjs")
	cmd.Dir = js
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// TestAProviderThatWeDidNotWrite is connected in the pages, tested at its depths,
// signed in with, and asked again at a refresh.
func TestAProviderThatWeDidNotWrite(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	provider := startProvider(t)
	s := prepare(t, p)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), "")
	o := &operator{chromium: startChromium(t, s), s: s}
	o.setUp()
	o.open("/connectors/new?type=oidc&preset=keycloak")
	o.fill(map[string]string{"id": "idp", "name": "Company", "config.issuer": provider, "config.clientID": "fairlead", "config.clientSecret": "s3cret-of-the-client"})
	o.press("Save draft")
	o.see("Saved.")
	o.press("Check settings")
	o.see("1 keys")
	o.press("Test sign-in")
	o.follow("Go to Company")
	o.see("The sign-in worked")
	o.see("idp:platform")
	o.press("Enable")
	o.see("Users can sign in with it now.")
	o.addCluster("one", "127.0.0.1:1")
	o.open("/rules/new")
	o.fill(map[string]string{"id": "platform", "who.groups": "idp:platform", "clusters.ids": "one"})
	o.press("Preview")
	o.press("Save")
	o.see("Saved.")

	u, err := url.Parse(provider)
	if err != nil {
		t.Fatal(err)
	}
	plugin := &relyingparty.Client{Issuer: s.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:1/callback", Scope: "openid groups offline_access", Transport: s.client.Transport}
	b := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	b.AlsoFollow = u.Host
	tokens := plugin.SignIn(t, b, relyingparty.Credentials{})
	again := plugin.Refresh(t, tokens.RefreshToken)
	if again.Status != http.StatusOK {
		t.Fatalf("refresh: %s", again.Raw)
	}
	if got := plugin.Exchange(t, again.AccessToken, "k8s-one"); got.Status != http.StatusOK {
		t.Errorf("a token for the cluster: %s", got.Raw)
	}
}
