package settings

import "maps"

func dexMappings() map[string]dexMapping {
	client := func(more map[string]string) map[string]string {
		all := map[string]string{"clientID": "clientID", "clientSecret": "clientSecret", "redirectURI": ""}
		maps.Copy(all, more)
		return all
	}
	return map[string]dexMapping{
		"ldap": {"ldap", map[string]string{
			"host": "", "bindDN": "bindDN", "bindPW": "bindPassword", "usernamePrompt": "usernamePrompt", "insecureNoSSL": "", "startTLS": "",
		}, (*conversion).fixLDAP},
		"github": {"github", client(map[string]string{"orgs": "orgs", "hostName": "", "org": ""}), (*conversion).fixGitHub},
		"gitlab": {"gitlab", client(map[string]string{"baseURL": "baseURL", "groups": "groups", "inheritedGroups": "inheritedGroups", "getGroupsPermission": "roleSuffix"}), (*conversion).fixLogin},
		"oidc": {"oidc", client(map[string]string{
			"issuer": "issuer", "scopes": "scopes", "getUserInfo": "userInfo", "userIDKey": "idClaim", "userNameKey": "nameClaim", "insecureSkipEmailVerified": "trustEmail",
			"allowedGroups": "allowedGroups", "acrValues": "acrValues", "basicAuthUnsupported": "", "pkceChallenge": "",
		}), (*conversion).fixOIDC},
		"oauth": {"oauth", client(map[string]string{
			"tokenURL": "tokenURL", "authorizationURL": "authorizationURL", "userInfoURL": "userInfoURL", "scopes": "scopes", "userIDKey": "idKey",
		}), (*conversion).fixOAuth},
		"google": {"google", client(map[string]string{
			"hostedDomains": "hostedDomains", "groups": "groups",
		}), (*conversion).fixGoogle},
		"microsoft": {"microsoft", client(map[string]string{
			"tenant": "tenant", "groups": "groups", "groupNameFormat": "groupNameFormat", "onlySecurityGroups": "onlySecurityGroups", "batchGroupLookups": "batchGroupLookups",
			"emailToLowercase": "emailToLowercase", "preferredUsernameField": "preferredUsernameField", "domainHint": "domainHint", "promptType": "promptType",
			"apiURL": "apiURL", "graphURL": "graphURL",
		}), (*conversion).fixMicrosoft},
		"gitea":           {"gitea", client(map[string]string{"baseURL": "baseURL", "orgs": "orgs"}), (*conversion).fixLogin},
		"bitbucket-cloud": {"bitbucket", client(map[string]string{"teams": "teams", "getWorkspacePermissions": "permissions"}), (*conversion).fixLogin},
		"linkedin":        {"linkedin", client(nil), (*conversion).fixLinkedIn},
		"openshift":       {"openshift", client(map[string]string{"issuer": "issuer", "groups": "groups"}), (*conversion).fixOpenShift},
		"atlassian-crowd": {"crowd", map[string]string{
			"baseURL": "baseURL", "clientID": "application", "clientSecret": "password", "groups": "groups", "usernamePrompt": "usernamePrompt",
		}, nil},
		"keystone": {"keystone", map[string]string{"keystoneHost": "host", "domain": "domain", "keystoneUsername": "username", "keystonePassword": "password"}, (*conversion).fixKeystone},
		"authproxy": {"authproxy", map[string]string{
			"userHeader": "userHeader", "userIDHeader": "idHeader", "userNameHeader": "nameHeader", "emailHeader": "emailHeader", "groupHeader": "groupHeader",
			"groupHeaderSeparator": "groupSeparator", "staticGroups": "groups",
		}, (*conversion).fixAuthProxy},
		"saml": {"saml", map[string]string{
			"ssoURL": "ssoURL", "ssoIssuer": "ssoIssuer", "entityIssuer": "entityIssuer", "usernameAttr": "usernameAttr", "emailAttr": "emailAttr", "groupsAttr": "groupsAttr",
			"groupsDelim": "groupsDelim", "allowedGroups": "allowedGroups", "redirectURI": "", "nameIDPolicyFormat": "",
		}, (*conversion).fixSAML},
	}
}
