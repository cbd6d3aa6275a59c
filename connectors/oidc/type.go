package oidc

import (
	"context"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/form"
)

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "oidc", Icon: "key", Label: "OpenID Connect",
		About: "Any provider that speaks OpenID Connect: Keycloak, Okta, Auth0, Authentik, ZITADEL and others.", Can: []string{"groups", "refresh"},
		Steps: []connectors.Step{
			{Text: "At the provider make a client (an application) of the type web, confidential, with the authorization code flow."},
			{Text: "Paste this as its redirect URI.", Copy: []connectors.Copy{{Label: "Redirect URI", Value: connectors.CopyCallback}}},
			{Text: "Allow the scopes openid, profile, email and offline_access, and put the groups into the ID token."},
		},
		Presets: presets(),
		Config:  func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "issuer", Label: "Issuer URL", Help: "Exactly as it is in the provider’s tokens.", Kind: form.Text, Required: true, Section: "Provider", Placeholder: "https://idp.example.com", Destination: true},
			{Key: "clientID", Label: "Client ID", Kind: form.Text, Required: true, Section: "Client"},
			{Key: "clientSecret", Label: "Client secret", Kind: form.Secret, Required: true},
			{Key: "secretEnds", Label: "Client secret expires", Help: "When it does: the overview warns 30 days before.", Kind: form.Date, Advanced: true},
			{Key: "allowedGroups", Label: "Allowed groups", Help: "Groups whose members can sign in, one per line. Leave empty to allow every account of the provider.", Kind: form.List, Section: "Access"},
			{Key: "usernameClaim", Label: "User name claim", Help: "preferred_username when empty.", Kind: form.Text, Section: "Claims", Advanced: true, Placeholder: "preferred_username"},
			{Key: "idClaim", Label: "User ID claim", Help: "One that never changes. sub when empty.", Kind: form.Text, Advanced: true, Placeholder: "sub"},
			{Key: "nameClaim", Label: "Display name claim", Help: "name when empty.", Kind: form.Text, Advanced: true, Placeholder: "name"},
			{Key: "emailClaim", Label: "Mail claim", Help: "email when empty.", Kind: form.Text, Advanced: true, Placeholder: "email"},
			{Key: "groupsClaim", Label: "Groups claim", Help: "groups when empty. A claim inside another: realm_access.roles or /realm_access/roles.", Kind: form.Text, Advanced: true, Placeholder: "groups"},
			{Key: "providerVerifiesEmail", Label: "The provider verifies mail addresses", Help: "Treats an address as verified when the provider does not say whether it is.", Kind: form.Bool, Advanced: true, Danger: "Access rules for domains trust these addresses."},
			{Key: "trustEmail", Label: "Treat every mail address as verified", Kind: form.Bool, Advanced: true, Danger: "Access rules for domains would trust addresses that the provider has not verified."},
			{Key: "scopes", Label: "Scopes", Help: "Besides openid, one per line. profile, email and offline_access when empty.", Kind: form.List, Advanced: true},
			{Key: "userInfo", Label: "Ask the userinfo endpoint as well", Help: "For providers that keep groups out of the ID token.", Kind: form.Bool, Advanced: true},
			{Key: "acrValues", Label: "ACR values", Help: "Authentication context classes to request, one per line.", Kind: form.List, Advanced: true},
			{Key: "prompt", Label: "Prompt", Help: "Such as consent or login. If empty, no prompt parameter is sent.", Kind: form.Text, Advanced: true},
			{Key: "ca", Label: "CA certificate", Help: "PEM, when the provider’s certificate is signed by your own authority.", Kind: form.PEM, Advanced: true},
		},
	}
}

func presets() []connectors.Preset {
	preset := func(name, label, help string, values map[string]any) connectors.Preset {
		return connectors.Preset{Name: name, Label: label, Help: help, Values: values}
	}
	return []connectors.Preset{
		preset("keycloak", "Keycloak", "The issuer is https://HOST/realms/REALM. Add a mapper of the type Group Membership with the claim name groups and Full group path off.", nil),
		preset("okta", "Okta", "The issuer is https://YOURS.okta.com. Add a Groups claim to the application’s ID token.", nil),
		preset("auth0", "Auth0", "The issuer ends with a slash: https://YOURS.auth0.com/. Groups come from an action that sets a claim.", nil),
		preset("ping", "PingOne", "The issuer is https://auth.pingone.com/ENVIRONMENT/as.", nil),
		preset("onelogin", "OneLogin", "The issuer is https://YOURS.onelogin.com/oidc/2.", nil),
		preset("jumpcloud", "JumpCloud", "The issuer ends with a slash: https://oauth.id.jumpcloud.com/.", nil),
		preset("authentik", "Authentik", "The issuer is https://HOST/application/o/SLUG/, with the slash. Groups come with the scope profile.", nil),
		preset("entra", "Microsoft Entra ID", "The issuer is https://login.microsoftonline.com/TENANT-ID/v2.0. Under Token configuration add a groups claim for groups assigned to the application: Entra leaves out more than 200 groups. To read all groups, use the connector Microsoft instead.", map[string]any{"scopes": []any{"profile", "email", "offline_access"}}),
		preset("gitlab", "GitLab", "The issuer is https://gitlab.com or the address of your GitLab.", map[string]any{"scopes": []any{"profile", "email"}, "userInfo": true, "groupsClaim": "groups"}),
		preset("zitadel", "ZITADEL", "Roles of the project are the groups.", map[string]any{"scopes": []any{"profile", "email", "offline_access", "urn:zitadel:iam:org:project:roles"}, "userInfo": true, "groupsClaim": "urn:zitadel:iam:org:project:roles"}),
		preset("pocketid", "Pocket ID", "Groups come with the scope groups.", map[string]any{"scopes": []any{"profile", "email", "groups", "offline_access"}}),
		preset("cognito", "AWS Cognito", "The issuer is https://cognito-idp.REGION.amazonaws.com/POOL. It knows no scope offline_access.", map[string]any{"scopes": []any{"profile", "email"}, "groupsClaim": "cognito:groups", "usernameClaim": "cognito:username"}),
		preset("adfs", "AD FS", "The issuer is https://HOST/adfs. Add claim rules for upn, email and groups.", map[string]any{"scopes": []any{"profile", "email", "allatclaims"}, "usernameClaim": "upn"}),
		preset("dex", "Dex", "The issuer is as in Dex’s own configuration.", map[string]any{"scopes": []any{"profile", "email", "groups", "offline_access"}}),
	}
}

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	return probe.OpenID(ctx, env, c.Issuer, c.CA, probe.OAuthClient{
		ID: c.ClientID, Secret: c.ClientSecret.Reveal(), IDLabel: "Client ID", SecretLabel: "Client secret",
	})
}
