package e2e_test

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// startProvider runs an identity provider that we did not write: a script with its arguments.
func startProvider(t *testing.T, script ...string) string {
	t.Helper()
	js := prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "npm modules")
	cmd := exec.Command(prerequisite.Program(t, "node"), script...)
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
	provider := startProvider(t, "provider.mjs")
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
	if said := o.eval(`document.querySelector("main details").textContent`); !strings.Contains(said, "groups") || !strings.Contains(said, "(masked)") {
		t.Errorf("the page does not show the claims: %q", said)
	}
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

// TestASAMLProviderThatWeDidNotWrite is connected in the pages from its metadata, signs in through its own forms,
// and encrypts after it has read our metadata.
func TestASAMLProviderThatWeDidNotWrite(t *testing.T) {
	t.Parallel()
	p := needParts(t)
	s := prepare(t, p)
	writeFile(t, s.dir+"/idp.pem", fakesaml.New(t, time.Now().AddDate(1, 0, 0)).KeyPair())
	provider := startProvider(t, "saml-provider.mjs", s.dir+"/idp.pem", s.dir+"/sp.xml")
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), "")
	o := &operator{chromium: startChromium(t, s), s: s}
	o.setUp()
	o.open("/connectors/new?type=saml")
	o.fill(map[string]string{"fill.metadata": provider + "/metadata"})
	o.press("Fill in from metadata")
	o.see("Filled in, not saved yet")
	o.fill(map[string]string{
		"id": "idp", "name": "Company", "config.usernameAttr": "http://schemas.passportjs.com/login", "config.emailAttr": "email", "config.nameAttr": "name", "config.groupsAttr": "http://schemas.passportjs.com/groups",
	})
	o.press("Save draft")
	o.see("Saved.")
	signIn := func(user, want string) {
		o.press("Test sign-in")
		o.follow("Go to Company")
		o.do(chromedp.WaitReady(`main [name="user"]`, chromedp.ByQuery))
		o.fill(map[string]string{"user": user})
		o.press("Sign in to Auth0")
		o.see(want)
	}
	signIn("jane", "The sign-in worked")
	o.see("idp:platform")
	o.see("is left out")
	if said := o.eval(`document.querySelector("main details").textContent`); !strings.Contains(said, "http://schemas.passportjs.com/login") || !strings.Contains(said, "NameID") {
		t.Errorf("the page does not show what the provider said: %q", said)
	}
	o.open("/connectors/idp")
	signIn("nobody", "There is no such user")

	o.open("/connectors/idp")
	o.press("Generate a key pair")
	o.see("Filled in, not saved yet")
	o.press("Save")
	o.see("Saved.")
	metadata, err := s.client.Get(s.issuer + "/callback/idp/metadata")
	if err != nil {
		t.Fatal(err)
	}
	defer metadata.Body.Close()
	text, err := io.ReadAll(metadata.Body)
	if err != nil || !strings.Contains(string(text), `use="encryption"`) {
		t.Fatalf("%s %v", text, err)
	}
	writeFile(t, s.dir+"/sp.xml", string(text))
	signIn("jane", "The sign-in worked")
	o.see("idp:platform")
	o.press("Enable")
	o.see("Users can sign in with it now.")
}
