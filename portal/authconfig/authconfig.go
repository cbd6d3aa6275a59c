// Package authconfig renders the configuration that makes an API server trust the issuer: a structured
// AuthenticationConfiguration, and flags for older servers.
package authconfig

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Extra keys under which clusters see the sign-in and the device. The proxy
// sends the same ones.
const (
	ExtraSignIn = "fairlead.dev/sid"
	ExtraDevice = "fairlead.dev/device"
)

// Config is the input of Structured and Flags.
type Config struct {
	// Issuer is the issuer's address.
	Issuer string
	// CA is the PEM of the authorities that signed the issuer's certificate. If it is empty, the API server uses its own.
	CA string
	// Audience is the audience of the cluster.
	Audience string
	// Algorithm signs the tokens; the flags must name it.
	Algorithm string
}

type document struct {
	APIVersion string          `yaml:"apiVersion"`
	Kind       string          `yaml:"kind"`
	JWT        []authenticator `yaml:"jwt"`
}

type authenticator struct {
	Issuer        issuer     `yaml:"issuer"`
	ClaimMappings mappings   `yaml:"claimMappings"`
	UserRules     []userRule `yaml:"userValidationRules"`
}

type issuer struct {
	URL       string   `yaml:"url"`
	CA        string   `yaml:"certificateAuthority,omitempty"`
	Audiences []string `yaml:"audiences"`
}

type mappings struct {
	Username prefixed `yaml:"username"`
	Groups   prefixed `yaml:"groups"`
	UID      claim    `yaml:"uid"`
	Extra    []extra  `yaml:"extra"`
}

type prefixed struct {
	Claim  string `yaml:"claim"`
	Prefix string `yaml:"prefix"`
}

type claim struct {
	Claim string `yaml:"claim"`
}

type extra struct {
	Key        string `yaml:"key"`
	Expression string `yaml:"valueExpression"`
}

type userRule struct {
	Expression string `yaml:"expression"`
	Message    string `yaml:"message"`
}

// Structured returns an apiserver.config.k8s.io/v1 AuthenticationConfiguration
// for --authentication-config. The names in the token carry the connector's
// prefix already; no second one is added.
func Structured(c Config) ([]byte, error) {
	doc := document{
		APIVersion: "apiserver.config.k8s.io/v1", Kind: "AuthenticationConfiguration",
		JWT: []authenticator{{
			Issuer: issuer{URL: c.Issuer, CA: c.CA, Audiences: []string{c.Audience}},
			ClaimMappings: mappings{
				Username: prefixed{Claim: "preferred_username"},
				Groups:   prefixed{Claim: "groups"},
				UID:      claim{Claim: "sub"},
				Extra: []extra{
					{Key: ExtraSignIn, Expression: "has(claims.sid) ? claims.sid : ''"},
					{Key: ExtraDevice, Expression: "has(claims.device_id) ? claims.device_id : ''"},
				},
			},
			UserRules: []userRule{
				{Expression: "!user.username.startsWith('system:')", Message: "user names must not begin with system:"},
				{Expression: "user.groups.all(group, !group.startsWith('system:'))", Message: "group names must not begin with system:"},
			},
		}},
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("writing AuthenticationConfiguration: %w", err)
	}
	return out.Bytes(), nil
}

// Flags returns the kube-apiserver flags that do the same. Flags support neither a uid nor extra values.
func Flags(c Config) []string {
	flags := []string{
		"--oidc-issuer-url=" + c.Issuer,
		"--oidc-client-id=" + c.Audience,
		"--oidc-username-claim=preferred_username",
		"--oidc-username-prefix=-",
		"--oidc-groups-claim=groups",
		"--oidc-signing-algs=" + strings.ToUpper(c.Algorithm),
	}
	if c.CA != "" {
		flags = append(flags, "--oidc-ca-file=/etc/kubernetes/pki/fairlead-ca.crt")
	}
	return flags
}
