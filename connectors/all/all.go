// Package all lists the connectors that are shipped, one line each.
package all

import (
	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/github"
	"github.com/fairlead-auth/fairlead/connectors/ldap"
	"github.com/fairlead-auth/fairlead/connectors/local"
	"github.com/fairlead-auth/fairlead/connectors/oidc"
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
	} {
		types[t.Name] = t
	}
	return types
}
