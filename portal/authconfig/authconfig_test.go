package authconfig_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/portal/authconfig"
)

// That a real kube-apiserver takes it is shown in test/suites/e2e.
func TestStructured(t *testing.T) {
	t.Parallel()
	got, err := authconfig.Structured(authconfig.Config{Issuer: "https://login.test", Audience: "k8s-a", CA: "-----BEGIN\nx\n", Algorithm: "RS256"})
	if err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer:
      url: https://login.test
      certificateAuthority: |
        -----BEGIN
        x
      audiences:
        - k8s-a
    claimMappings:
      username:
        claim: preferred_username
        prefix: ""
      groups:
        claim: groups
        prefix: ""
      uid:
        claim: sub
      extra:
        - key: fairlead.dev/sid
          valueExpression: 'has(claims.sid) ? claims.sid : '''''
        - key: fairlead.dev/device
          valueExpression: 'has(claims.device_id) ? claims.device_id : '''''
    userValidationRules:
      - expression: '!user.username.startsWith(''system:'')'
        message: 'user names must not begin with system:'
      - expression: user.groups.all(group, !group.startsWith('system:'))
        message: 'group names must not begin with system:'
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	got := strings.Join(authconfig.Flags(authconfig.Config{Issuer: "https://login.test", Audience: "k8s-a", Algorithm: "es256"}), " ")
	for _, want := range []string{"--oidc-client-id=k8s-a", "--oidc-username-prefix=-", "--oidc-signing-algs=ES256"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, "ca-file") {
		t.Errorf("a CA file that nobody needs: %s", got)
	}
}
