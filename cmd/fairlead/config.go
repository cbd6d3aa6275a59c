package main

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/brand"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/internal/strictyaml"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// fileConfig is the configuration file. A test compares it with docs/config.md.
type fileConfig struct {
	URL            string               `yaml:"url"`
	Listen         string               `yaml:"listen"`
	TLS            tlsConfig            `yaml:"tls"`
	Telemetry      telemetryConfig      `yaml:"telemetry"`
	Database       databaseConfig       `yaml:"database"`
	DataKeys       []reference          `yaml:"dataKeys"`
	TrustedProxies []string             `yaml:"trustedProxies"`
	Logging        loggingConfig        `yaml:"logging"`
	Brand          string               `yaml:"brand"`
	Contact        string               `yaml:"contact"`
	Notice         string               `yaml:"notice"`
	Logo           reference            `yaml:"logo"`
	Color          string               `yaml:"color"`
	ColorDark      string               `yaml:"colorDark"`
	Demo           bool                 `yaml:"demo"`
	Sessions       sessionsConfig       `yaml:"sessions"`
	Upstream       upstreamConfig       `yaml:"upstream"`
	Keys           keysConfig           `yaml:"keys"`
	Kubeconfig     kubeconfigConfig     `yaml:"kubeconfig"`
	IssuerCA       reference            `yaml:"issuerCA"`
	Connectors     []settings.Connector `yaml:"connectors"`
	LocalUsers     []settings.LocalUser `yaml:"localUsers"`
	Clusters       []settings.Cluster   `yaml:"clusters"`
	Rules          []settings.Rule      `yaml:"rules"`
	Admins         settings.Admins      `yaml:"admins"`
	Clients        []settings.Client    `yaml:"clients"`
	TrustedIssuers []settings.Issuer    `yaml:"trustedIssuers"`
	Workloads      []settings.Workload  `yaml:"workloads"`
	Limits         limitsConfig         `yaml:"limits"`
	Recordings     recordingsConfig     `yaml:"recordings"`
	Plugins        string               `yaml:"plugins"`
	UI             uiConfig             `yaml:"ui"`
}

type uiConfig struct {
	ReadOnly bool `yaml:"readOnly"`
}

// recordingsConfig limits how long recordings are kept, and their size for each cluster.
type recordingsConfig struct {
	Days         int   `yaml:"days"`
	MaxMegabytes int64 `yaml:"maxMegabytes"`
}

type limitsConfig struct {
	PasswordWindow    strictyaml.Duration `yaml:"passwordWindow"`
	RequestsPerSecond int                 `yaml:"requestsPerSecond"`
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
	// WithoutRefresh is "keep" or "signInAgain".
	WithoutRefresh string `yaml:"withoutRefresh"`
}

type keysConfig struct {
	RotateEvery strictyaml.Duration `yaml:"rotateEvery"`
}

type kubeconfigConfig struct {
	ContextPrefix string `yaml:"contextPrefix"`
	SetupCodes    bool   `yaml:"setupCodes"`
}

// reference is a text, "env:NAME" or "file:PATH". It may be a secret and never prints its value.
type reference struct{ secret.Value }

// config is the loaded configuration with resolved references.
type config struct {
	fileConfig
	doc  *strictyaml.Document
	file string
	// sum is the fingerprint of the file, from before it was read.
	sum [sha256.Size]byte
	url *url.URL
}

// maxFile bounds the configuration file in bytes.
const maxFile = 8 << 20

// loadConfig reads and validates a file. The error lists every fault.
func loadConfig(file string) (*config, error) {
	sum := fingerprint(file)
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("reading configuration: %s has %d bytes, at most %d", file, len(text), maxFile)
	}
	c := &config{file: file, sum: sum}
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

// settings converts the file's entries to rows. The error lists every fault.
func (c *config) settings(types map[string]connectors.Type) (store.Settings, error) {
	reader := &settings.Reader{
		Doc: c.doc, Types: types, URL: c.URL, Resolve: resolveText,
		Origin: func(path string) store.Origin {
			return store.Origin{Origin: store.OriginFile, OriginRef: fmt.Sprintf("%s:%d", filepath.Base(c.file), c.doc.Line(path))}
		},
	}
	return reader.Rows(&settings.Entries{
		Connectors: c.Connectors, LocalUsers: c.LocalUsers, Clusters: c.Clusters, Rules: c.Rules, Admins: c.Admins,
		Clients: c.Clients, TrustedIssuers: c.TrustedIssuers, Workloads: c.Workloads,
	})
}

// live returns the file's values for settings that the pages can change as well.
func (c *config) live() *runtimesettings.Settings {
	return runtimesettings.New(runtimesettings.Values{
		IdleTimeout: time.Duration(c.Sessions.Idle), AbsoluteTimeout: time.Duration(c.Sessions.Absolute), RefreshGrace: time.Duration(c.Sessions.RefreshGrace),
		UpstreamMaxAge: time.Duration(c.Upstream.MaxAge), OutageBudget: time.Duration(c.Upstream.OutageBudget), WithoutRefresh: c.Upstream.WithoutRefresh, Brand: c.Brand, Contact: c.Contact,
		Notice: c.Notice, Logo: c.Logo.Reveal(), Color: c.Color, ColorDark: c.ColorDark,
	})
}

