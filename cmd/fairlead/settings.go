package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/names"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/clients"
	"github.com/fairlead-auth/fairlead/server/machine"
	"github.com/fairlead-auth/fairlead/server/store"
)

var slug = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Limits of a token's life at clusters.
const (
	minTokenLife     = 5 * time.Minute
	maxTokenLife     = time.Hour
	defaultTokenLife = 10 * time.Minute
)

// settings turns the file's entries into rows and adds every fault.
func (c *config) settings(types map[string]connectors.Type) (store.Settings, error) {
	set := store.Settings{
		Connectors: c.connectorRows(types),
		LocalUsers: c.localUserRows(),
		Clusters:   c.clusterRows(),
	}
	set.Rules = append(c.ruleRows(set), c.adminRows()...)
	set.Clients = c.clientRows(set)
	set.Issuers = c.issuerRows()
	set.Machines = c.machineRows()
	if err := c.doc.Err(); err != nil {
		return store.Settings{}, err
	}
	return set, nil
}

func (c *config) origin(path string) store.Origin {
	return store.Origin{Origin: store.OriginFile, OriginRef: fmt.Sprintf("%s:%d", filepath.Base(c.file), c.doc.Line(path))}
}

// ids adds a fault for every id that is no slug or there twice.
type ids struct {
	c    *config
	seen map[string]bool
}

func (s *ids) check(path, id string) {
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	switch {
	case !slug.MatchString(id):
		s.c.doc.Add(path, "want lower-case letters, digits and dashes, at most 63, got %q", id)
	case s.seen[id]:
		s.c.doc.Add(path, "%q is there twice", id)
	}
	s.seen[id] = true
}

func (c *config) connectorRows(types map[string]connectors.Type) []store.Connector {
	var rows []store.Connector
	seen := ids{c: c}
	for i, e := range c.Connectors {
		path := fmt.Sprintf("connectors[%d]", i)
		seen.check(path+".id", e.ID)
		if e.ID == machine.Workloads || e.ID == machine.Services {
			c.doc.Add(path+".id", "%q is what machines are called: choose another", e.ID)
		}
		row := store.Connector{
			ID: e.ID, Type: e.Type, Name: orElse(e.Name, e.ID), Position: i, Hidden: e.Hidden,
			UserPrefix: e.ID + ":", GroupPrefix: e.ID + ":", Origin: c.origin(path),
		}
		for prefix, given := range map[*string]*string{&row.UserPrefix: e.UserPrefix, &row.GroupPrefix: e.GroupPrefix} {
			if given != nil {
				*prefix = *given
			}
			if *prefix != "" && names.Check(*prefix+"x") != nil {
				c.doc.Add(path, "the prefix %q makes names that clusters must not see", *prefix)
			}
		}
		kind, known := types[e.Type]
		if !known {
			c.doc.Add(path+".type", "want one of %s, got %q", strings.Join(sortedKeys(types), ", "), e.Type)
			continue
		}
		row.Config = c.connectorConfig(&c.Connectors[i], kind, path+".config")
		rows = append(rows, row)
	}
	return rows
}

// connectorConfig checks a connector's own settings and returns them as JSON,
// with their secrets.
func (c *config) connectorConfig(e *connectorEntry, kind connectors.Type, path string) string {
	cfg := kind.Config()
	if !c.doc.Sub(&e.Config, path, cfg) {
		return ""
	}
	c.reveal(reflect.ValueOf(cfg).Elem(), kind, path)
	for _, p := range cfg.Validate() {
		c.doc.Add(path+"."+p.Field, "%s", p.Message)
	}
	body, err := json.Marshal(inClear(reflect.ValueOf(cfg).Elem()))
	if err != nil {
		c.doc.Add(path, "%v", err)
	}
	return string(body)
}

