package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// importer collects the entries that are converted from another program's configuration.
type importer struct {
	docs  Docs
	notes []string
}

func (i *importer) add(kind, id string, doc form.Doc) {
	i.docs[kind] = append(i.docs[kind], Entry{ID: id, Doc: doc.Compact(), Origin: store.Origin{Origin: store.OriginPage}})
}

func (i *importer) note(format string, args ...any) {
	i.notes = append(i.notes, fmt.Sprintf(format, args...))
}

// FromDex converts a configuration of Dex: connectors, static clients and static passwords. The notes list what it
// could not convert.
func FromDex(root map[string]any) (Docs, []string) {
	i := &importer{docs: Docs{}}
	for _, key := range slices.Sorted(maps.Keys(root)) {
		switch key {
		case "connectors":
			for _, c := range objects(root[key]) {
				i.dexConnector(c)
			}
		case "staticClients":
			for _, c := range objects(root[key]) {
				i.dexClient(c)
			}
		case "staticPasswords":
			i.dexPasswords(objects(root[key]))
		case "enablePasswordDB":
		case "issuer":
			i.note("issuer: %v stays Dex’s. Clients have to be given the new issuer, or this server has to take that address over (url in its file).", root[key])
		default:
			i.note("%s: left out, it is a setting of Dex’s process", key)
		}
	}
	return i.docs, i.notes
}

func objects(v any) []form.Doc {
	var list []form.Doc
	items, _ := v.([]any)
	for _, item := range items {
		if object, ok := item.(map[string]any); ok {
			list = append(list, object)
		}
	}
	return list
}

// Slugify turns a text into an id.
func Slugify(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	id := strings.Trim(b.String(), "-")
	return strings.Trim(id[:min(len(id), 63)], "-")
}

// conversion is a connector of Dex during its conversion.
type conversion struct {
	*importer
	id       string
	from, to form.Doc
}

// dexMapping maps Dex's keys to Fairlead's. An empty name drops the key.
type dexMapping struct {
	kind string
	keys map[string]string
	// fix converts what the table cannot express.
	fix func(c *conversion)
}

func dexMappings() map[string]dexMapping {
	client := func(more map[string]string) map[string]string {
		all := map[string]string{"clientID": "clientID", "clientSecret": "clientSecret", "redirectURI": ""}
		maps.Copy(all, more)
		return all
	}
	return map[string]dexMapping{
		"ldap": {"ldap", map[string]string{
			"host": "", "bindDN": "bindDN", "bindPW": "bindPassword", "usernamePrompt": "usernamePrompt", "insecureNoSSL": "", "startTLS": "", "rootCAData": "",
			"insecureSkipVerify": "", "userSearch": "", "groupSearch": "",
		}, (*conversion).fixLDAP},
		"github": {"github", client(map[string]string{"orgs": "orgs", "hostName": "", "org": "", "teamNameField": "", "loadAllGroups": "", "useLoginAsID": ""}), (*conversion).fixGitHub},
		"gitlab": {"gitlab", client(map[string]string{"baseURL": "baseURL", "groups": "groups", "inheritedGroups": "inheritedGroups", "getGroupsPermission": "roleSuffix", "rootCAData": "", "useLoginAsID": ""}), (*conversion).fixLogin},
		"oidc": {"oidc", client(map[string]string{
			"issuer": "issuer", "scopes": "scopes", "getUserInfo": "userInfo", "userIDKey": "idClaim", "userNameKey": "nameClaim", "insecureSkipEmailVerified": "trustEmail",
			"allowedGroups": "allowedGroups", "acrValues": "acrValues", "promptType": "prompt", "insecureEnableGroups": "", "claimMapping": "", "overrideClaimMapping": "",
			"basicAuthUnsupported": "", "pkceChallenge": "",
		}), (*conversion).fixOIDC},
		"oauth": {"oauth", client(map[string]string{
			"tokenURL": "tokenURL", "authorizationURL": "authorizationURL", "userInfoURL": "userInfoURL", "scopes": "scopes", "userIDKey": "idKey", "claimMapping": "",
		}), (*conversion).fixOAuth},
		"google": {"google", client(map[string]string{
			"hostedDomains": "hostedDomains", "promptType": "", "groups": "groups", "serviceAccountFilePath": "", "adminEmail": "", "domainToAdminEmail": "",
		}), (*conversion).fixGoogle},
		"microsoft": {"microsoft", client(map[string]string{
			"tenant": "tenant", "groups": "groups", "groupNameFormat": "groupNameFormat", "onlySecurityGroups": "onlySecurityGroups", "batchGroupLookups": "batchGroupLookups",
			"emailToLowercase": "emailToLowercase", "preferredUsernameField": "preferredUsernameField", "domainHint": "domainHint", "promptType": "promptType",
			"apiURL": "apiURL", "graphURL": "graphURL", "useGroupsAsWhitelist": "", "scopes": "",
		}), nil},
		"gitea":           {"gitea", client(map[string]string{"baseURL": "baseURL", "orgs": "orgs", "loadAllGroups": "", "useLoginAsID": ""}), (*conversion).fixLogin},
		"bitbucket-cloud": {"bitbucket", client(map[string]string{"teams": "teams", "getWorkspacePermissions": "permissions", "includeTeamGroups": ""}), nil},
		"linkedin":        {"linkedin", client(nil), (*conversion).fixLinkedIn},
		"openshift":       {"openshift", client(map[string]string{"issuer": "issuer", "groups": "groups", "rootCA": ""}), (*conversion).fixOpenShift},
		"atlassian-crowd": {"crowd", map[string]string{
			"baseURL": "baseURL", "clientID": "application", "clientSecret": "password", "groups": "groups", "usernamePrompt": "usernamePrompt", "preferredUsernameField": "",
		}, nil},
		"keystone": {"keystone", map[string]string{"keystoneHost": "host", "domain": "domain", "keystoneUsername": "username", "keystonePassword": "password"}, (*conversion).fixKeystone},
		"authproxy": {"authproxy", map[string]string{
			"userHeader": "userHeader", "userIDHeader": "idHeader", "userNameHeader": "nameHeader", "emailHeader": "emailHeader", "groupHeader": "groupHeader",
			"groupHeaderSeparator": "groupSeparator", "staticGroups": "groups",
		}, (*conversion).fixAuthProxy},
		"saml": {"saml", map[string]string{
			"ssoURL": "ssoURL", "ssoIssuer": "ssoIssuer", "entityIssuer": "entityIssuer", "usernameAttr": "usernameAttr", "emailAttr": "emailAttr", "groupsAttr": "groupsAttr",
			"groupsDelim": "groupsDelim", "allowedGroups": "allowedGroups", "redirectURI": "", "caData": "", "ca": "", "nameIDPolicyFormat": "", "filterGroups": "",
		}, (*conversion).fixSAML},
	}
}