// plugins returns the folder with the kubectl plugin for each system: the configured one, or the one beside this
// program.
func (c *config) plugins() string {
	if c.Plugins != "" {
		return c.Plugins
	}
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Join(filepath.Dir(self), "plugins")
}

func (c *config) setDefaults() {
	for value, fallback := range map[*string]string{
		&c.Listen: "127.0.0.1:8080", &c.Database.Driver: "sqlite", &c.Logging.Format: "json", &c.Logging.Level: "info",
	} {
		if *value == "" {
			*value = fallback
		}
	}
}

func (c *config) checkLimits() {
	if c.Recordings.Days < 0 || c.Recordings.MaxMegabytes < 0 {
		c.doc.Add("recordings", "must have days and maxMegabytes of 1 or more")
	}
	if keep := c.Upstream.WithoutRefresh; keep != "" && keep != runtimesettings.KeepAccess && keep != runtimesettings.SignInAgain {
		c.doc.Add("upstream.withoutRefresh", "must be %s or %s, not %q", runtimesettings.KeepAccess, runtimesettings.SignInAgain, keep)
	}
	if c.Limits.RequestsPerSecond < 0 {
		c.doc.Add("limits.requestsPerSecond", "must be a number of requests, not %d", c.Limits.RequestsPerSecond)
	}
}

func (c *config) check() {
	c.checkURL()
	c.checkDatabase()
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		c.doc.Add("tls", "must have both certificate and key, or neither")
	}
	for i, text := range c.TrustedProxies {
		if _, err := netip.ParsePrefix(text); err != nil {
			c.doc.Add(fmt.Sprintf("trustedProxies[%d]", i), "must be a network such as 10.0.0.0/8, not %q", text)
		}
	}
	if c.Demo && (c.url == nil || !isLoopback(c.url.Hostname()) || !strings.HasPrefix(c.Listen, "127.0.0.1:")) {
		c.doc.Add("demo", "must be false unless url and listen are on loopback: the passwords of a demo are public")
	}
	if prefix := c.Kubeconfig.ContextPrefix; prefix != "" && !settings.Slug(strings.TrimRight(prefix, "-")) {
		c.doc.Add("kubeconfig.contextPrefix", "must have lower-case letters, digits and dashes, such as acme-")
	}
	for i := range c.DataKeys {
		c.resolve(fmt.Sprintf("dataKeys[%d]", i), &c.DataKeys[i])
	}
	c.checkIssuerCA()
	c.checkBrand()
	c.checkLimits()
}

func (c *config) checkBrand() {
	c.resolve("logo", &c.Logo)
	for _, fault := range brand.Faults(c.Logo.Reveal(), c.Color, c.ColorDark) {
		c.doc.Add(fault.Key, "%v", fault.Err)
	}
}

func (c *config) checkIssuerCA() {
	c.resolve("issuerCA", &c.IssuerCA)
	if text := c.IssuerCA.Reveal(); text != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
		c.doc.Add("issuerCA", "must be a certificate in PEM format")
	}
}

func (c *config) checkURL() {
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		c.doc.Add("url", "is required: set the address that users open, such as https://login.example.com")
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(c.URL, "/"):
		c.doc.Add("url", "must be an address without a slash at the end, such as https://login.example.com")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		c.doc.Add("url", "must start with https, because http sends passwords unencrypted. Use http on loopback only")
	case u.Scheme != "http" && u.Scheme != "https":
		c.doc.Add("url", "must start with https://, not %q", c.URL)
	default:
		c.url = u
	}
}

func (c *config) checkDatabase() {
	c.resolve("database.url", &c.Database.URL)
	switch c.Database.Driver {
	case "sqlite":
		if c.Database.Path == "" {
			c.doc.Add("database.path", "is required: set the file of the database, such as /var/lib/fairlead/fairlead.db")
		}
	case "postgres":
		if c.Database.URL.Empty() {
			c.doc.Add("database.url", "is required: set it to env:NAME or file:PATH")
		}
		if len(c.DataKeys) == 0 {
			c.doc.Add("dataKeys", "is required: with PostgreSQL every replica needs the same key. Create one with: fairlead datakey")
		}
	default:
		c.doc.Add("database.driver", "must be sqlite or postgres, not %q", c.Database.Driver)
	}
}

// resolve replaces "env:NAME" and "file:PATH" with their values.
func (c *config) resolve(path string, ref *reference) {
	text, err := resolveText(ref.Reveal())
	if err != nil {
		c.doc.Add(path, "%v", err)
		text = "" // one fault is enough: the value of a broken reference is unknown
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

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