// reveal resolves the references of secrets and certificates.
func (c *config) reveal(v reflect.Value, kind connectors.Type, path string) {
	for f := range v.Type().Fields() {
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		field := v.FieldByIndex(f.Index)
		switch value := field.Interface().(type) {
		case secret.Value:
			ref := reference{value}
			if text := value.Reveal(); text != "" && !isReference(text) {
				c.doc.Add(path+"."+name, "a secret must not be in this file: name it with env:NAME or file:PATH")
			}
			c.resolve(path+"."+name, &ref)
			field.Set(reflect.ValueOf(ref.Value))
		case string:
			if isPEM(kind, name) {
				ref := reference{secret.NewValue(value)}
				c.resolve(path+"."+name, &ref)
				field.SetString(ref.Reveal())
			}
		}
	}
}

func isPEM(kind connectors.Type, key string) bool {
	return slices.ContainsFunc(kind.Fields, func(f connectors.Field) bool { return f.Key == key && f.Kind == connectors.FieldPEM })
}

// inClear returns a struct as a map with its secrets in clear, to be sealed.
func inClear(v reflect.Value) map[string]any {
	out := map[string]any{}
	for f := range v.Type().Fields() {
		if name := f.Tag.Get("json"); name != "" {
			out[name] = v.FieldByIndex(f.Index).Interface()
			if s, ok := out[name].(secret.Value); ok {
				out[name] = s.Reveal()
			}
		}
	}
	return out
}

func (c *config) localUserRows() []store.LocalUser {
	var rows []store.LocalUser
	hasLocal := slices.ContainsFunc(c.Connectors, func(e connectorEntry) bool { return e.Type == "local" })
	if len(c.LocalUsers) > 0 && !hasLocal {
		c.doc.Add("localUsers", "nobody could sign in with them: add a connector of type local")
	}
	seen := map[string]bool{}
	for i, e := range c.LocalUsers {
		path := fmt.Sprintf("localUsers[%d]", i)
		if err := names.Check(e.Login); err != nil {
			c.doc.Add(path+".login", "%v", err)
		}
		if seen[names.Key(e.Login)] {
			c.doc.Add(path+".login", "%q is there twice", e.Login)
		}
		seen[names.Key(e.Login)] = true
		c.resolve(path+".passwordHash", &e.PasswordHash)
		if err := password.Valid(e.PasswordHash.Reveal()); err != nil {
			c.doc.Add(path+".passwordHash", "%v; make one with: fairlead user hash", err)
		}
		for j, group := range e.Groups {
			if err := names.Check(group); err != nil {
				c.doc.Add(fmt.Sprintf("%s.groups[%d]", path, j), "%v", err)
			}
		}
		rows = append(rows, store.LocalUser{
			Login: e.Login, DisplayName: e.Name, Email: e.Email, GroupNames: e.Groups,
			FileHash: e.PasswordHash.Reveal(), Origin: c.origin(path),
		})
	}
	return rows
}

func (c *config) clusterRows() []store.Cluster {
	var rows []store.Cluster
	seen, audiences := ids{c: c}, map[string]bool{clients.Plugin: true}
	for i, e := range c.Clusters {
		path := fmt.Sprintf("clusters[%d]", i)
		seen.check(path+".id", e.ID)
		c.resolve(path+".ca", &e.CA)
		c.checkPEM(path+".ca", e.CA)
		row := store.Cluster{
			ID: e.ID, Name: orElse(e.Name, e.ID), Description: e.Description, Environment: e.Environment, Server: e.Server,
			CA: e.CA.Reveal(), Audience: orElse(e.Audience, "k8s-"+e.ID), Mode: store.AccessMode(orElse(e.Mode, string(store.ModeProxy))),
			Algorithm: orElse(e.Algorithm, "RS256"), TokenSeconds: int(time.Duration(e.TokenLife).Seconds()), Namespace: e.Namespace,
			Labels: e.Labels, StatusURL: e.StatusURL, Origin: c.origin(path),
		}
		if e.TokenLife == 0 {
			row.TokenSeconds = int(defaultTokenLife.Seconds())
		}
		if audiences[row.Audience] {
			c.doc.Add(path+".audience", "%q is taken: a token must be good for one cluster only", row.Audience)
		}
		audiences[row.Audience] = true
		c.checkCluster(path, &row)
		rows = append(rows, row)
	}
	return rows
}

