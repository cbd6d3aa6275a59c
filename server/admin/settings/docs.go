package settings

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/strictyaml"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Docs are all entries as documents, by kind.
type Docs map[string][]Entry

// Entry is one configured entry as a document in the format of the configuration file.
type Entry struct {
	ID     string
	Doc    form.Doc
	Origin store.Origin
}

// Documents converts rows to documents. The settings of connectors must be decrypted, and the documents contain
// their secrets.
func Documents(set store.Settings) Docs {
	docs := Docs{}
	add := func(kind, id string, origin store.Origin, doc form.Doc) {
		docs[kind] = append(docs[kind], Entry{ID: id, Doc: doc.Compact(), Origin: origin})
	}
	for _, r := range set.Connectors {
		add(Connectors, r.ID, r.Origin, connectorDoc(r))
	}
	for _, r := range set.Clusters {
		add(Clusters, r.ID, r.Origin, clusterDoc(r))
	}
	for _, r := range set.Rules {
		add(Rules, r.ID, r.Origin, ruleDoc(r))
	}
	for _, r := range set.Clients {
		add(Clients, r.ID, r.Origin, clientDoc(r))
	}
	for _, r := range set.Issuers {
		add(Issuers, r.ID, r.Origin, form.Doc{"id": r.ID, "url": r.URL, "audience": r.Audience, "keys": r.KeySet, "ca": r.CA})
	}
	for _, r := range set.Workloads {
		claims := map[string]any{}
		for name, values := range r.Claims {
			claims[name] = texts(values)
		}
		add(Workloads, r.ID, r.Origin, form.Doc{"id": r.ID, "description": r.Description, "issuer": r.IssuerID, "claims": claims, "groups": texts(r.GroupNames)})
	}
	docs[General] = generalDocs(set.Documents)
	for _, r := range set.LocalUsers {
		add(LocalUsers, r.Login, r.Origin, form.Doc{"login": r.Login, "name": r.DisplayName, "email": r.Email, "groups": texts(r.GroupNames)})
	}
	return docs
}

func connectorDoc(r store.Connector) form.Doc {
	doc := form.Doc{"id": r.ID, "type": r.Type, "name": r.Name, "note": r.Note, "hidden": r.Hidden, "secondFactor": r.SecondFactor}
	if !r.Enabled {
		doc["enabled"] = false
	}
	if r.UserPrefix != r.ID+":" {
		doc["userPrefix"] = r.UserPrefix
	}
	if r.GroupPrefix != r.ID+":" {
		doc["groupPrefix"] = r.GroupPrefix
	}
	var config map[string]any
	if json.Unmarshal([]byte(r.Config), &config) == nil {
		doc["config"] = config
	}
	return doc
}

func clusterDoc(r store.Cluster) form.Doc {
	doc := form.Doc{
		"id": r.ID, "name": r.Name, "description": r.Description, "environment": r.Environment, "color": r.Color, "server": r.Server, "ca": r.CA,
		"mode": string(r.Mode), "namespace": r.Namespace, "labels": pairs(r.Labels), "notes": r.Notes, "statusURL": r.StatusURL,
	}
	if r.Audience != "k8s-"+r.ID {
		doc["audience"] = r.Audience
	}
	if r.Algorithm != "RS256" {
		doc["algorithm"] = r.Algorithm
	}
	if r.TokenLife() != defaultTokenLife {
		doc["tokenLife"] = duration(r.TokenLife())
	}
	doc["failClosed"] = r.FailClosed
	for key, seconds := range map[string]int{"staleAfter": r.StaleSeconds, "streamGrace": r.StreamSeconds, "tokenFile": r.TokenFileSeconds} {
		if seconds != 0 {
			doc[key] = duration(time.Duration(seconds) * time.Second)
		}
	}
	return doc
}

// duration formats a duration like the configuration file: "12h", not "12h0m0s".
func duration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}

func ruleDoc(r store.AccessRule) form.Doc {
	return form.Doc{
		"id": r.ID, "description": r.Description, "admin": r.Admin,
		"who": map[string]any{
			"everyone": r.Everyone, "connectors": texts(r.ConnectorIDs), "groups": texts(r.GroupNames), "users": texts(r.UserNames), "domains": texts(r.Domains),
		},
		"clusters": map[string]any{"ids": texts(r.ClusterIDs), "labels": pairs(r.ClusterLabels)},
	}
}

// grantWords returns the grant types in the words of the configuration file.
func grantWords() map[string]string {
	return map[string]string{
		"authorization_code": oauth.GrantAuthorizationCode, "refresh_token": oauth.GrantRefreshToken,
		"client_credentials": oauth.GrantClientCredentials, "device_code": oauth.GrantDeviceCode, "token_exchange": oauth.GrantTokenExchange,
	}
}

func clientDoc(r store.Client) form.Doc {
	words := grantWords()
	var grants []any
	for _, word := range sortedKeys(words) {
		if slices.Contains(r.Grants, words[word]) {
			grants = append(grants, word)
		}
	}
	if slices.Equal(r.Grants, store.Strings{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}) {
		grants = nil // the default
	}
	return form.Doc{
		"id": r.ID, "name": r.Name, "public": r.Public, "pkceOptional": r.PKCEOptional, "redirectURIs": texts(r.RedirectURIs),
		"postLogoutRedirectURIs": texts(r.PostLogoutURIs), "grants": grants, "secretHashes": texts(r.SecretHashes), "secretNotes": secretNotes(r.SecretNotes), "algorithm": r.Algorithm,
		"firstParty": r.FirstParty, "keys": r.KeySet, "backchannelLogoutURI": r.LogoutURI, "groups": texts(r.GroupNames),
	}
}

func secretNotes(list store.SecretNotes) []any {
	var out []any
	for _, n := range list {
		out = append(out, map[string]any(form.Doc{"hash": n.Hash, "label": n.Label, "made": n.Made, "ends": n.Ends}.Compact()))
	}
	return out
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, text := range list {
		out[i] = text
	}
	return out
}

func pairs(labels map[string]string) map[string]any {
	out := map[string]any{}
	for key, value := range labels {
		out[key] = value
	}
	return out
}

// Text returns the documents in the format of the configuration file.
func (d Docs) Text() ([]byte, error) {
	all := map[string]any{}
	for kind, entries := range d {
		list := make([]any, len(entries))
		for i, e := range entries {
			list[i] = map[string]any(e.Doc)
		}
		all[kind] = list
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("encoding configuration: %w", err)
	}
	return text, nil
}

// Read validates documents together and returns their rows. Faults are identified by path, such as
// "clusters[3].server".
func (r *Reader) Read(docs Docs) (store.Settings, *strictyaml.Document) {
	text, err := docs.Text()
	var entries Entries
	r.Doc = strictyaml.Decode("", text, &entries)
	if err != nil {
		r.Doc.Add("", "%v", err)
	}
	if r.Doc.Err() != nil {
		return store.Settings{}, r.Doc
	}
	origins := map[string]store.Origin{}
	for kind, list := range docs {
		for i, e := range list {
			origins[fmt.Sprintf("%s[%d]", kind, i)] = e.Origin
		}
	}
	r.Origin = func(path string) store.Origin { return origins[path] }
	set, _ := r.Rows(&entries) // the document collects the faults
	return set, r.Doc
}
