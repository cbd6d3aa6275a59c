package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/internal/strictyaml"
)

// fileConfig is the configuration file. docs/config.md is held equal to it.
type fileConfig struct {
	URL            string           `yaml:"url"`
	Listen         string           `yaml:"listen"`
	TLS            tlsConfig        `yaml:"tls"`
	Telemetry      telemetryConfig  `yaml:"telemetry"`
	Database       databaseConfig   `yaml:"database"`
	DataKeys       []reference      `yaml:"dataKeys"`
	TrustedProxies []string         `yaml:"trustedProxies"`
	Logging        loggingConfig    `yaml:"logging"`
	Brand          string           `yaml:"brand"`
	Contact        string           `yaml:"contact"`
	Demo           bool             `yaml:"demo"`
	Sessions       sessionsConfig   `yaml:"sessions"`
	Upstream       upstreamConfig   `yaml:"upstream"`
	Keys           keysConfig       `yaml:"keys"`
	Kubeconfig     kubeconfigConfig `yaml:"kubeconfig"`
	IssuerCA       reference        `yaml:"issuerCA"`
	Connectors     []connectorEntry `yaml:"connectors"`
	LocalUsers     []localUserEntry `yaml:"localUsers"`
	Clusters       []clusterEntry   `yaml:"clusters"`
	Rules          []ruleEntry      `yaml:"rules"`
	Admins         adminsConfig     `yaml:"admins"`
	Clients        []clientEntry    `yaml:"clients"`
	TrustedIssuers []issuerEntry    `yaml:"trustedIssuers"`
	Machines       []machineEntry   `yaml:"machines"`
	Limits         limitsConfig     `yaml:"limits"`
}

type limitsConfig struct {
	PasswordWindow    strictyaml.Duration `yaml:"passwordWindow"`
	RequestsPerSecond int                 `yaml:"requestsPerSecond"`
}

type issuerEntry struct {
	ID       string    `yaml:"id"`
	URL      string    `yaml:"url"`
	Audience string    `yaml:"audience"`
	Keys     reference `yaml:"keys"`
	CA       reference `yaml:"ca"`
}

type machineEntry struct {
	ID          string              `yaml:"id"`
	Description string              `yaml:"description"`
	Issuer      string              `yaml:"issuer"`
	Claims      map[string][]string `yaml:"claims"`
	Groups      []string            `yaml:"groups"`
}

type tlsConfig struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

type telemetryConfig struct {
	Listen string `yaml:"listen"`
}

type databaseConfig struct {
	Driver         string    `yaml:"driver"`
	Path           string    `yaml:"path"`
	URL            reference `yaml:"url"`
	MaxConnections int       `yaml:"maxConnections"`
	FastSync       bool      `yaml:"fastSync"`
}

type loggingConfig struct {
	Format string `yaml:"format"`
	Level  string `yaml:"level"`
}

type sessionsConfig struct {
	Idle         strictyaml.Duration `yaml:"idle"`
	Absolute     strictyaml.Duration `yaml:"absolute"`
	RefreshGrace strictyaml.Duration `yaml:"refreshGrace"`
}

type upstreamConfig struct {
	MaxAge       strictyaml.Duration `yaml:"maxAge"`
	OutageBudget strictyaml.Duration `yaml:"outageBudget"`
}

type keysConfig struct {
	RotateEvery strictyaml.Duration `yaml:"rotateEvery"`
}

type kubeconfigConfig struct {
	ContextPrefix string `yaml:"contextPrefix"`
}

type connectorEntry struct {
	ID          string    `yaml:"id"`
	Type        string    `yaml:"type"`
	Name        string    `yaml:"name"`
	UserPrefix  *string   `yaml:"userPrefix"`
	GroupPrefix *string   `yaml:"groupPrefix"`
	Hidden      bool      `yaml:"hidden"`
	Config      yaml.Node `yaml:"config"`
}

type localUserEntry struct {
	Login        string    `yaml:"login"`
	Name         string    `yaml:"name"`
	Email        string    `yaml:"email"`
	Groups       []string  `yaml:"groups"`
	PasswordHash reference `yaml:"passwordHash"`
}

type clusterEntry struct {
	ID          string              `yaml:"id"`
	Name        string              `yaml:"name"`
	Description string              `yaml:"description"`
	Environment string              `yaml:"environment"`
	Server      string              `yaml:"server"`
	CA          reference           `yaml:"ca"`
	Audience    string              `yaml:"audience"`
	Mode        string              `yaml:"mode"`
	Algorithm   string              `yaml:"algorithm"`
	TokenLife   strictyaml.Duration `yaml:"tokenLife"`
	Namespace   string              `yaml:"namespace"`
	Labels      map[string]string   `yaml:"labels"`
	StatusURL   string              `yaml:"statusURL"`
}

type ruleEntry struct {
	ID          string         `yaml:"id"`
	Description string         `yaml:"description"`
	Who         whoConfig      `yaml:"who"`
	Clusters    selectorConfig `yaml:"clusters"`
}

type whoConfig struct {
	Everyone   bool     `yaml:"everyone"`
	Connectors []string `yaml:"connectors"`
	Groups     []string `yaml:"groups"`
	Users      []string `yaml:"users"`
}

type selectorConfig struct {
	IDs    []string          `yaml:"ids"`
	Labels map[string]string `yaml:"labels"`
}

type adminsConfig struct {
	Groups []string `yaml:"groups"`
	Users  []string `yaml:"users"`
}

