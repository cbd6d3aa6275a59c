// Package settings defines the configured entries (connectors, clusters, rules, clients and so on) as the
// configuration file, the admin pages, the JSON API and an export write them. It validates entries together and
// converts them to rows of server/base/store and back.
package settings

import (
	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/internal/strictyaml"
)

// Entries are all configured entries.
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

// Connector is a source of identities.
type Connector struct {
	ID          string  `yaml:"id"`
	Type        string  `yaml:"type"`
	Name        string  `yaml:"name"`
	UserPrefix  *string `yaml:"userPrefix"`
	GroupPrefix *string `yaml:"groupPrefix"`
	Hidden      bool    `yaml:"hidden"`
	// Enabled connectors are on the sign-in page. In a configuration file true is the default.
	Enabled *bool `yaml:"enabled"`
	// SecondFactor requires every user of the connector to pass a second factor.
	SecondFactor bool `yaml:"secondFactor"`
	// Note is for admins.
	Note string `yaml:"note"`
	// Config holds the settings that the connector's type declares.
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

// Rule allows users to use clusters, or to administer Fairlead.
type Rule struct {
	ID          string          `yaml:"id"`
	Description string          `yaml:"description"`
	Who         UserSelector    `yaml:"who"`
	Clusters    ClusterSelector `yaml:"clusters"`
	Admin       bool            `yaml:"admin"`
}

// UserSelector selects users: of these connectors (or any), and everyone, or those of one of the groups, user names and
// domains.
type UserSelector struct {
	Everyone   bool     `yaml:"everyone"`
	Connectors []string `yaml:"connectors"`
	Groups     []string `yaml:"groups"`
	Users      []string `yaml:"users"`
	// Domains are domains of verified e-mail addresses.
	Domains []string `yaml:"domains"`
}

// ClusterSelector selects clusters by id, or by labels, which must all match.
type ClusterSelector struct {
	IDs    []string          `yaml:"ids"`
	Labels map[string]string `yaml:"labels"`
}

// Admins is the short form of an admin rule, for configuration files.
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
	// SecretHashes are hashes of secrets. They verify a secret and do not reveal it.
	SecretHashes []string `yaml:"secretHashes"`
	// SecretNotes describe secrets, by the start of their hash.
	SecretNotes []SecretNote `yaml:"secretNotes"`
	Algorithm   string       `yaml:"algorithm"`
	FirstParty  bool         `yaml:"firstParty"`
	Keys        string       `yaml:"keys"`
	LogoutURI   string       `yaml:"backchannelLogoutURI"`
	Groups      []string     `yaml:"groups"`
}

// SecretNote describes a secret. Made and Ends are dates.
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

// Workload maps tokens of a trusted issuer to one workload.
type Workload struct {
	ID          string              `yaml:"id"`
	Description string              `yaml:"description"`
	Issuer      string              `yaml:"issuer"`
	Claims      map[string][]string `yaml:"claims"`
	Groups      []string            `yaml:"groups"`
}

// Reference is a text that may be a secret. In a configuration file it may be "env:NAME" or "file:PATH". It never
// prints its value.
type Reference struct{ secret.Value }
