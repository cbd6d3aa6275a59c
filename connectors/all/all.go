// Package all lists the connectors that are shipped, one line each.
package all

import (
	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/authproxy"
	"github.com/fairlead-auth/fairlead/connectors/bitbucket"
	"github.com/fairlead-auth/fairlead/connectors/crowd"
	"github.com/fairlead-auth/fairlead/connectors/gitea"
	"github.com/fairlead-auth/fairlead/connectors/github"
	"github.com/fairlead-auth/fairlead/connectors/gitlab"
	"github.com/fairlead-auth/fairlead/connectors/google"
	"github.com/fairlead-auth/fairlead/connectors/keystone"
	"github.com/fairlead-auth/fairlead/connectors/ldap"
	"github.com/fairlead-auth/fairlead/connectors/linkedin"
	"github.com/fairlead-auth/fairlead/connectors/local"
	"github.com/fairlead-auth/fairlead/connectors/microsoft"
	"github.com/fairlead-auth/fairlead/connectors/oauth"
	"github.com/fairlead-auth/fairlead/connectors/oidc"
	"github.com/fairlead-auth/fairlead/connectors/openshift"
	"github.com/fairlead-auth/fairlead/connectors/saml"
	"github.com/fairlead-auth/fairlead/internal/password"
)

// Types returns the kinds of connector by name.
func Types(hasher *password.Hasher) map[string]connectors.Type {
	types := map[string]connectors.Type{}
	for _, t := range []connectors.Type{
		local.Type(hasher),
		ldap.Type(),
		github.Type(),
		oidc.Type(),
		saml.Type(),
		gitlab.Type(),
		google.Type(),
		microsoft.Type(),
		gitea.Type(),
		bitbucket.Type(),
		oauth.Type(),
		linkedin.Type(),
		openshift.Type(),
		crowd.Type(),
		keystone.Type(),
		authproxy.Type(),
	} {
		types[t.Name] = t
	}
	return types
}
