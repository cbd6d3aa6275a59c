package saml

import (
	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/form"
)

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "saml", Icon: "shield", Label: "SAML 2.0", About: "An identity provider that speaks SAML. Groups are as old as the sign-in: choose OpenID Connect when there is a choice.", Can: []string{"groups"},
		Steps: []connectors.Step{
			{Text: "At the identity provider make a SAML application. Give it the metadata address, or paste the two values. ACS URL is also called Assertion Consumer Service URL, Reply URL (Entra) or Single sign-on URL (Okta); SP entity ID is also called Identifier (Entra) or Audience URI (Okta).", Copy: []connectors.Copy{
				{Label: "ACS URL", Value: connectors.CopyCallback}, {Label: "SP entity ID", Value: connectors.CopyCallback}, {Label: "SP metadata, after the first save", Value: connectors.CopyMetadata},
			}},
			{Text: "Let it send attributes with the user name, the mail address and the groups, and sign the assertion or the response with SHA-256."},
			{Text: "Fill the form from the provider’s metadata (Entra: App Federation Metadata URL; Okta: Metadata URL; AD FS: /FederationMetadata/2007-06/FederationMetadata.xml)."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: fields(),
		Fillers: []connectors.Filler{
			{
				Name: "metadata", Label: "IdP metadata", Help: "The address of the identity provider’s metadata, or its text. It fills in the SSO URL, the issuer and the certificates.",
				Button: "Fill in from metadata", Asks: true, Fill: fillFromMetadata,
			},
			{
				Name: "keys", Label: "Encrypted assertions", Help: "A new key pair decrypts them. Its certificate is in the SP metadata after you have saved. The key before it still decrypts.",
				Button: "Generate a key pair", Fill: generateKeyPair,
			},
		},
	}
}

func fields() []connectors.Field {
	return []connectors.Field{
		{Key: "ssoURL", Label: "SSO URL", Help: "Entra: Login URL.", Kind: form.Text, Required: true, Section: "Identity provider", Placeholder: "https://idp.example.com/sso"},
		{Key: "ssoIssuer", Label: "IdP issuer", Help: "Entra: Microsoft Entra Identifier. Else: Entity ID.", Kind: form.Text, Required: true, Placeholder: "https://idp.example.com/metadata"},
		{Key: "certificates", Label: "Signing certificates", Help: "PEM or base64, one or several. Two while the provider changes its certificate.", Kind: form.PEM, Required: true},
		{Key: "usernameAttr", Label: "User name attribute", Help: "Its name, friendly name or OID. The same goes for the other attributes.", Kind: form.Text, Required: true, Section: "Attributes", Placeholder: "name"},
		{Key: "emailAttr", Label: "Mail attribute", Kind: form.Text, Placeholder: "email"},
		{Key: "groupsAttr", Label: "Groups attribute", Kind: form.Text, Placeholder: "groups"},
		{Key: "groupsDelim", Label: "Groups delimiter", Help: "When one value holds several groups. No group name may contain it.", Kind: form.Text, Advanced: true, Placeholder: ","},
		{Key: "nameAttr", Label: "Display name attribute", Help: "The user name when empty.", Kind: form.Text, Advanced: true, Placeholder: "displayName"},
		{Key: "idAttr", Label: "User ID attribute", Help: "It must never change and never pass to another user. The NameID when empty.", Kind: form.Text, Advanced: true, Placeholder: "objectidentifier"},
		{Key: "nameIDFormat", Label: "NameID format", Help: "It must be one that never changes.", Kind: form.Select, Advanced: true, Options: []form.Option{
			{Value: "", Label: "persistent; any with a user ID attribute"}, {Value: "emailAddress", Label: "emailAddress"}, {Value: "unspecified", Label: "unspecified"}, {Value: "X509SubjectName", Label: "X509SubjectName"},
		}},
		{Key: "providerVerifiesEmail", Label: "This provider verifies mail addresses", Help: "SAML does not say which addresses are verified. Switch it on if users can’t change their address themselves.", Kind: form.Bool, Advanced: true},
		{Key: "allowedGroups", Label: "Allowed groups", Help: "Groups whose members can sign in, one per line. Leave empty to allow every account of the provider.", Kind: form.List, Section: "Access"},
		{Key: "keyPair", Label: "Key pair for encrypted assertions", Help: "A private RSA key and its certificate, as PEM. Keep the old key below a new one until the provider uses the new certificate.", Kind: form.Secret, Multiline: true, Section: "Encryption and signatures", Advanced: true},
		{Key: "allowSHA1", Label: "Accept signatures with SHA-1", Kind: form.Bool, Advanced: true, Danger: "SHA-1 is broken: an attacker with enough computing power may forge a sign-in."},
		{Key: "entityIssuer", Label: "SP entity ID", Help: "The callback address when empty.", Kind: form.Text, Advanced: true},
	}
}
