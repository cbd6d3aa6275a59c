package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

const (
	makePasskey = `form[data-passkey][data-make] button`
	usePasskey  = `form[data-passkey]:not([data-make]) button`
	// answerTwice answers one question with a passkey, and sends the answer twice.
	answerTwice = `(async () => {
		const form = document.querySelector("form[data-passkey]");
		const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(form.dataset.passkey));
		form.elements.response.value = JSON.stringify((await navigator.credentials.get({ publicKey })).toJSON());
		const send = () => fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
		return (await Promise.all([send(), send()])).map(answer => answer.type).sort().join(" ");
	})()`
)

// insertKey puts a security key into the browser's computer.
func (c *chromium) insertKey() webauthn.AuthenticatorID {
	c.t.Helper()
	var id webauthn.AuthenticatorID
	c.do(webauthn.Enable(), chromedp.ActionFunc(func(ctx context.Context) (err error) {
		id, err = webauthn.AddVirtualAuthenticator(&webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportUsb,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}).Do(ctx)
		return err
	}))
	return id
}

func (c *chromium) sees(text string) {
	c.t.Helper()
	if page := c.eval("document.body.innerText"); !strings.Contains(page, text) {
		c.t.Fatalf("no %q in:\n%s", text, page)
	}
}

// eventuallySees waits for a text, also while the browser goes to another page.
func (c *chromium) eventuallySees(text string) {
	c.t.Helper()
	eventuallySee(c.t, text, func() string { return c.eval(`document.body?.innerText ?? ""`) })
}

// TestPasskey adds a passkey and signs in with it, on a name: an address can have
// none.
func TestPasskey(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	address := strings.TrimPrefix(s.issuer, "https://")
	s.issuer = strings.Replace(s.issuer, "127.0.0.1", "localhost", 1)
	s.run(t, address, localUsers(t))
	c := startChromium(t, s)
	key := c.insertKey()
	account := s.issuer + "/account"

	c.signInPlain(account)
	c.click(makePasskey)
	c.sees("Passkey, Chrome on Linux")
	axe := readFile(t, prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "axe")+"/node_modules/axe-core/axe.min.js")
	c.audit("account-passkey", account, axe, 60<<10)

	c.passkeyAlone(s, key, axe)

	c.do(network.ClearBrowserCookies())
	c.signInPlain(account)
	c.sees("Use a passkey")
	c.look(360, "light")
	c.shoot("second-passkey", "light", 360)
	c.click(usePasskey)
	c.sees("Second factor")
	c.sees("Sign out")

	c.do(network.ClearBrowserCookies())
	c.signInPlain(account)
	if got := c.eval(answerTwice); got != "basic opaqueredirect" {
		t.Errorf("an answer that was sent twice: %s", got)
	}

	// A browser that cannot use passkeys is told so, not shown an empty page.
	c.do(network.ClearBrowserCookies(), emulation.SetScriptExecutionDisabled(true))
	c.signInPlain(account)
	var page string
	c.do(chromedp.Text("main", &page, chromedp.ByQuery), emulation.SetScriptExecutionDisabled(false))
	if !strings.Contains(page, "newer browser") || strings.Contains(page, "Use a passkey") {
		t.Errorf("without scripts: %s", page)
	}

	// The passkey of another user is refused.
	c.do(network.ClearBrowserCookies(), webauthn.RemoveVirtualAuthenticator(key))
	c.insertKey()
	c.signInPlain(account)
	c.do(chromedp.Click(usePasskey, chromedp.ByQuery))
	eventually(t, "refusal", 30*time.Second, func() bool {
		return strings.Contains(c.eval("document.body.innerText"), "That did not work, or was cancelled.")
	})
}

// takeSuggestion chooses the passkey that the browser suggests in the field for the user name. A browser
// without a window has no list of suggestions: there the page's request becomes one that a key answers at once.
const takeSuggestion = `
	PublicKeyCredential.isConditionalMediationAvailable = async () => true;
	const get = navigator.credentials.get.bind(navigator.credentials);
	navigator.credentials.get = ({ mediation, ...request }) => {
		document.documentElement.dataset.mediation = mediation;
		return get(request);
	};`

