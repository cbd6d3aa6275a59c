// Package saml is the connector for a SAML 2.0 identity provider (HTTP POST
// binding). It uses crewjam/saml to verify and decrypt responses.
package saml

import (
	"context"
	"slices"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Config is the settings of the connector.
type Config struct {
	// SSOURL is where the browser posts the request.
	SSOURL string `json:"ssoURL" yaml:"ssoURL"`
	// SSOIssuer is the identity provider's entity id.
	SSOIssuer string `json:"ssoIssuer" yaml:"ssoIssuer"`
	// Certificates verify the provider's signatures: PEM blocks or bare base64.
	Certificates string `json:"certificates" yaml:"certificates"`
	// EntityIssuer is our entity id. Default: the callback address.
	EntityIssuer string `json:"entityIssuer" yaml:"entityIssuer"`
	// IDAttr holds the id of the account. Default: the NameID.
	IDAttr       string `json:"idAttr" yaml:"idAttr"`
	UsernameAttr string `json:"usernameAttr" yaml:"usernameAttr"`
	// NameAttr holds the display name. Default: the user name.
	NameAttr  string `json:"nameAttr" yaml:"nameAttr"`
	EmailAttr string `json:"emailAttr" yaml:"emailAttr"`
	// ProviderVerifiesEmail treats the address as verified. SAML has no word for that.
	ProviderVerifiesEmail bool   `json:"providerVerifiesEmail" yaml:"providerVerifiesEmail"`
	GroupsAttr            string `json:"groupsAttr" yaml:"groupsAttr"`
	// GroupsDelim splits one value into several groups.
	GroupsDelim   string   `json:"groupsDelim" yaml:"groupsDelim"`
	AllowedGroups []string `json:"allowedGroups" yaml:"allowedGroups"`
	// NameIDFormat is asked for. Default "persistent", or none if an attribute is the id.
	NameIDFormat string `json:"nameIDFormat" yaml:"nameIDFormat"`
	// KeyPair decrypts assertions: private keys and the certificate of the first, in PEM form.
	KeyPair secret.Value `json:"keyPair" yaml:"keyPair"`
	// AllowSHA1 accepts signatures with SHA-1.
	AllowSHA1 bool `json:"allowSHA1" yaml:"allowSHA1"`
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	faults := connectors.Faults(
		connectors.Missing("ssoURL", c.SSOURL, "Copy the sign-on address from the identity provider"),
		connectors.Address("ssoURL", c.SSOURL, "https://idp.example.com/sso"),
		connectors.Missing("ssoIssuer", c.SSOIssuer, "Copy the identifier of the identity provider: without it any provider with this certificate could sign users in"),
		connectors.Missing("certificates", c.Certificates, "Paste the signing certificate of the identity provider, which verifies its responses"),
		connectors.Missing("usernameAttr", c.UsernameAttr, "Name the attribute with the user name"),
		connectors.OneOf("nameIDFormat", c.NameIDFormat, "", "persistent", "emailAddress", "unspecified", "X509SubjectName"),
	)
	if sameAttribute(c.UsernameAttr, "displayName") {
		faults = append(faults, *connectors.NoDisplayName("usernameAttr", "displayName"))
	}
	add := func(field string, err error) {
		if err != nil {
			faults = append(faults, connectors.Problem{Field: field, Message: err.Error()})
		}
	}
	_, err := readCertificates(c.Certificates)
	add("certificates", err)
	_, err = readKeyPair(c.KeyPair)
	add("keyPair", err)
	if c.EmailAttr != "" && sameAttribute(c.UsernameAttr, c.EmailAttr) && !c.ProviderVerifiesEmail {
		faults = append(faults, connectors.Problem{Field: "usernameAttr", Message: "must not be the mail attribute, because users may be able to change their address. Name another attribute, or say that the provider verifies addresses"})
	}
	if len(c.AllowedGroups) > 0 && c.GroupsAttr == "" {
		faults = append(faults, connectors.Problem{Field: "groupsAttr", Message: "must not be empty with allowed groups. Name the attribute with the groups"})
	}
	return faults
}

// Open returns the connector.
func (c *Config) Open(_ context.Context, env connectors.Env) (connectors.Connector, error) {
	sp, err := c.serviceProvider(env)
	if err != nil {
		return nil, err
	}
	return &connector{settings: c, sp: sp, env: env}, nil
}

// entityID is our entity id.
func (c *Config) entityID(env connectors.Env) string {
	if c.EntityIssuer != "" {
		return c.EntityIssuer
	}
	return env.CallbackURL
}

// allows reports whether a user with these groups may sign in.
func (c *Config) allows(groups []string) bool {
	return len(c.AllowedGroups) == 0 || slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(c.AllowedGroups, g) })
}
