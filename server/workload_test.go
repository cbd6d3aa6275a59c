package server_test

import (
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestWorkloadExchangesItsPlatformToken simulates a CI platform.
func TestWorkloadExchangesItsPlatformToken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key, stranger := ecKey(t, "ci"), ecKey(t, "ci")
	const platform = "https://ci.test"
	file := store.Origin{Origin: store.OriginFile}
	w.settings.Issuers = []store.TrustedIssuer{{ID: "ci", URL: platform, Audience: "fairlead", KeySet: keySet(t, key), Origin: file}}
	w.settings.Workloads = []store.WorkloadRule{
		{ID: "deploy", Description: "Deploys", IssuerID: "ci", Claims: store.ClaimRules{"repository": {"acme/shop"}, "ref": {"refs/heads/main"}}, GroupNames: store.Strings{"corp:dev"}, Origin: file},
		{ID: "check", Position: 1, Description: "Checks", IssuerID: "ci", Claims: store.ClaimRules{"repository": {"acme/shop"}}, Origin: file},
	}
	apply(t, w.store, w.settings, w.clock.now())
	now := w.clock.now()
	claims := func(change map[string]any) map[string]any {
		m := map[string]any{
			"iss": platform, "aud": "fairlead", "sub": "repo:acme/shop", "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(),
			"repository": "acme/shop", "ref": "refs/heads/main",
		}
		maps.Copy(m, change)
		return m
	}
	try := func(token, audience string) relyingparty.Tokens {
		return w.plugin.Token(t, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "audience": {audience},
			"subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		})
	}
	got := try(signJWT(t, key, claims(nil)), "k8s-a")
	if got.RefreshToken != "" || got.Error != "" {
		t.Fatalf("answer %s", got.Raw)
	}
	token := relyingparty.Claims(t, got.AccessToken)
	if token["preferred_username"] != "workload:deploy" || !cmp.Equal(token["groups"], []any{"corp:dev"}) || token["aud"] != "k8s-a" || token["sid"] != nil {
		t.Errorf("claims %v", token)
	}
	for name, tc := range map[string]struct{ token, audience, want string }{
		"another branch is another workload": {signJWT(t, key, claims(map[string]any{"ref": "refs/heads/x"})), "k8s-a", "invalid_target"},
		"a cluster without a rule":           {signJWT(t, key, claims(nil)), "k8s-c", "invalid_target"},
		"another repository":                 {signJWT(t, key, claims(map[string]any{"repository": "acme/shop2"})), "k8s-a", "invalid_grant"},
		"a longer name":                      {signJWT(t, key, claims(map[string]any{"repository": "acme/shop/x"})), "k8s-a", "invalid_grant"},
		"another audience":                   {signJWT(t, key, claims(map[string]any{"aud": "else"})), "k8s-a", "invalid_grant"},
		"expired":                            {signJWT(t, key, claims(map[string]any{"exp": now.Add(-time.Minute).Unix()})), "k8s-a", "invalid_grant"},
		"a stranger's key":                   {signJWT(t, stranger, claims(nil)), "k8s-a", "invalid_grant"},
		"another platform":                   {signJWT(t, key, claims(map[string]any{"iss": "https://evil.test"})), "k8s-a", "invalid_grant"},
		"not a token":                        {"x.y.z", "k8s-a", "invalid_grant"},
	} {
		if got := try(tc.token, tc.audience); got.Error != tc.want {
			t.Errorf("%s: %s, want %s", name, got.Raw, tc.want)
		}
	}
	if len(w.events(t, audit.WorkloadRefused)) != 2 {
		t.Errorf("events %+v", w.events(t, audit.WorkloadRefused))
	}
	// The plugin knows only the id of the cluster, and names its page.
	byPage := func(resource string) relyingparty.Tokens {
		return w.plugin.Token(t, url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "resource": {resource},
			"subject_token": {signJWT(t, key, claims(nil))}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		})
	}
	if got := byPage(w.plugin.Issuer + "/clusters/a"); got.Error != "" || relyingparty.Claims(t, got.AccessToken)["aud"] != "k8s-a" {
		t.Errorf("%s", got.Raw)
	}
	for _, resource := range []string{"/clusters/nope", "/clusters/", "/clusters/a/..", "/clusters/a?x=y", "/clusters/c"} {
		if got := byPage(w.plugin.Issuer + resource); got.Error != "invalid_target" {
			t.Errorf("%s: %s", resource, got.Raw)
		}
	}
	uses, err := w.store.LastUses(t.Context())
	if err != nil || uses[store.WorkloadRuleUseID("deploy")].IsZero() || uses[store.WorkloadRuleUseID("check")].IsZero() {
		t.Errorf("uses %v, error %v", uses, err)
	}
	// An admin disables the workload.
	user, err := w.store.UserByName(t.Context(), "workload:deploy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.End(t.Context(), store.Ending{Scope: store.EndAccount, UserID: user.ID}, now); err != nil {
		t.Fatal(err)
	}
	if got := try(signJWT(t, key, claims(nil)), "k8s-a"); got.Error != "invalid_grant" || !strings.Contains(got.ErrorDescription, "disabled") {
		t.Errorf("disabled: %s", got.Raw)
	}
}