// passkeyAlone signs jane in without a name and without a password: with the button, and with the passkey that
// the browser suggests.
func (c *chromium) passkeyAlone(s *system, key webauthn.AuthenticatorID, axe string) {
	c.t.Helper()
	account, login := s.issuer+"/account", s.issuer+"/login/local"
	c.do(chromedp.ActionFunc(func(ctx context.Context) error {
		credentials, err := webauthn.GetCredentials(key).Do(ctx)
		if len(credentials) != 1 || !credentials[0].IsResidentCredential {
			c.t.Errorf("the key has %v, want one passkey with a name", credentials)
		}
		return err
	}))
	c.do(network.ClearBrowserCookies())
	c.audit("password-passkey", login, axe, 60<<10)
	c.staysStill(login)
	c.look(1280, "light")
	c.do(chromedp.Navigate(account), chromedp.WaitReady("main"))
	if got := c.eval(`document.getElementById("username").autocomplete`); got != "username webauthn" {
		c.t.Errorf("autocomplete is %q", got)
	}
	c.click(usePasskey)
	c.sees("Second factor")

	c.do(network.ClearBrowserCookies(), chromedp.Navigate(login), chromedp.WaitReady("main"))
	if got := c.eval(answerTwice); got != "basic opaqueredirect" {
		c.t.Errorf("an answer that was sent twice: %s", got)
	}
	c.do(network.ClearBrowserCookies(), webauthn.SetUserVerified(key, false), chromedp.Navigate(login), chromedp.WaitReady("main"))
	c.do(chromedp.Click(usePasskey, chromedp.ByQuery))
	c.eventuallySees("That did not work")

	// An answer with another challenge, as from another browser, is refused. So is a disabled user.
	c.do(webauthn.SetUserVerified(key, true), chromedp.Navigate(login), chromedp.WaitReady("main"))
	c.eval(`fetch(location.href).then(r => r.text()).then(html => {
		const other = /data-passkey="([^"]+)"/.exec(html)[1].replaceAll("&#34;", '"').replaceAll("&#43;", "+");
		document.querySelector("form[data-passkey]").dataset.passkey = other;
		return "";
	})`)
	c.eval(`(async () => {
		const form = document.querySelector("form[data-passkey]");
		const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(form.dataset.passkey));
		form.elements.response.value = JSON.stringify((await navigator.credentials.get({ publicKey })).toJSON());
		return "";
	})()`)
	c.do(chromedp.Submit("form[data-passkey]", chromedp.ByQuery))
	c.eventuallySees("The passkey was not accepted")
	s.operate(c.t, "user", "disable", "local:jane@example.test")
	c.click(usePasskey)
	c.sees("The account local:jane@example.test is disabled.")
	s.operate(c.t, "user", "enable", "local:jane@example.test")

	var script page.ScriptIdentifier
	c.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		script, err = page.AddScriptToEvaluateOnNewDocument(takeSuggestion).Do(ctx)
		return err
	}))
	c.do(chromedp.Navigate(account), chromedp.WaitReady("main"))
	c.eventuallySees("Second factor")
	c.do(page.RemoveScriptToEvaluateOnNewDocument(script))
}

// TestRecoveryPasskey sets a server up with a passkey alone, and comes in with it when
// nothing else works.
func TestRecoveryPasskey(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	address := strings.TrimPrefix(s.issuer, "https://")
	s.issuer = strings.Replace(s.issuer, "127.0.0.1", "localhost", 1)
	s.run(t, address, "")
	c := startChromium(t, s)
	c.insertKey()
	link := setupLink.FindString(s.server.String())
	c.do(chromedp.Navigate(link), chromedp.WaitReady("main"))
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 1280} {
			c.look(width, scheme)
			c.shoot("setup-passkey", scheme, width)
		}
	}
	c.do(chromedp.SendKeys("#passkey-login", "root", chromedp.ByQuery))
	c.click(makePasskey)
	c.sees("You are signed in.")

	axe := readFile(t, prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "axe")+"/node_modules/axe-core/axe.min.js")
	recovery := s.issuer + "/admin/recover"
	c.do(network.ClearBrowserCookies())
	c.audit("recover-passkey", recovery, axe, 60<<10)
	c.do(chromedp.Navigate(recovery), chromedp.WaitReady("main"))
	c.click(usePasskey)
	c.sees("Overview")

	c.do(network.ClearBrowserCookies(), chromedp.Navigate(recovery), chromedp.WaitReady("main"))
	if got := c.eval(answerTwice); got != "basic opaqueredirect" {
		t.Errorf("an answer that was sent twice: %s", got)
	}
	// A key of an account of another kind opens nothing, and neither does no password.
	c.do(network.ClearBrowserCookies(), chromedp.Navigate(recovery), chromedp.WaitReady("main"))
	c.do(chromedp.SendKeys("#login", "root", chromedp.ByQuery), chromedp.SendKeys("#password", "x", chromedp.ByQuery), chromedp.SendKeys("#code", "000000", chromedp.ByQuery))
	c.click(`form:not([data-passkey]) button`)
	c.sees("the name, the password or the code is wrong")
}
