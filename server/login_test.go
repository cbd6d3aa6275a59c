package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func TestLoginCSRF(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, challenge := relyingparty.PKCE()
	eve := relyingparty.NewBrowser(t, w.issuer, nil)
	form := eve.Get(w.plugin.AuthURL(challenge, nil))
	flow := form.Doc.Find("input[name=flow]").AttrOr("value", "")
	if flow == "" {
		t.Fatalf("no flow on %v", form)
	}
	// Jane's browser must not continue a flow that Eve started.
	victim := relyingparty.NewBrowser(t, w.issuer, nil)
	page := victim.Post(w.issuer+"/login/corp", url.Values{"flow": {flow}, "username": {"jane"}, "password": {"right"}})
	if page.Status != http.StatusBadRequest || !strings.Contains(page.Text, "another browser") {
		t.Errorf("%v:\n%s", page, page.Text)
	}
}

func TestWrongPasswordKeepsTheName(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	page := b.SignIn(w.issuer+"/login?return_to=/x", relyingparty.Credentials{Username: "jane", Password: "wrong"})
	if page.Status != http.StatusUnauthorized || page.Doc.Find("input[name=username]").AttrOr("value", "") != "jane" ||
		!strings.Contains(page.Doc.Find("[role=alert]").Text(), "wrong") || strings.Contains(page.Text, `value="wrong"`) {
		t.Errorf("%v:\n%s", page, page.Text)
	}
	events := w.events(t, audit.SignInFailed)
	if len(events) != 1 || events[0].UserName != "" || events[0].ConnectorID != "corp" {
		t.Errorf("events %+v", events)
	}
}

func TestGuessingIsRefusedAndOpensByItself(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 10 { // blanks and case make no other name
		wrong := relyingparty.Credentials{Username: []string{"jane", " Jane\t"}[i%2], Password: "wrong"}
		relyingparty.NewBrowser(t, w.issuer, nil).SignIn(w.issuer+"/login", wrong)
	}
	asked := w.upstream.Calls()
	page := relyingparty.NewBrowser(t, w.issuer, nil).SignIn(w.issuer+"/login", asJane())
	if page.Status != http.StatusTooManyRequests || page.Header.Get("Retry-After") == "" || !strings.Contains(page.Text, "Try again in 15 minutes") {
		t.Errorf("%v\n%s", page, page.Text)
	}
	if w.upstream.Calls() != asked {
		t.Error("the upstream was asked all the same")
	}
	if events := w.events(t, audit.SignInRefused); len(events) != 1 || events[0].Reason != "too_many_failures" {
		t.Errorf("events %+v", events)
	}
	w.clock.add(15 * time.Minute)
	if page := relyingparty.NewBrowser(t, w.issuer, nil).SignIn(w.issuer+"/login?return_to=/signed-out", asJane()); page.Status != http.StatusOK {
		t.Errorf("after the wait: %v", page)
	}
}

// TestAConnectorThatDoesNotOpen checks that the server starts and the other connectors work.
func TestAConnectorThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.settings.Connectors = append(w.settings.Connectors, store.Connector{
		Enabled: true, ID: "broken", Type: "nowhere", Name: "Broken", Config: "{}", Origin: store.Origin{Origin: store.OriginFile},
	})
	apply(t, w.store, w.settings, w.clock.now())
	if got := w.signIn(t); got.RefreshToken == "" {
		t.Errorf("another connector: %s", got.Raw)
	}
	if p := relyingparty.NewBrowser(t, w.issuer, nil).Get(w.issuer + "/login/broken"); p.Status != 503 || !strings.Contains(p.Text, "Broken") {
		t.Errorf("the broken one: %v\n%s", p, p.Text)
	}
}
