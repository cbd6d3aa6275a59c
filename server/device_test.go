package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// deviceCodes is the response of the device authorization endpoint.
type deviceCodes struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	Page       string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	Interval   int    `json:"interval"`
}

func (w *testServer) startDeviceFlow(t *testing.T, c *relyingparty.Client) deviceCodes {
	t.Helper()
	got := c.Post(t, "/device/authorize", url.Values{"client_id": {c.ID}, "scope": {"openid groups offline_access"}, "fairlead_host": {"jump-host"}})
	var codes deviceCodes
	if err := json.Unmarshal([]byte(got.Raw), &codes); err != nil || codes.DeviceCode == "" || codes.Interval != 5 {
		t.Fatalf("%s: %v", got.Raw, err)
	}
	return codes
}

func (w *testServer) pollDevice(t *testing.T, code string) relyingparty.Tokens {
	t.Helper()
	return w.plugin.Token(t, url.Values{"grant_type": {deviceGrant}, "device_code": {code}})
}

// answerDevice enters the code in a browser, signs in and answers.
func answerDevice(t *testing.T, b *relyingparty.Browser, page, code, answer string) *relyingparty.Page {
	t.Helper()
	p := b.Submit(b.Get(page), map[string]string{"user_code": code})
	if p.Doc.Find("input[type=password], ul.choices").Length() > 0 {
		p = b.SignIn(p.URL.String(), relyingparty.Credentials{Connector: "Corp", Username: "jane", Password: "right", StopAtConfirmation: true})
	}
	if p.Doc.Find("button[name=answer]").Length() == 0 {
		return p
	}
	return b.Submit(p, map[string]string{"answer": answer})
}

func TestDeviceGrant(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, w *testServer) {
		codes := w.startDeviceFlow(t, w.plugin)

		// 1. The request is pending, and a second poll at once is too early.
		if got := w.pollDevice(t, codes.DeviceCode); got.Error != "authorization_pending" {
			t.Errorf("first poll: %s", got.Raw)
		}
		if got := w.pollDevice(t, codes.DeviceCode); got.Error != "slow_down" {
			t.Errorf("poll at once: %s", got.Raw)
		}
		w.clock.add(6 * time.Second)
		if got := w.pollDevice(t, codes.DeviceCode); got.Error != "slow_down" {
			t.Errorf("the interval must have grown: %s", got.Raw)
		}

		// 2. The complete URL fills in the code and approves nothing.
		b := relyingparty.NewBrowser(t, w.issuer, nil)
		p := b.Get(codes.Complete)
		if p.Doc.Find("input[name=user_code]").AttrOr("value", "") != codes.UserCode || p.Doc.Find("button[name=answer]").Length() != 0 {
			t.Errorf("page of the complete address:\n%s", p.Text)
		}

		// 3. The user sees which device asks, and approves it.
		p = b.Submit(p, nil)
		p = b.SignIn(p.URL.String(), relyingparty.Credentials{Connector: "Corp", Username: "jane", Password: "right", StopAtConfirmation: true})
		for _, must := range []string{"jump-host", "127.0.0.1", codes.UserCode, "use all of your clusters", "jane"} {
			if !strings.Contains(p.Text, must) {
				t.Errorf("the question does not show %q:\n%s", must, p.Text)
			}
		}
		b.Submit(p, map[string]string{"answer": "yes"})

		// 4. The device gets its tokens, once.
		w.clock.add(30 * time.Second)
		tokens := w.pollDevice(t, codes.DeviceCode)
		if tokens.RefreshToken == "" || relyingparty.Claims(t, tokens.IDToken)["preferred_username"] != nil {
			t.Fatalf("tokens: %s", tokens.Raw)
		}
		if got := w.plugin.Exchange(t, tokens.AccessToken, "k8s-a"); got.Error != "" {
			t.Errorf("exchange: %s", got.Raw)
		}
		if got := w.pollDevice(t, codes.DeviceCode); got.Error != "invalid_grant" {
			t.Errorf("second use: %s", got.Raw)
		}
		if got := w.plugin.Refresh(t, tokens.RefreshToken); got.Error != "invalid_grant" {
			t.Errorf("a second use must end what the first gave: %s", got.Raw)
		}
		if len(w.events(t, audit.TokenReplayed)) != 1 {
			t.Error("the replay is not audited")
		}
	})
}

func TestDeviceGrantRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	denied := w.startDeviceFlow(t, w.plugin)
	answerDevice(t, b, denied.Page, denied.UserCode, "no")
	if got := w.pollDevice(t, denied.DeviceCode); got.Error != "access_denied" {
		t.Errorf("denied: %s", got.Raw)
	}
	if p := answerDevice(t, b, denied.Page, denied.UserCode, "yes"); p.Doc.Find("[role=alert]").Length() == 0 {
		t.Errorf("a second answer must not count: %s", p.Text)
	}
	expired := w.startDeviceFlow(t, w.plugin)
	other := &relyingparty.Client{Issuer: w.issuer, ID: "k8s-a"}
	if got := other.Token(t, url.Values{"grant_type": {deviceGrant}, "device_code": {expired.DeviceCode}}); got.Error != "invalid_grant" {
		t.Errorf("another client's code: %s", got.Raw)
	}
	w.clock.add(11 * time.Minute)
	if got := w.pollDevice(t, expired.DeviceCode); got.Error != "expired_token" {
		t.Errorf("expired: %s", got.Raw)
	}
	if p := answerDevice(t, b, expired.Page, expired.UserCode, "yes"); p.Doc.Find("[role=alert]").Length() == 0 {
		t.Errorf("an expired code must not be answered: %s", p.Text)
	}
	if got := w.pollDevice(t, "made-up"); got.Error != "invalid_grant" {
		t.Errorf("unknown code: %s", got.Raw)
	}
	if got := (&relyingparty.Client{Issuer: w.issuer}).Post(t, "/device/authorize", url.Values{"client_id": {"nobody"}, "scope": {"openid"}}); got.Error != "invalid_client" {
		t.Errorf("unknown client: %s", got.Raw)
	}
	// The user may not use this cluster.
	ops := &relyingparty.Client{Issuer: w.issuer, ID: "k8s-c"}
	codes := w.startDeviceFlow(t, ops)
	if p := answerDevice(t, b, codes.Page, codes.UserCode, "yes"); p.Status != http.StatusForbidden {
		t.Errorf("no access rule: %s", p)
	}
}

// TestUserCodesCanNotBeGuessed also checks that the limit refuses even the right code, and that the limit ends by
// itself.
func TestUserCodesCanNotBeGuessed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	codes := w.startDeviceFlow(t, w.plugin)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	answerDevice(t, b, codes.Page, "BBBB-BBBB", "yes")
	for range 10 {
		answerDevice(t, b, codes.Page, "BBBB-BBBC", "yes")
	}
	if p := answerDevice(t, b, codes.Page, codes.UserCode, "yes"); !strings.Contains(p.Text, "Too many wrong codes") {
		t.Errorf("still guessing: %s", p.Text)
	}
	if len(w.events(t, audit.DeviceCodeRefused)) == 0 {
		t.Error("not audited")
	}
	w.clock.add(16 * time.Minute)
	codes = w.startDeviceFlow(t, w.plugin)
	if p := answerDevice(t, b, codes.Page, codes.UserCode, "yes"); !strings.Contains(p.Text, "Done") {
		t.Errorf("it does not open: %s", p.Text)
	}
}

func TestDeviceRequestsAreBounded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var last relyingparty.Tokens
	for range 61 {
		last = w.plugin.Post(t, "/device/authorize", url.Values{"client_id": {"kubectl-fairlead"}, "scope": {"openid"}})
	}
	if last.Status != http.StatusTooManyRequests || w.rows(t)["device_codes"] != 60 {
		t.Errorf("%d %s, %d rows", last.Status, last.Raw, w.rows(t)["device_codes"])
	}
}
