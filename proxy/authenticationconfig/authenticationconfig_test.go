package authenticationconfig_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairlead-auth/fairlead/proxy/authenticationconfig"
	"github.com/fairlead-auth/fairlead/proxy/authn"
)

const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"

const valid = head + `jwt:
- issuer: {url: "https://a.test", audiences: [one, two], audienceMatchPolicy: MatchAny, discoveryURL: "https://elsewhere.test/doc"}
  claimMappings:
    username: {claim: email, prefix: "a:"}
    groups: {claim: groups, prefix: ""}
    uid: {claim: sub}
  claimValidationRules: [{claim: tier, requiredValue: gold}]
`

func parse(text string) (map[string]*authn.Issuer, error) {
	return authenticationconfig.Parse([]byte(text), "https://login.test", time.Now, slog.New(slog.DiscardHandler))
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse(valid)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*authn.Issuer{"https://a.test": {
		URL: "https://a.test", Audiences: []string{"one", "two"}, Username: authn.Claim{Name: "email", Prefix: "a:"}, Groups: authn.Claim{Name: "groups"}, UID: "sub",
		Required: map[string]string{"tier": "gold"},
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(authn.Issuer{}, "Keys")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got["https://a.test"].Keys.DiscoveryURL != "https://elsewhere.test/doc" {
		t.Error("the discovery URL is missing")
	}
	file := t.TempDir() + "/authentication.yaml"
	if err := os.WriteFile(file, []byte(valid), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := authenticationconfig.Load(file, "", time.Now, slog.Default()); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	if _, err := authenticationconfig.Load("/nowhere", "", time.Now, slog.Default()); err == nil {
		t.Error("no error for a missing file")
	}
}

// TestInvalidFiles changes one part of the valid file at a time.
func TestInvalidFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, new, want string }{
		{"apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v9", "no kind"},
		{"claimMappings:", "claimmappings:", "unknown field"},
		{"https://a.test", "http://a.test", "jwt[0].issuer.url: must be an https URL"},
		{"https://a.test", "https://login.test", "is already trusted"},
		{"[one, two]", "[]", "issuer.audiences: is empty"},
		{"[one, two]", `[one, ""]`, "has an empty entry"},
		{", audienceMatchPolicy: MatchAny", "", "must be MatchAny"},
		{"https://elsewhere.test/doc", "https://elsewhere.test/doc?x", "issuer.discoveryURL"},
		{"discoveryURL:", "egressSelectorType: cluster, discoveryURL:", "egressSelectorType"},
		{"discoveryURL:", "certificateAuthority: x, discoveryURL:", "contains no PEM certificate"},
		{`{claim: email, prefix: "a:"}`, `{expression: "claims.email"}`, "username.expression"},
		{`{claim: email, prefix: "a:"}`, `{claim: email}`, `username.prefix: is missing`},
		{`{claim: email, prefix: "a:"}`, `{prefix: "a:"}`, "username.claim: is missing"},
		{`{claim: groups, prefix: ""}`, `{prefix: "a:"}`, "groups.claim: is missing"},
		{`{claim: groups, prefix: ""}`, `{expression: "claims.groups"}`, "groups.expression"},
		{"uid: {claim: sub}", `uid: {expression: "claims.sub"}`, "uid.expression"},
		{"uid: {claim: sub}", `extra: [{key: "a.test/b", valueExpression: "claims.sub"}]`, "uid.expression and extra"},
		{"{claim: tier, requiredValue: gold}", `{expression: "claims.tier == 'gold'"}`, "claimValidationRules[0]"},
		{"  claimValidationRules:", "  userValidationRules: [{expression: \"true\"}]\n  claimValidationRules:", "userValidationRules"},
		{"jwt:", "anonymous: {enabled: true}\njwt:", "anonymous"},
	} {
		text := strings.Replace(valid, c.old, c.new, 1)
		if text == valid {
			t.Fatalf("%q is not in the file", c.old)
		}
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q instead of %q: %v, want %q", c.new, c.old, err, c.want)
		}
	}
	if _, err := parse(head); err == nil || !strings.Contains(err.Error(), "jwt: is empty") {
		t.Error(err)
	}
	if _, err := parse(valid + strings.TrimPrefix(valid[len(head):], "jwt:\n")); err == nil || !strings.Contains(err.Error(), "jwt[1].issuer.url: is already trusted") {
		t.Error(err)
	}
}