type clientEntry struct {
	ID           string      `yaml:"id"`
	Name         string      `yaml:"name"`
	Public       bool        `yaml:"public"`
	PKCEOptional bool        `yaml:"pkceOptional"`
	RedirectURIs []string    `yaml:"redirectURIs"`
	PostLogout   []string    `yaml:"postLogoutRedirectURIs"`
	Grants       []string    `yaml:"grants"`
	Secrets      []reference `yaml:"secrets"`
	Algorithm    string      `yaml:"algorithm"`
	FirstParty   bool        `yaml:"firstParty"`
	Keys         reference   `yaml:"keys"`
	LogoutURI    string      `yaml:"backchannelLogoutURI"`
	Groups       []string    `yaml:"groups"`
}

// reference is a text, or "env:NAME" or "file:PATH" that says where it is. It
// may be a secret and doesn't print.
type reference struct{ secret.Value }

// config is a loaded file with the references resolved.
type config struct {
	fileConfig
	doc  *strictyaml.Document
	file string
	url  *url.URL
}

// maxFile bounds the configuration file in bytes.
const maxFile = 8 << 20

// loadConfig reads and checks a file. The error lists every fault.
func loadConfig(file string) (*config, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("reading configuration: %s has %d bytes, at most %d", file, len(text), maxFile)
	}
	c := &config{file: file}
	c.doc = strictyaml.Decode(filepath.Base(file), text, &c.fileConfig)
	if err := c.doc.Err(); err != nil {
		return nil, err
	}
	c.setDefaults()
	c.check()
	if err := c.doc.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *config) setDefaults() {
	for value, fallback := range map[*string]string{
		&c.Listen: "127.0.0.1:8080", &c.Database.Driver: "sqlite", &c.Logging.Format: "json", &c.Logging.Level: "info", &c.Brand: "Fairlead",
	} {
		if *value == "" {
			*value = fallback
		}
	}
}

func (c *config) check() {
	c.checkURL()
	c.checkDatabase()
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		c.doc.Add("tls", "certificate and key belong together: set both or none")
	}
	for i, text := range c.TrustedProxies {
		if _, err := netip.ParsePrefix(text); err != nil {
			c.doc.Add(fmt.Sprintf("trustedProxies[%d]", i), "want a network such as 10.0.0.0/8, got %q", text)
		}
	}
	if c.Demo && (c.url == nil || !isLoopback(c.url.Hostname()) || !strings.HasPrefix(c.Listen, "127.0.0.1:")) {
		c.doc.Add("demo", "a demo has accounts that everybody knows: url and listen must be on loopback")
	}
	if prefix := c.Kubeconfig.ContextPrefix; prefix != "" && !slug.MatchString(strings.TrimRight(prefix, "-")) {
		c.doc.Add("kubeconfig.contextPrefix", "want lower-case letters, digits and dashes, such as acme-")
	}
	for i := range c.DataKeys {
		c.resolve(fmt.Sprintf("dataKeys[%d]", i), &c.DataKeys[i])
	}
	c.resolve("issuerCA", &c.IssuerCA)
	c.checkPEM("issuerCA", c.IssuerCA)
	if c.Limits.RequestsPerSecond < 0 {
		c.doc.Add("limits.requestsPerSecond", "want a number of requests, got %d", c.Limits.RequestsPerSecond)
	}
}

func (c *config) checkURL() {
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		c.doc.Add("url", "is missing: the address that people open, such as https://login.example.com")
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(c.URL, "/"):
		c.doc.Add("url", "want an address without a slash at the end, such as https://login.example.com")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		c.doc.Add("url", "http would send passwords in clear: use https (http is for loopback only)")
	case u.Scheme != "http" && u.Scheme != "https":
		c.doc.Add("url", "want https://…, got %q", c.URL)
	default:
		c.url = u
	}
}

func (c *config) checkDatabase() {
	c.resolve("database.url", &c.Database.URL)
	switch c.Database.Driver {
	case "sqlite":
		if c.Database.Path == "" {
			c.doc.Add("database.path", "is missing: the file of the database, such as /var/lib/fairlead/fairlead.db")
		}
	case "postgres":
		if c.Database.URL.Empty() {
			c.doc.Add("database.url", "is missing: name it with env:NAME or file:PATH")
		}
		if len(c.DataKeys) == 0 {
			c.doc.Add("dataKeys", "is missing: with PostgreSQL every replica needs the same key; make one with: fairlead datakey")
		}
	default:
		c.doc.Add("database.driver", "want sqlite or postgres, got %q", c.Database.Driver)
	}
}

// resolve replaces "env:NAME" and "file:PATH" by what is there.
func (c *config) resolve(path string, ref *reference) {
	text, err := resolveText(ref.Reveal())
	if err != nil {
		c.doc.Add(path, "%v", err)
		text = "" // one fault is enough: what the reference says is not what it stands for
	}
	ref.Value = secret.NewValue(text)
}

func resolveText(text string) (string, error) {
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		value, set := os.LookupEnv(name)
		if !set {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		return value, nil
	}
	if file, ok := strings.CutPrefix(text, "file:"); ok {
		body, err := os.ReadFile(file) //nolint:gosec // the operator names the file
		if err != nil {
			return "", fmt.Errorf("can't be read: %w", err)
		}
		return strings.TrimRight(string(body), "\r\n"), nil
	}
	return text, nil
}

// isReference reports whether text says where a secret is.
func isReference(text string) bool {
	return strings.HasPrefix(text, "env:") || strings.HasPrefix(text, "file:")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
