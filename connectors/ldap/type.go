package ldap

import (
	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/form"
)

// Type describes the connector.
func Type() connectors.Type {
	return connectors.Type{
		Name: "ldap", Icon: "directory", Label: "LDAP or Active Directory",
		About: "Active Directory, OpenLDAP, FreeIPA, 389 DS or LLDAP. Users enter their password on Fairlead's sign-in page.", Can: []string{"groups", "refresh", "look up"},
		Steps: []connectors.Step{
			{Text: "Create a service account in the directory that can read users and groups, and nothing else."},
			{Text: "Get the directory’s address and the certificate of the authority that signed its certificate."},
		},
		Presets: presets(),
		Config:  func() connectors.Config { return &Config{} },
		Fields:  fields(),
	}
}

func fields() []connectors.Field {
	return append([]connectors.Field{
		{Key: "hosts", Label: "Servers", Help: "host or host:port, one per line. Fairlead tries them in this order.", Kind: form.List, Required: true, Section: "Connection", Placeholder: "ldap1.example.com", Destination: true},
		{Key: "security", Label: "Security", Kind: form.Select, Destination: true, Options: []form.Option{
			{Value: "", Label: "LDAPS (port 636)"}, {Value: SecurityStartTLS, Label: "StartTLS (port 389)"}, {Value: SecurityNone, Label: "None: on this computer only"},
		}},
		{Key: "ca", Label: "CA certificate", Help: "PEM. Leave empty for the system’s authorities.", Kind: form.PEM, Destination: true},
		{Key: "timeoutSeconds", Label: "Timeout in seconds", Help: "For each step. 5 when empty.", Kind: form.Number, Advanced: true},
		{Key: "followReferrals", Label: "Follow referrals", Help: "Search on the servers that the directory refers to as well, for example other domains of a forest. They get the service account’s password.", Kind: form.Bool, Advanced: true, Destination: true},
		{Key: "bindDN", Label: "Bind DN", Help: "The service account that searches. Leave empty if the directory allows anonymous searches.", Kind: form.Text, Section: "Service account", Placeholder: "cn=fairlead,ou=services,dc=example,dc=com", Destination: true},
		{Key: "bindPassword", Label: "Bind password", Kind: form.Secret},
	}, searchFields()...)
}

func searchFields() []connectors.Field {
	return []connectors.Field{
		{Key: "userSearch.baseDN", Label: "Base DN of users", Help: "The entry below which the users are.", Kind: form.Text, Required: true, Section: "Users", Placeholder: "ou=people,dc=example,dc=com"},
		{Key: "userSearch.usernameAttr", Label: "User name attribute", Help: "Holds the name that users enter to sign in. Default: uid. For Active Directory use sAMAccountName.", Kind: form.Text, Placeholder: "uid"},
		{Key: "userSearch.idAttr", Label: "ID attribute", Help: "Holds an id that never changes and is never given to another account. Default: entryUUID. For Active Directory use objectGUID.", Kind: form.Text, Placeholder: "entryUUID"},
		{Key: "userSearch.filter", Label: "User filter", Kind: form.Text, Placeholder: "(objectClass=person)"},
		{Key: "userSearch.emailAttr", Label: "Mail attribute", Help: "mail when empty.", Kind: form.Text, Advanced: true, Placeholder: "mail"},
		{Key: "userSearch.nameAttr", Label: "Display name attribute", Help: "cn when empty.", Kind: form.Text, Advanced: true, Placeholder: "cn"},
		{Key: "usernamePrompt", Label: "Label of the user name field", Help: "The label of the name field on the sign-in page.", Kind: form.Text, Advanced: true, Placeholder: "User name"},
		{Key: "groupSearch.baseDN", Label: "Base DN of groups", Help: "The entry below which the groups are. Leave empty to read no groups.", Kind: form.Text, Section: "Groups", Placeholder: "ou=groups,dc=example,dc=com"},
		{Key: "groupSearch.filter", Label: "Group filter", Kind: form.Text, Placeholder: "(objectClass=groupOfNames)"},
		{Key: "groupSearch.nameAttr", Label: "Group name attribute", Help: "cn when empty.", Kind: form.Text, Advanced: true, Placeholder: "cn"},
		{Key: "groupSearch.memberAttr", Label: "Member attribute", Help: "The attribute of a group that lists its members. Default: member. For POSIX groups use memberUid.", Kind: form.Text, Placeholder: "member"},
		{Key: "groupSearch.userAttr", Label: "Member value", Help: "The attribute of a user that the member attribute holds. Default: dn. For POSIX groups use uid.", Kind: form.Text, Placeholder: "dn"},
		{Key: "groupSearch.memberOfAttr", Label: "Groups attribute of the user", Help: "Reads the groups from this attribute of the user instead, such as memberOf.", Kind: form.Text, Advanced: true, Placeholder: "memberOf"},
		{Key: "groupSearch.nestedDepth", Label: "Levels of groups in groups", Help: "0 to 10.", Kind: form.Number, Advanced: true, Placeholder: "0"},
	}
}

func presets() []connectors.Preset {
	values := func(user, group map[string]any) map[string]any {
		return map[string]any{"userSearch": user, "groupSearch": group}
	}
	return []connectors.Preset{
		{
			Name: "ad", Label: "Active Directory", Help: "The bind DN may be an e-mail-like name such as svc@corp.example.com. Disabled, locked and expired accounts are kept out.",
			Values: values(
				map[string]any{"usernameAttr": "sAMAccountName", "idAttr": "objectGUID", "nameAttr": "displayName", "filter": "(&(objectCategory=person)(objectClass=user))"},
				map[string]any{"filter": "(objectClass=group)", "memberAttr": "member", "userAttr": "dn", "nestedDepth": 5},
			),
		},
		{
			Name: "openldap", Label: "OpenLDAP (groupOfNames)",
			Values: values(map[string]any{"filter": "(objectClass=inetOrgPerson)"}, map[string]any{"filter": "(objectClass=groupOfNames)"}),
		},
		{
			Name: "posix", Label: "POSIX groups",
			Values: values(map[string]any{"filter": "(objectClass=posixAccount)"}, map[string]any{"filter": "(objectClass=posixGroup)", "memberAttr": "memberUid", "userAttr": "uid"}),
		},
		{
			Name: "freeipa", Label: "FreeIPA", Help: "People are in cn=users,cn=accounts,…, groups in cn=groups,cn=accounts,….",
			Values: values(map[string]any{"idAttr": "ipaUniqueID", "filter": "(objectClass=posixAccount)"}, map[string]any{"filter": "(objectClass=ipausergroup)", "nestedDepth": 5}),
		},
		{
			Name: "389ds", Label: "389 Directory Server",
			Values: values(map[string]any{"idAttr": "nsUniqueId", "filter": "(objectClass=person)"}, map[string]any{"filter": "(objectClass=groupOfUniqueNames)", "memberAttr": "uniqueMember"}),
		},
		{
			Name: "lldap", Label: "LLDAP", Help: "People are in ou=people,…, groups in ou=groups,….",
			Values: values(map[string]any{"filter": "(objectClass=person)"}, map[string]any{"filter": "(objectClass=groupOfUniqueNames)"}),
		},
	}
}
