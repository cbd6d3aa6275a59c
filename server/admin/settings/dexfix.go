package settings

import (
	"encoding/base64"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

func (c *conversion) fixLDAP() {
	from, to := c.from, c.to
	to.Set("hosts", []any{from.Text("host")})
	switch {
	case from["insecureNoSSL"] == true && from["startTLS"] != true:
		to.Set("security", "none")
	case from["startTLS"] == true:
		to.Set("security", "starttls")
	}
	if from["insecureSkipVerify"] == true {
		c.note("connector %s: the certificate is checked here; paste the CA certificate", c.id)
	}
	c.setPEM("rootCAData", "ca")
	c.fixUserSearch()
	c.fixGroupSearch()
}

func (c *conversion) fixUserSearch() {
	from, to := c.from, c.to
	user := form.Doc{}
	if search, ok := from["userSearch"].(map[string]any); ok {
		user = search
	}
	for dex, ours := range map[string]string{
		"baseDN": "baseDN", "filter": "filter", "username": "usernameAttr", "idAttr": "idAttr", "emailAttr": "emailAttr", "nameAttr": "nameAttr",
	} {
		to.Set("userSearch."+ours, user[dex])
	}
	if strings.EqualFold(user.Text("idAttr"), "dn") || user.Text("idAttr") == "uid" {
		c.note("connector %s: %s changes or is given to others; entryUUID or objectGUID is a better id, and makes new accounts", c.id, user.Text("idAttr"))
	}
}

func (c *conversion) fixGroupSearch() {
	from, to := c.from, c.to
	group, ok := from["groupSearch"].(map[string]any)
	if !ok {
		return
	}
	for dex, ours := range map[string]string{"baseDN": "baseDN", "filter": "filter", "nameAttr": "nameAttr"} {
		to.Set("groupSearch."+ours, group[dex])
	}
	matcher := form.Doc(group)
	if list := objects(group["userMatchers"]); len(list) > 0 {
		matcher = list[0]
		if len(list) > 1 {
			c.note("connector %s: of %d userMatchers the first is used", c.id, len(list))
		}
	}
	attr := matcher.Text("userAttr")
	if strings.EqualFold(attr, "dn") {
		attr = ""
	}
	to.Set("groupSearch.userAttr", orNil(attr))
	to.Set("groupSearch.memberAttr", orNil(matcher.Text("groupAttr")))
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (c *conversion) fixGitHub() {
	from, to := c.from, c.to
	if host := from.Text("hostName"); host != "" {
		to.Set("host", "https://"+host)
	}
	if org := from.Text("org"); org != "" {
		to.Set("orgs", []any{map[string]any{"name": org}})
	}
	if field := from.Text("teamNameField"); field != "" && field != "slug" {
		c.note("connector %s: teams are named by their slug here, not by %s", c.id, field)
	}
	c.fixLogin()
}

func (c *conversion) fixLogin() {
	from := c.from
	if from["useLoginAsID"] == true {
		c.note("connector %s: people are known by the provider’s own id here, which survives a rename", c.id)
	}
	c.setPEM("rootCAData", "ca")
}

func (c *conversion) fixOIDC() {
	from, to := c.from, c.to
	mapping, ok := from["claimMapping"].(map[string]any)
	if !ok {
		return
	}
	for dex, ours := range map[string]string{"preferred_username": "usernameClaim", "email": "emailClaim", "groups": "groupsClaim"} {
		if value := mapping[dex]; value != nil {
			to.Set(ours, value)
		}
	}
}

func (c *conversion) fixOAuth() {
	from, to := c.from, c.to
	mapping, ok := from["claimMapping"].(map[string]any)
	if !ok {
		return
	}
	for dex, ours := range map[string]string{
		"userNameKey": "nameKey", "preferredUsernameKey": "usernameKey", "groupsKey": "groupsKey", "emailKey": "emailKey", "emailVerifiedKey": "emailVerifiedKey",
	} {
		if value := mapping[dex]; value != nil {
			to.Set(ours, value)
		}
	}
}

func (c *conversion) fixSAML() {
	from, to := c.from, c.to
	c.setPEM("caData", "certificates")
	if from.Text("ca") != "" && to.Get("certificates") == nil {
		c.note("connector %s: paste the certificate that is in the file %s", c.id, from.Text("ca"))
	}
	format := from.Text("nameIDPolicyFormat")
	switch format = format[strings.LastIndexByte(format, ':')+1:]; format {
	case "", "persistent":
	case "emailAddress", "unspecified", "X509SubjectName":
		to.Set("nameIDFormat", format)
	default:
		c.note("connector %s: a NameID of the format %s can’t identify users here. Choose an attribute that never changes as the user ID.", c.id, format)
	}
	to.Set("providerVerifiesEmail", true) // Dex takes every address of SAML for verified
	if from["filterGroups"] == true {
		c.note("connector %s: users keep the groups that are not allowed groups too; filterGroups has no equal here", c.id)
	}
	c.note("connector %s: the user name is the attribute %s; Dex had it as the display name", c.id, from.Text("usernameAttr"))
}

// fixGoogle reports that the service account's key is a file on Dex's host.
func (c *conversion) fixGoogle() {
	file := c.from.Text("serviceAccountFilePath")
	if file == "" {
		return
	}
	c.to.Set("groups", nil) // without the key the server cannot read any groups
	c.note("connector %s: for groups paste the content of %s into Service account key, write the admin’s address, and then the allowed groups", c.id, file)
}

func (c *conversion) fixLinkedIn() {
	c.note("connector %s: add the product Sign In with LinkedIn using OpenID Connect to the app: other scopes are asked for here", c.id)
}

// fixOpenShift handles a certificate authority that is a file on Dex's host.
func (c *conversion) fixOpenShift() {
	c.setPEM("rootCA", "ca")
}

func (c *conversion) fixKeystone() {
	c.note("connector %s: the service user %s needs a role that lets it read users, on the domain or on a project (field project)", c.id, c.from.Text("keystoneUsername"))
}

// fixAuthProxy generates a secret, which Dex does not have. Without one any client that reaches the server could
// claim any user name.
func (c *conversion) fixAuthProxy() {
	c.to.Set("proxySecret", secret.Token().Reveal())
	c.note("connector %s: the proxy has to send a secret in X-Fairlead-Proxy-Secret; set one in the connector’s form and in the proxy", c.id)
}

// setPEM decodes a certificate, which Dex encodes in base64.
func (c *conversion) setPEM(dex, ours string) {
	from, to := c.from, c.to
	text := from.Text(dex)
	if text == "" {
		return
	}
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
		text = string(raw)
	}
	if !strings.Contains(text, "BEGIN CERTIFICATE") {
		c.note("connector %s: %s holds no certificate", c.id, dex)
		return
	}
	to.Set(ours, text)
}

// FromGangway converts a configuration of Gangway to a cluster. Gangway has one deployment for each cluster.
func FromGangway(root map[string]any) (Docs, []string) {
	i := &importer{docs: Docs{}}
	from := form.Doc(root)
	name := from.Text("clusterName")
	id := Slugify(name)
	if id == "" {
		i.note("clusterName is missing: it becomes the id of the cluster")
		return i.docs, i.notes
	}
	doc := form.Doc{"id": id, "name": name, "server": from.Text("apiServerURL"), "mode": "direct", "audience": from.Text("clientID")}
	if doc["audience"] == "" {
		delete(doc, "audience")
	}
	i.add(Clusters, id, doc)
	for key := range root {
		switch key {
		case "clusterName", "apiServerURL", "clientID", "host", "port", "serveTLS", "redirectURL", "scopes", "providerURL", "authorizeURL", "tokenURL", "sessionSecurityKey", "sessionSalt":
		case "clientSecret":
			i.note("clientSecret: no longer needed, because Fairlead’s kubeconfig holds no secret")
		case "clusterCAPath", "trustedCAPath":
			i.note("%s: paste the certificate into the cluster’s form", key)
		case "usernameClaim", "emailClaim":
			i.note("%s: set the API server’s username claim to preferred_username; see Connect this cluster", key)
		default:
			i.note("Fairlead does not know the key %s and ignores it", key)
		}
	}
	i.note("Create an access rule. Without one, no user may use the cluster.")
	return i.docs, i.notes
}
