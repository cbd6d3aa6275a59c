package settings

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// dex converts configurations of Dex: connectors, static clients and static passwords.
func (i *importer) dex(documents []map[string]any) {
	i.each(documents, isDex, "Dex’s config.yaml, or the ConfigMap, Secret or Helm values that hold it", i.dexConfig)
}

func (i *importer) dexConfig(root map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(root)) {
		switch list := objects(root[key]); key {
		case "connectors":
			i.dexList(key, root[key], list, i.dexConnector)
		case "staticClients":
			i.dexList(key, root[key], list, i.dexClient)
		case "staticPasswords":
			i.dexList(key, root[key], list, i.dexPassword)
		case "enablePasswordDB":
		case "issuer":
			i.note("issuer: %v stays Dex’s. Clients have to be given the new issuer, or this server has to take that address over (url in its file).", root[key])
		default:
			i.ignore("%s: left out, it is a setting of Dex’s process (%s)", key, strings.Join(leaves(key, root[key]), ", "))
		}
	}
}

// dexList converts the objects of a list, and names anything else in it.
func (i *importer) dexList(key string, value any, list []form.Doc, convert func(form.Doc)) {
	if all, isList := value.([]any); value != nil && !isList || len(all) != len(list) {
		i.ignore("%s: left out what is not a list of objects", key)
	}
	kind := map[string]string{"connectors": Connectors, "staticClients": Clients, "staticPasswords": LocalUsers}[key]
	i.name(kind)
	for _, doc := range list {
		convert(doc.Clone())
	}
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
	id string
	// from is the configuration in Dex. rest is what of it was not taken yet.
	from, rest, to form.Doc
}

// take returns a value of Dex's configuration and marks it as taken.
func (c *conversion) take(path string) any { return take(c.rest, path) }

// takeDefault marks values as taken that change nothing: absent, empty or false.
func (c *conversion) takeDefault(paths ...string) {
	for _, path := range paths {
		if form.Equal(c.rest.Get(path), nil) {
			c.rest.Set(path, nil)
		}
	}
}

func (c *conversion) fault(format string, args ...any) {
	c.importer.fault(Connectors, c.id, format, args...)
}

// dexMapping maps Dex's keys to Fairlead's. An empty name leaves the key to fix.
type dexMapping struct {
	kind string
	keys map[string]string
	// fix converts what the table cannot express.
	fix func(c *conversion)
}

func (i *importer) dexConnector(c form.Doc) {
	name, kind, label := takeText(c, "id"), takeText(c, "type"), takeText(c, "name")
	id := Slugify(name)
	m, known := dexMappings()[kind]
	if !known || id == "" {
		i.ignore("connector %q: left out, because there is no connector of the type %q here, or its id has no usable character", name, kind)
		return
	}
	config, _ := take(c, "config").(map[string]any)
	i.ignoreRest("connector "+id, c)
	i.expand("", config, func(path, variable string) {
		i.fault(Connectors, id, "%s names the variable %s. Give its value in the environment of the import, so that the name is not stored as a text", path, variable)
	})
	conv := &conversion{importer: i, id: id, from: config, rest: form.Doc(config).Clone(), to: form.Doc{}}
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		if value := conv.take(key); value != nil && m.keys[key] != "" {
			conv.to.Set(m.keys[key], value)
		}
	}
	if m.fix != nil {
		m.fix(conv)
	}
	i.ignoreRest("connector "+id, conv.rest)
	if _, has := config["redirectURI"]; has || i.argo {
		i.note("connector %s: the provider has to be told the new callback address, …/callback/%s", id, id)
	}
	// Dex adds no prefix to user names, so existing role bindings have none.
	i.note("connector %s: names get the prefix %s:; Dex had none. Change the prefixes under More, or the bindings in the clusters.", id, id)
	i.add(Connectors, id, name, form.Doc{"id": id, "type": m.kind, "name": label, "config": map[string]any(conv.to)})
}

// dexVariable returns the value of an environment variable that a key of Dex names, such as secretEnv.
func (i *importer) dexVariable(kind, id, key, name string) string {
	value, known := i.env(name)
	if name != "" && !known {
		i.fault(kind, id, "%s names the variable %s. Give its value in the environment of the import", key, name)
	}
	return value
}

func (i *importer) dexClient(c form.Doc) {
	name := takeText(c, "id")
	if variable := takeText(c, "idEnv"); variable != "" {
		if name, _ = i.env(variable); name == "" {
			i.ignore("client with idEnv: left out, because the import’s environment does not have the variable %s", variable)
			return
		}
	}
	id := Slugify(name)
	if id != name {
		i.note("client %s: its id becomes %s", name, id)
	}
	public := c.Get("public") == true
	doc := form.Doc{"id": id, "name": takeText(c, "name"), "redirectURIs": take(c, "redirectURIs"), "public": take(c, "public")}
	if public && doc["redirectURIs"] == nil {
		doc["redirectURIs"] = []any{"http://localhost", "http://127.0.0.1/callback"}
	}
	if text := i.dexSecret(id, c); text != "" && !public {
		doc["secretHashes"] = []any{secret.Hash(text)}
	}
	if !public {
		doc["pkceOptional"] = true
		i.note("client %s: it may still work without PKCE, as it could with Dex. Switch that off when you know that it doesn’t need it.", id)
	}
	if c["trustedPeers"] != nil {
		i.note("client %s: trustedPeers has no equal here; clusters are audiences of their own", id)
	}
	if allowed := take(c, "allowedConnectors"); allowed != nil {
		i.fault(Clients, id, "allowedConnectors restricts who may sign in to this client, and Fairlead has no such setting. Remove the key to import the client for users of all connectors")
	}
	i.ignoreRest("client "+id, c)
	i.add(Clients, id, name, doc)
}

// dexSecret returns the secret of a client.
func (i *importer) dexSecret(id string, c form.Doc) string {
	text, variable := takeText(c, "secret"), takeText(c, "secretEnv")
	if variable != "" {
		return i.dexVariable(Clients, id, "secretEnv", variable)
	}
	return i.expandText("secret", text, func(path, name string) {
		i.fault(Clients, id, "%s names the variable %s. Give its value in the environment of the import, so that the name is not stored as a text", path, name)
	})
}

func (i *importer) dexPassword(p form.Doc) {
	if !slices.ContainsFunc(i.Docs[Connectors], func(e Entry) bool { return e.ID == "local" }) {
		i.add(Connectors, "local", "local", form.Doc{"id": "local", "type": "local", "name": "Local users"})
	}
	email, login := takeText(p, "email"), takeText(p, "username")
	if login == "" {
		login = email
	}
	if kubenames.Check(login) != nil {
		i.ignore("static password %q: left out, because the name can’t be used", email)
		return
	}
	hash := takeText(p, "hash")
	if variable := takeText(p, "hashFromEnv"); hash == "" && variable != "" {
		hash = i.dexVariable(LocalUsers, login, "hashFromEnv", variable)
	}
	doc := form.Doc{"login": login, "name": takeText(p, "name"), "email": email, "groups": take(p, "groups"), "passwordHash": plainHash(hash)}
	i.ignoreRest("static password "+login, p)
	i.add(LocalUsers, login, email, doc)
}

// plainHash decodes a bcrypt hash, which Dex also takes in base64.
func plainHash(hash string) string {
	if strings.HasPrefix(hash, "$") {
		return hash
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		if raw, err := encoding.DecodeString(hash); err == nil {
			return string(raw)
		}
	}
	return hash
}
