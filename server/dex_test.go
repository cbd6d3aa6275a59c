package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestTwoLaptops signs one person in twice with one client. Both go on, and each
// can be ended alone.
func TestTwoLaptops(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first, second := w.signIn(t), w.signIn(t)
	for range 3 {
		if first = w.plugin.Refresh(t, first.RefreshToken); first.Error != "" {
			t.Fatalf("first: %s", first.Raw)
		}
		if second = w.plugin.Refresh(t, second.RefreshToken); second.Error != "" {
			t.Fatalf("second: %s", second.Raw)
		}
	}
	w.plugin.Post(t, "/revoke", map[string][]string{"client_id": {"kubectl-fairlead"}, "token": {first.RefreshToken}})
	if got := w.plugin.Refresh(t, first.RefreshToken); got.Error != "invalid_grant" {
		t.Errorf("the ended one: %s", got.Raw)
	}
	if got := w.plugin.Refresh(t, second.RefreshToken); got.Error != "" {
		t.Errorf("the other one: %s", got.Raw)
	}
}

// TestNothingInClear looks for every secret that a flow hands out in the very
// file of the database.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	cfg := storetest.SQLiteConfig(t)
	w := setup(t, cfg)
	codes := w.askDevice(t, w.plugin)
	b := relyingparty.NewBrowser(t, w.issuer, nil)
	answerDevice(t, b, codes.Page, codes.UserCode, "yes")
	tokens := w.poll(t, codes.DeviceCode)
	refreshed := w.plugin.Refresh(t, tokens.RefreshToken)
	secrets := map[string]string{
		"device code": codes.DeviceCode, "user code": codes.UserCode, "access token": tokens.AccessToken, "refresh token": tokens.RefreshToken,
		"successor": refreshed.RefreshToken, "ID token": refreshed.IDToken, "client secret": "s3cret", "the upstream's data": "upstream-canary",
	}
	for name, value := range b.Cookies() {
		secrets["cookie "+name] = value
	}
	files, err := filepath.Glob(cfg.DSN.Reveal() + "*")
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, error %v", files, err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range secrets {
			if len(secret) > 3 && strings.Contains(string(body), secret) {
				t.Errorf("the %s is in clear in %s", name, filepath.Base(file))
			}
		}
	}
}

// TestAConnectorThatDoesNotOpen leaves the others as they are, and the server
// starts.
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
