package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// wiki is a third-party client: users are asked for consent once.
func wiki(dir, redirect string) string {
	return `
clients:
- {id: wiki, name: Wiki, redirectURIs: ["` + redirect + `"], secrets: ["file:` + dir + `/secret"], pkceOptional: true, grants: [authorization_code, refresh_token, device_code]}
`
}

// deviceCode asks for a code as a program without a browser does.
func deviceCode(t *testing.T, s *system) (userCode string) {
	t.Helper()
	resp, err := s.client.PostForm(s.issuer+"/device/authorize", url.Values{
		"client_id": {"kubectl-fairlead"}, "scope": {"openid offline_access"}, "fairlead_host": {"jump-host"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var codes struct {
		UserCode string `json:"user_code"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&codes); err != nil || codes.UserCode == "" {
		t.Fatalf("codes %+v, error %v", codes, err)
	}
	return codes.UserCode
}

// auditDevice looks at the pages of the device grant, with jane signed in.
func auditDevice(t *testing.T, c *chromium, s *system, axe string, budget int) {
	t.Helper()
	code := deviceCode(t, s)
	c.audit("device", s.issuer+"/device?user_code="+code, axe, budget)
	c.click("main form button")
	if text := c.eval("document.body.innerText"); !strings.Contains(text, "jump-host") || !strings.Contains(text, code) {
		t.Errorf("the question shows not who asks:\n%s", text)
	}
	c.audit("device-ask", c.eval("location.href"), axe, budget)
	c.do(chromedp.Navigate(s.issuer+"/device"), chromedp.WaitReady("main"), chromedp.SetValue("#user_code", "BBBB-BBBB"))
	c.click("main form button")
	c.audit("device-wrong", c.eval("location.href"), axe, budget)
}

// auditConsent looks at the page of an application that is not ours, agrees, and
// looks at what the account page says of it.
func auditConsent(c *chromium, s *system, axe string, budget int) {
	c.t.Helper()
	address := s.issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"wiki"}, "redirect_uri": {"https://wiki.example.test/callback"}, "scope": {"openid profile email groups"},
	}.Encode()
	c.audit("consent", address, axe, budget)
}

// layoutShift is how far the page's parts have moved since it was opened (Cumulative Layout Shift), and what moved.
const layoutShift = `new Promise(resolve => {
	new PerformanceObserver(list => resolve(list.getEntries().filter(shift => shift.value > 0.0005).map(shift => shift.value.toFixed(4) + " " + shift.sources.map(source => source.node?.outerHTML?.slice(0, 80)).join())
		.join("\n"))).observe({ type: "layout-shift", buffered: true });
	setTimeout(resolve, 200, "");
})`

// staysStill opens a page in a slow browser, on a phone and on a desk, and wants no part of it to move.
func (c *chromium) staysStill(address string) {
	c.t.Helper()
	c.do(emulation.SetCPUThrottlingRate(4))
	for _, width := range []int64{360, 1280} {
		c.look(width, "light")
		c.do(network.ClearBrowserCache(), chromedp.Navigate(address), chromedp.WaitReady("main"))
		if moved := c.eval(layoutShift); moved != "" {
			c.t.Errorf("%s at %d: %s", address, width, moved)
		}
	}
	c.do(emulation.SetCPUThrottlingRate(1))
}

// application takes answers as posted forms.
type application struct {
	redirect string
	posted   sync.Map // of channels of forms, by state: several browsers post at once
}

// form is what is posted with a state.
func (a *application) form(state string) chan url.Values {
	forms, _ := a.posted.LoadOrStore(state, make(chan url.Values, 4))
	return forms.(chan url.Values)
}

func startApplication(t *testing.T, address string) *application {
	t.Helper()
	app := &application{redirect: "http://" + address + "/cb"}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/cb" && r.URL.RawQuery == "" && r.ParseForm() == nil {
			app.form(r.PostForm.Get("state")) <- r.PostForm
		}
		fmt.Fprint(w, "<!doctype html><title>ok</title><main>done</main>")
	})}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return app
}

// flowFormPost agrees to an application and is posted on to it, by a script or
// by one more click.
func flowFormPost(t *testing.T, c *chromium, s *system, scripts bool, app *application) {
	t.Helper()
	state := fmt.Sprintf("s-%t", scripts)
	c.do(chromedp.Navigate(s.issuer+"/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"wiki"}, "redirect_uri": {app.redirect}, "scope": {"openid"}, "response_mode": {"form_post"}, "prompt": {"consent"}, "state": {state},
	}.Encode()), chromedp.WaitReady("button[value=yes]"))
	if scripts {
		c.eval(`document.querySelector("button[value=yes]").click(), ""`) // the page that follows leaves by itself
	} else {
		c.click("button[value=yes]")
		c.click("form[data-submit] button")
	}
	select {
	case form := <-app.form(state):
		if form.Get("code") == "" || form.Get("state") != state || form.Get("iss") != s.issuer {
			t.Errorf("posted %v", form)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was posted to the application")
	}
}