func (c *config) checkCluster(path string, row *store.Cluster) {
	u, err := url.Parse(row.Server)
	switch {
	case err != nil || u.Host == "":
		c.doc.Add(path+".server", "want the address that kubectl should use, such as https://k8s.example.com:6443, got %q", row.Server)
	case u.Scheme != "https":
		c.doc.Add(path+".server", "want https: with any other address kubectl drops the token without a word")
	}
	if row.Mode != store.ModeProxy && row.Mode != store.ModeDirect {
		c.doc.Add(path+".mode", "want proxy or direct, got %q", row.Mode)
	}
	c.checkAlgorithm(path+".algorithm", row.Algorithm)
	if life := row.TokenLife(); life < minTokenLife || life > maxTokenLife {
		c.doc.Add(path+".tokenLife", "want %v to %v", minTokenLife, maxTokenLife)
	}
	if row.Namespace != "" && !slug.MatchString(row.Namespace) {
		c.doc.Add(path+".namespace", "is not a name of a namespace: %q", row.Namespace)
	}
}

func (c *config) checkAlgorithm(path, name string) {
	switch name {
	case "", "RS256", "ES256":
	case "EdDSA":
		c.doc.Add(path, "no Kubernetes API server accepts EdDSA: use RS256 or ES256")
	default:
		c.doc.Add(path, "want RS256 or ES256, got %q", name)
	}
}

func (c *config) checkPEM(path string, ref reference) {
	if text := ref.Reveal(); text != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
		c.doc.Add(path, "holds no certificate in PEM form")
	}
}

func (c *config) ruleRows(set store.Settings) []store.AccessRule {
	var rows []store.AccessRule
	seen := ids{c: c}
	for i, e := range c.Rules {
		path := fmt.Sprintf("rules[%d]", i)
		seen.check(path+".id", e.ID)
		if !e.Who.Everyone && len(e.Who.Groups) == 0 && len(e.Who.Users) == 0 {
			c.doc.Add(path+".who", "covers nobody: name groups or users, or everyone: true")
		}
		if len(e.Clusters.IDs) == 0 && len(e.Clusters.Labels) == 0 {
			c.doc.Add(path+".clusters", "covers no cluster: name ids or labels")
		}
		for j, id := range e.Clusters.IDs {
			if id != "*" && !slices.ContainsFunc(set.Clusters, func(row store.Cluster) bool { return row.ID == id }) {
				c.doc.Add(fmt.Sprintf("%s.clusters.ids[%d]", path, j), "there is no cluster %q", id)
			}
		}
		for j, id := range e.Who.Connectors {
			if !slices.ContainsFunc(c.Connectors, func(row connectorEntry) bool { return row.ID == id }) {
				c.doc.Add(fmt.Sprintf("%s.who.connectors[%d]", path, j), "there is no connector %q", id)
			}
		}
		rows = append(rows, store.AccessRule{
			ID: e.ID, Position: i, Description: orElse(e.Description, "Rule "+e.ID), Everyone: e.Who.Everyone,
			ConnectorIDs: e.Who.Connectors, GroupNames: e.Who.Groups, UserNames: e.Who.Users,
			ClusterIDs: e.Clusters.IDs, ClusterLabels: e.Clusters.Labels, Origin: c.origin(path),
		})
	}
	return rows
}

// adminRows makes the rule of who administers Fairlead. Its id can't clash: it
// is no slug.
func (c *config) adminRows() []store.AccessRule {
	if len(c.Admins.Groups) == 0 && len(c.Admins.Users) == 0 {
		return nil
	}
	return []store.AccessRule{{
		ID: "admins of the file", Description: "Admins", Admin: true, GroupNames: c.Admins.Groups, UserNames: c.Admins.Users, Origin: c.origin("admins"),
	}}
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
