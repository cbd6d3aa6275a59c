package all_test

import (
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/microsoft"
	"github.com/fairlead-auth/fairlead/connectors/oauth"
	"github.com/fairlead-auth/fairlead/connectors/oidc"
	"github.com/fairlead-auth/fairlead/connectors/saml"
)

// TestNoUserNameIsADisplayName: users may choose their display name, so that it could be another user's name. No settings
// make a user name of it.
func TestNoUserNameIsADisplayName(t *testing.T) {
	t.Parallel()
	for field, configs := range map[string][]connectors.Config{
		"usernameClaim":          {&oidc.Config{UsernameClaim: "name"}, &oidc.Config{UsernameClaim: "/name"}, &oidc.Config{UsernameClaim: "profile.display_name"}},
		"usernameKey":            {&oauth.Config{UsernameKey: "displayName"}, &oauth.Config{UsernameKey: "profile.display_name"}},
		"usernameAttr":           {&saml.Config{UsernameAttr: "displayName"}, &saml.Config{UsernameAttr: "http://schemas.microsoft.com/identity/claims/displayname"}, &saml.Config{UsernameAttr: "urn:oid:2.16.840.1.113730.3.1.241"}},
		"preferredUsernameField": {&microsoft.Config{PreferredUsernameField: "name"}},
	} {
		for _, c := range configs {
			found := false
			for _, p := range c.Validate() {
				found = found || p.Field == field && (strings.Contains(p.Message, "display name") || field == "preferredUsernameField")
			}
			if !found {
				t.Errorf("%+v is accepted", c)
			}
		}
	}
}
