package saml

import (
	"fmt"
	"slices"
	"strings"

	samllib "github.com/crewjam/saml"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
)

// synonyms are the names of one attribute: its short names, its OID and its URI.
func synonyms() [][]string {
	return [][]string{
		{"mail", "email", "emailaddress", "urn:oid:0.9.2342.19200300.100.1.3", "urn:oid:1.2.840.113549.1.9.1", "urn:mace:dir:attribute-def:mail", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"},
		{"uid", "urn:oid:0.9.2342.19200300.100.1.1", "urn:mace:dir:attribute-def:uid"},
		{"cn", "urn:oid:2.5.4.3"},
		{"displayName", "displayname", "urn:oid:2.16.840.1.113730.3.1.241", "http://schemas.microsoft.com/identity/claims/displayname"},
		{"name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"},
		{"upn", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"},
		{"windowsaccountname", "http://schemas.microsoft.com/ws/2008/06/identity/claims/windowsaccountname"},
		{"objectidentifier", "http://schemas.microsoft.com/identity/claims/objectidentifier"},
		{"primarysid", "http://schemas.microsoft.com/ws/2008/06/identity/claims/primarysid"},
		{"eduPersonPrincipalName", "eppn", "urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "urn:mace:dir:attribute-def:eduPersonPrincipalName"},
		{"eduPersonUniqueId", "urn:oid:1.3.6.1.4.1.5923.1.1.1.13"},
		{"subject-id", "urn:oasis:names:tc:SAML:attribute:subject-id"},
		{"pairwise-id", "urn:oasis:names:tc:SAML:attribute:pairwise-id"},
		{"eduPersonEntitlement", "urn:oid:1.3.6.1.4.1.5923.1.1.1.7"},
		{"eduPersonScopedAffiliation", "urn:oid:1.3.6.1.4.1.5923.1.1.1.9"},
		{"isMemberOf", "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"},
		{"memberOf", "urn:oid:1.2.840.113556.1.2.102"},
		{"groups", "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"},
		{"Group", "http://schemas.xmlsoap.org/claims/Group"},
		{"role", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"},
	}
}

// sameAttribute reports whether two names mean one attribute.
func sameAttribute(a, b string) bool {
	return a == b || slices.ContainsFunc(synonyms(), func(names []string) bool { return slices.Contains(names, a) && slices.Contains(names, b) })
}

// attributes are those of a verified assertion.
type attributes []samllib.Attribute

func attributesOf(a *samllib.Assertion) attributes {
	var all attributes
	for _, statement := range a.AttributeStatements {
		all = append(all, statement.Attributes...)
	}
	return all
}

// values returns the values of an attribute. The name itself counts first, then the
// friendly name, then the other names of the attribute: a friendly name that equals
// the name of another attribute never hides it.
func (all attributes) values(name string) []string {
	if name == "" {
		return nil
	}
	for _, is := range []func(samllib.Attribute) bool{
		func(a samllib.Attribute) bool { return a.Name == name },
		func(a samllib.Attribute) bool { return a.FriendlyName == name },
		func(a samllib.Attribute) bool { return sameAttribute(a.Name, name) },
	} {
		if values, found := all.collect(is); found {
			return values
		}
	}
	return nil
}

// collect returns the values of the matching attributes. Keycloak sends one attribute
// for each role, all with the same name.
func (all attributes) collect(is func(samllib.Attribute) bool) (values []string, found bool) {
	for _, a := range all {
		if !is(a) {
			continue
		}
		found = true
		for _, v := range a.Values {
			if text := valueText(v); !blank(text) {
				values = append(values, text)
			}
		}
	}
	return values, found
}

// valueText returns the text of a value, or of the NameID in it (eduPersonTargetedID). Blanks at its edges are part of
// it: without them it could be the name of another group or user.
func valueText(v samllib.AttributeValue) string {
	if blank(v.Value) && v.NameID != nil {
		return v.NameID.Value
	}
	return v.Value
}

func blank(text string) bool { return strings.TrimSpace(text) == "" }

// one returns the only value of an attribute that identifies the user.
func (all attributes) one(name, what, setting string) (string, error) {
	values := all.values(name)
	switch len(values) {
	case 1:
		return values[0], nil
	case 0:
		return "", connectors.NewError(connectors.OutcomeUnusableIdentity, all.sent(), fmt.Sprintf("The provider sent no attribute %q, which holds the %s.", name, what),
			"Let the provider send it, or choose another "+setting+" in the connector's settings.")
	}
	return "", connectors.NewError(connectors.OutcomeUnusableIdentity, all.sent(), fmt.Sprintf("The attribute %q, which holds the %s, has %d values.", name, what, len(values)),
		"Let the provider send one value, or choose another "+setting+" in the connector's settings.")
}

// reported is what a test sign-in shows of an assertion.
func reported(a *samllib.Assertion) map[string][]string {
	all := map[string][]string{}
	if a.Subject != nil && a.Subject.NameID != nil {
		all["NameID"] = []string{a.Subject.NameID.Value, a.Subject.NameID.Format}
	}
	for _, attribute := range attributesOf(a) {
		name := attribute.Name
		if attribute.FriendlyName != "" {
			name += " (" + attribute.FriendlyName + ")"
		}
		for _, v := range attribute.Values {
			all[name] = append(all[name], valueText(v))
		}
	}
	return all
}

// maxNamed is how many names of attributes an error lists.
const maxNamed = 20

// sent says which attributes the provider sent, without their values.
func (all attributes) sent() error {
	var names []string
	for _, a := range all {
		if name := kubenames.SanitizeLine(a.Name, kubenames.MaxLength); !slices.Contains(names, name) && len(names) < maxNamed {
			names = append(names, name)
		}
	}
	return fmt.Errorf("it sent the attributes %s", strings.Join(names, ", "))
}

// overage is the attribute that Microsoft Entra ID sends instead of more than 150 groups.
const overage = "http://schemas.microsoft.com/claims/groups.link"

// groups returns the groups, sorted and each once. A missing attribute is no groups.
func (all attributes) groups(c *Config) ([]string, error) {
	values := all.values(c.GroupsAttr)
	if len(values) == 0 && c.GroupsAttr != "" && len(all.values(overage)) > 0 {
		return nil, connectors.NewError(connectors.OutcomeUnusableIdentity, nil, "The user is in more groups than the provider puts into a response.",
			"Let the provider send only the groups assigned to the application, or use a connector that reads groups from the provider's directory.")
	}
	var groups []string
	for _, value := range values {
		if c.GroupsDelim == "" {
			groups = append(groups, value)
			continue
		}
		for part := range strings.SplitSeq(value, c.GroupsDelim) {
			if part = strings.TrimSpace(part); part != "" {
				groups = append(groups, part)
			}
		}
	}
	slices.Sort(groups) // another order must not look like a change
	return slices.Compact(groups), nil
}

// identity returns the user of a verified assertion.
func (c *Config) identity(a *samllib.Assertion) (connectors.Identity, error) {
	all := attributesOf(a)
	var id connectors.Identity
	var err error
	if id.Subject, err = c.subject(a, all); err != nil {
		return connectors.Identity{}, err
	}
	if id.Username, err = all.one(c.UsernameAttr, "user name", "user name attribute"); err != nil {
		return connectors.Identity{}, err
	}
	id.Name = id.Username
	if names := all.values(c.NameAttr); len(names) > 0 {
		id.Name = names[0]
	}
	if addresses := all.values(c.EmailAttr); len(addresses) > 0 {
		id.Email, id.EmailVerified = addresses[0], c.ProviderVerifiesEmail
	}
	if id.Groups, err = all.groups(c); err != nil {
		return connectors.Identity{}, err
	}
	if !c.allows(id.Groups) {
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeDenied, nil, "The user is in none of the allowed groups.", "Ask an admin to be added to one of them.")
	}
	return id, nil
}

// subject returns the id of the account, which must be the same at every sign-in.
func (c *Config) subject(a *samllib.Assertion, all attributes) (string, error) {
	if c.IDAttr != "" {
		return all.one(c.IDAttr, "user ID", "user ID attribute")
	}
	if a.Subject == nil || a.Subject.NameID == nil || blank(a.Subject.NameID.Value) {
		return "", connectors.NewError(connectors.OutcomeUnusableIdentity, nil, "The provider sent an empty NameID, which holds the user ID.",
			"Let the provider send a persistent NameID, or choose a user ID attribute in the connector's settings.")
	}
	if a.Subject.NameID.Format == string(samllib.TransientNameIDFormat) {
		return "", connectors.NewError(connectors.OutcomeUnusableIdentity, nil, "The provider sent a transient NameID, which is another one at each sign-in.",
			"Let the provider send a persistent NameID, or choose a user ID attribute in the connector's settings.")
	}
	return a.Subject.NameID.Value, nil
}
