package settings

import (
	"encoding/base64"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

func (c *conversion) fixLDAP() {
	c.to.Set("hosts", []any{c.from.Text("host")})
	switch {
	case c.from["startTLS"] == true:
		c.to.Set("security", "starttls")
	case c.from["insecureNoSSL"] == true:
		c.to.Set("security", "none")
	}
	c.fixTLS()
	c.setPEM("rootCAData", "ca")
	c.fixUserSearch()
	c.fixGroupSearch()
}

// fixTLS handles what turns the check of certificates off, and certificates in files on Dex's host.
func (c *conversion) fixTLS() {
	c.takeDefault("insecureSkipVerify", "insecureCA")
	if c.take("insecureSkipVerify") == true || c.take("insecureCA") == true {
		c.note("connector %s: the certificate is checked here; paste the CA certificate", c.id)
	}
	for _, key := range []string{"rootCA", "rootCAs"} {
		if files := c.take(key); files != nil {
			c.note("connector %s: paste the certificate that is in the file %v", c.id, files)
		}
	}
}

// checkScope refuses a search of one level: without it the search would find more entries than in Dex.
func (c *conversion) checkScope(search string) {
	if scope, _ := c.take(search + ".scope").(string); scope != "" && scope != "sub" {
		c.fault("%s.scope is %q, and Fairlead searches the whole tree below the base DN. Narrow %s.baseDN or %s.filter, and remove the scope", search, scope, search, search)
	}
}

func (c *conversion) fixUserSearch() {
	for dex, ours := range map[string]string{
		"baseDN": "baseDN", "filter": "filter", "username": "usernameAttr", "idAttr": "idAttr", "emailAttr": "emailAttr", "nameAttr": "nameAttr",
	} {
		c.to.Set("userSearch."+ours, c.take("userSearch."+dex))
	}
	c.checkScope("userSearch")
	if id := c.from.Text("userSearch.idAttr"); strings.EqualFold(id, "dn") || id == "uid" {
		c.note("connector %s: %s changes or is given to others; entryUUID or objectGUID is a better id, and makes new accounts", c.id, id)
	}
}

func (c *conversion) fixGroupSearch() {
	if c.rest.Get("groupSearch") == nil {
		return
	}
	for _, key := range []string{"baseDN", "filter", "nameAttr"} {
		c.to.Set("groupSearch."+key, c.take("groupSearch."+key))
	}
	c.checkScope("groupSearch")
	matcher := form.Doc{"userAttr": c.take("groupSearch.userAttr"), "groupAttr": c.take("groupSearch.groupAttr")}
	if list := objects(c.take("groupSearch.userMatchers")); len(list) > 0 {
		matcher = list[0].Clone()
		if len(list) > 1 {
			c.note("connector %s: of %d userMatchers the first is used", c.id, len(list))
		}
	}
	attr := takeText(matcher, "userAttr")
	if strings.EqualFold(attr, "dn") {
		attr = ""
	}
	c.to.Set("groupSearch.userAttr", orNil(attr))
	c.to.Set("groupSearch.memberAttr", orNil(takeText(matcher, "groupAttr")))
	c.ignoreRest("connector "+c.id+", groupSearch.userMatchers", matcher)
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (c *conversion) fixGitHub() {
	if host := c.from.Text("hostName"); host != "" {
		c.to.Set("host", "https://"+host)
	}
	if org := c.from.Text("org"); org != "" {
		c.to.Set("orgs", []any{map[string]any{"name": org}})
	}
	if field, _ := c.take("teamNameField").(string); field != "" && field != "slug" {
		c.note("connector %s: teams are named by their slug here, not by %s", c.id, field)
	}
	c.fixLogin()
}

// fixLogin handles what the connectors of code hosts have in common.
func (c *conversion) fixLogin() {
	if c.take("useLoginAsID") == true {
		c.note("connector %s: people are known by the provider’s own id here, which survives a rename", c.id)
	}
	c.takeDefault("loadAllGroups", "includeTeamGroups")
	c.fixTLS()
	c.setPEM("rootCAData", "ca")
}

func (c *conversion) fixOIDC() {
	// Dex asks for consent unless promptType is given, and an empty one sends no prompt.
	prompt, given := c.from["promptType"]
	if c.take("promptType"); !given {
		prompt = "consent"
	}
	c.to.Set("prompt", prompt)
	mapped := false
	for dex, ours := range map[string]string{"preferred_username": "usernameClaim", "email": "emailClaim", "groups": "groupsClaim"} {
		if value := c.take("claimMapping." + dex); value != nil {
			mapped = true
			c.to.Set(ours, value)
		}
	}
	if override := c.take("overrideClaimMapping"); mapped && override != true {
		c.note("connector %s: Fairlead always reads the claims of claimMapping; Dex read them only if the standard ones were missing", c.id)
	}
	if c.take("insecureEnableGroups") != true {
		c.note("connector %s: Dex read no groups here; Fairlead reads the claim %s", c.id, orElse(c.to.Text("groupsClaim"), "groups"))
	}
	c.takeDefault("hostedDomains")
	if domains := c.take("hostedDomains"); domains != nil {
		c.fault("hostedDomains restricts who may sign in, and the type oidc has no such setting. Use the type google, or restrict by allowedGroups, and remove the key")
	}
	c.fixTLS()
}

func (c *conversion) fixOAuth() {
	for dex, ours := range map[string]string{
		"userNameKey": "nameKey", "preferredUsernameKey": "usernameKey", "groupsKey": "groupsKey", "emailKey": "emailKey", "emailVerifiedKey": "emailVerifiedKey",
	} {
		if value := c.take("claimMapping." + dex); value != nil {
			c.to.Set(ours, value)
		}
	}
	c.fixTLS()
}

func (c *conversion) fixSAML() {
	c.setPEM("caData", "certificates")
	if file, _ := c.take("ca").(string); file != "" && c.to.Get("certificates") == nil {
		c.note("connector %s: paste the certificate that is in the file %s", c.id, file)
	}
	format := c.from.Text("nameIDPolicyFormat")
	switch format = format[strings.LastIndexByte(format, ':')+1:]; format {
	case "", "persistent":
	case "emailAddress", "unspecified", "X509SubjectName":
		c.to.Set("nameIDFormat", format)
	default:
		c.note("connector %s: a NameID of the format %s can’t identify users here. Choose an attribute that never changes as the user ID.", c.id, format)
	}
	c.to.Set("providerVerifiesEmail", true) // Dex takes every address of SAML for verified
	c.takeDefault("filterGroups", "insecureSkipSignatureValidation")
	if c.take("filterGroups") == true {
		c.note("connector %s: users keep the groups that are not allowed groups too; filterGroups has no equal here", c.id)
	}
	c.note("connector %s: the user name is the attribute %s; Dex had it as the display name", c.id, c.from.Text("usernameAttr"))
}

// fixGoogle reports that the service account's key is a file on Dex's host.
func (c *conversion) fixGoogle() {
	if prompt, _ := c.rest.Get("promptType").(string); prompt == "consent" {
		c.take("promptType")
	}
	file, _ := c.take("serviceAccountFilePath").(string)
	admin, domains := c.take("adminEmail"), c.take("domainToAdminEmail")
	if file == "" && admin == nil && domains == nil {
		return
	}
	c.to.Set("groups", nil) // without the key the server cannot read any groups
	c.note("connector %s: for groups paste the content of %s into Service account key, write the admin’s address, and then the allowed groups", c.id, orElse(file, "the service account’s key"))
}

func (c *conversion) fixLinkedIn() {
	c.note("connector %s: add the product Sign In with LinkedIn using OpenID Connect to the app: other scopes are asked for here", c.id)
}

// fixMicrosoft accepts the scope that Dex asks for by default.
func (c *conversion) fixMicrosoft() { c.takeDefault("useGroupsAsWhitelist", "scopes") }

// fixOpenShift handles a certificate authority, which can be a file on Dex's host.
func (c *conversion) fixOpenShift() {
	if strings.Contains(c.decoded("rootCA"), "BEGIN CERTIFICATE") {
		c.setPEM("rootCA", "ca")
	}
	c.fixTLS()
}

func (c *conversion) fixKeystone() {
	c.note("connector %s: the service user %s needs a role that lets it read users, on the domain or on a project (field project)", c.id, c.from.Text("keystoneUsername"))
	c.fixTLS()
}

// fixAuthProxy generates a secret, which Dex does not have. Without one any client that reaches the server could
// claim any user name.
func (c *conversion) fixAuthProxy() {
	c.to.Set("proxySecret", secret.Token().Reveal())
	c.note("connector %s: the proxy has to send a secret in X-Fairlead-Proxy-Secret; set one in the connector’s form and in the proxy", c.id)
}

// setPEM decodes a certificate, which Dex encodes in base64.
func (c *conversion) setPEM(dex, ours string) {
	text := c.decoded(dex)
	if c.take(dex); text == "" {
		return
	}
	if !strings.Contains(text, "BEGIN CERTIFICATE") {
		c.note("connector %s: %s holds no certificate", c.id, dex)
		return
	}
	c.to.Set(ours, text)
}

// decoded returns a text of Dex's configuration, which may be in base64.
func (c *conversion) decoded(key string) string {
	text := c.from.Text(key)
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
		return string(raw)
	}
	return text
}
