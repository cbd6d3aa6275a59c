// Package settings is what can be configured, as people write it: the entries of
// the file, which are also those of the pages, the HTTP interface and an export.
// It checks them, all together, and turns them into rows and back. It leaves to
// its callers where the text comes from and to server/base/store where rows go.
package settings

import (
	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/internal/strictyaml"
)

// Entries is everything that can be configured by entry.
type Entries struct {
	Connectors     []Connector `yaml:"connectors"`
	LocalUsers     []LocalUser `yaml:"localUsers"`
	Clusters       []Cluster   `yaml:"clusters"`
	Rules          []Rule      `yaml:"rules"`
	Admins         Admins      `yaml:"admins"`
	Clients        []Client    `yaml:"clients"`
	TrustedIssuers []Issuer    `yaml:"trustedIssuers"`
	Workloads      []Workload  `yaml:"workloads"`
	General        []Setting   `yaml:"general"`
}

// Connector is a way to sign in.
type Connector struct {
	ID          string  `yaml:"id"`
	Type        string  `yaml:"type"`
	Name        string  `yaml:"name"`
	UserPrefix  *string `yaml:"userPrefix"`
	GroupPrefix *string `yaml:"groupPrefix"`
	Hidden      bool    `yaml:"hidden"`
	// Enabled connectors let people sign in; in a file that is the default.
	Enabled *bool `yaml:"enabled"`
	// SecondFactor asks everybody who comes through it for a second factor.
	SecondFactor bool `yaml:"secondFactor"`
	// Note is for the people who configure it.
	Note string `yaml:"note"`
	// Config is what the connector's type declares.
	Config yaml.Node `yaml:"config"`
}

// LocalUser is an account of the local connector.
type LocalUser struct {
	Login        string    `yaml:"login"`
	Name         string    `yaml:"name"`
	Email        string    `yaml:"email"`
	Groups       []string  `yaml:"groups"`
	PasswordHash Reference `yaml:"passwordHash"`
}

// Cluster is a Kubernetes cluster.
type Cluster struct {
	ID          string              `yaml:"id"`
	Name        string              `yaml:"name"`
	Description string              `yaml:"description"`
	Environment string              `yaml:"environment"`
	Color       string              `yaml:"color"`
	Server      string              `yaml:"server"`
	CA          string              `yaml:"ca"`
	Audience    string              `yaml:"audience"`
	Mode        string              `yaml:"mode"`
	Algorithm   string              `yaml:"algorithm"`
	TokenLife   strictyaml.Duration `yaml:"tokenLife"`
	Namespace   string              `yaml:"namespace"`
	Labels      map[string]string   `yaml:"labels"`
	Notes       string              `yaml:"notes"`
	StatusURL   string              `yaml:"statusURL"`
	StaleAfter  strictyaml.Duration `yaml:"staleAfter"`
	FailClosed  bool                `yaml:"failClosed"`
	StreamGrace strictyaml.Duration `yaml:"streamGrace"`
	TokenFile   strictyaml.Duration `yaml:"tokenFile"`
}

// Rule says who may use which clusters, or administer Fairlead.
type Rule struct {
	ID          string   `yaml:"id"`
	Description string   `yaml:"description"`
	Who         Who      `yaml:"who"`
	Clusters    Selector `yaml:"clusters"`
	Admin       bool     `yaml:"admin"`
}

// Who selects people: of these connectors (or any), and everyone, or one of the
// groups, users and domains.
type Who struct {
	Everyone   bool     `yaml:"everyone"`
	Connectors []string `yaml:"connectors"`
	Groups     []string `yaml:"groups"`
	Users      []string `yaml:"users"`
	// Domains are of verified e-mail addresses.
	Domains []string `yaml:"domains"`
}

// Selector selects clusters by id, or by labels, which must all fit.
type Selector struct {
	IDs    []string          `yaml:"ids"`
	Labels map[string]string `yaml:"labels"`
}

// Admins is the short form of a rule for admins, for files.
type Admins struct {
	Groups []string `yaml:"groups"`
	Users  []string `yaml:"users"`
}

// Client is an OIDC relying party.
type Client struct {
	ID           string      `yaml:"id"`
	Name         string      `yaml:"name"`
	Public       bool        `yaml:"public"`
	PKCEOptional bool        `yaml:"pkceOptional"`
	RedirectURIs []string    `yaml:"redirectURIs"`
	PostLogout   []string    `yaml:"postLogoutRedirectURIs"`
	Grants       []string    `yaml:"grants"`
	Secrets      []Reference `yaml:"secrets"`
	// SecretHashes are what fairlead made of secrets: good to compare with, of no
	// use to whoever reads them.
	SecretHashes []string `yaml:"secretHashes"`
	// SecretNotes say what a secret is for and when it ends, by the beginning of its
	// hash.
	SecretNotes []SecretNote `yaml:"secretNotes"`
	Algorithm   string       `yaml:"algorithm"`
	FirstParty  bool         `yaml:"firstParty"`
	Keys        string       `yaml:"keys"`
	LogoutURI   string       `yaml:"backchannelLogoutURI"`
	Groups      []string     `yaml:"groups"`
}

// SecretNote is what is said about a secret. Made and Ends are dates.
type SecretNote struct {
	Hash  string `yaml:"hash"`
	Label string `yaml:"label"`
	Made  string `yaml:"made"`
	Ends  string `yaml:"ends"`
}

// Issuer is a platform whose tokens workloads may exchange.
type Issuer struct {
	ID       string `yaml:"id"`
	URL      string `yaml:"url"`
	Audience string `yaml:"audience"`
	Keys     string `yaml:"keys"`
	CA       string `yaml:"ca"`
}

// Workload says which tokens of a trusted issuer stand for one workload.
type Workload struct {
	ID          string              `yaml:"id"`
	Description string              `yaml:"description"`
	Issuer      string              `yaml:"issuer"`
	Claims      map[string][]string `yaml:"claims"`
	Groups      []string            `yaml:"groups"`
}

// Reference is a text that may be a secret, or, in a file, "env:NAME" or
// "file:PATH" that says where it is. It doesn't print.
type Reference struct{ secret.Value }