func (i *importer) dexConnector(c form.Doc) {
	id := Slugify(c.Text("id"))
	m, known := dexMappings()[c.Text("type")]
	if !known {
		i.note("connector %s: there is no connector of the type %q here", c.Text("id"), c.Text("type"))
		return
	}
	from, _ := c["config"].(map[string]any)
	to := form.Doc{}
	for _, key := range slices.Sorted(maps.Keys(from)) {
		name, understood := m.keys[key]
		switch {
		case !understood:
			i.note("connector %s: Fairlead does not know the key %s and ignores it", id, key)
		case name != "":
			to.Set(name, from[key])
		}
	}
	if m.fix != nil {
		m.fix(&conversion{importer: i, id: id, from: from, to: to})
	}
	if _, has := from["redirectURI"]; has {
		i.note("connector %s: the provider has to be told the new callback address, …/callback/%s", id, id)
	}
	// Dex adds no prefix to user names, so existing role bindings have none.
	i.note("connector %s: names get the prefix %s:; Dex had none. Change the prefixes under More, or the bindings in the clusters.", id, id)
	i.add(Connectors, id, form.Doc{"id": id, "type": m.kind, "name": c.Text("name"), "config": map[string]any(to)})
}

func (i *importer) dexClient(c form.Doc) {
	id := Slugify(c.Text("id"))
	if id != c.Text("id") {
		i.note("client %s: its id becomes %s", c.Text("id"), id)
	}
	doc := form.Doc{"id": id, "name": c.Text("name"), "redirectURIs": c["redirectURIs"], "public": c["public"]}
	text := c.Text("secret")
	switch {
	case c["public"] == true && c["redirectURIs"] == nil:
		doc["redirectURIs"] = []any{"http://localhost", "http://127.0.0.1/callback"}
	case text != "" && c["public"] != true:
		doc["secretHashes"] = []any{secret.Hash(text)}
	case c.Text("secretEnv") != "":
		i.note("client %s: its secret is in the environment variable %s; add it on the client’s page", id, c.Text("secretEnv"))
	}
	if c["public"] != true {
		doc["pkceOptional"] = true
		i.note("client %s: it may still work without PKCE, as it could with Dex. Switch that off when you know that it doesn’t need it.", id)
	}
	if peers := c["trustedPeers"]; peers != nil {
		i.note("client %s: trustedPeers has no equal here; clusters are audiences of their own", id)
	}
	i.add(Clients, id, doc)
}

func (i *importer) dexPasswords(list []form.Doc) {
	if len(list) == 0 {
		return
	}
	i.add(Connectors, "local", form.Doc{"id": "local", "type": "local", "name": "Local users"})
	for _, p := range list {
		login := p.Text("username")
		if login == "" {
			login = p.Text("email")
		}
		if kubenames.Check(login) != nil {
			i.note("static password %s: the name can’t be used", p.Text("email"))
			continue
		}
		if p.Text("hashFromEnv") != "" {
			i.note("static password %s: its hash is in the environment variable %s; invite the person instead", login, p.Text("hashFromEnv"))
		}
		i.add(LocalUsers, login, form.Doc{"login": login, "name": p.Text("name"), "email": p.Text("email"), "groups": p["groups"], "passwordHash": p.Text("hash")})
	}
}
