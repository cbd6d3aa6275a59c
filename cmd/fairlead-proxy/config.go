package main

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fairlead-auth/fairlead/internal/strictyaml"
	"github.com/fairlead-auth/fairlead/proxy/authenticationconfig"
	"github.com/fairlead-auth/fairlead/proxy/kubeaudit"
)

// config is the configuration file. docs/config.md is held equal to it.
type config struct {
	Listen   string              `yaml:"listen"`
	TLS      tlsConfig           `yaml:"tls"`
	Server   serverConfig        `yaml:"server"`
	State    string              `yaml:"state"`
	Cluster  string              `yaml:"cluster"`
	Issuer   issuerConfig        `yaml:"issuer"`
	Audience string              `yaml:"audience"`
	Upstream upstreamConfig      `yaml:"upstream"`
	Health   healthConfig        `yaml:"health"`
	Logging  loggingConfig       `yaml:"logging"`
	Drain    strictyaml.Duration `yaml:"drain"`
	Audit    auditConfig         `yaml:"audit"`

	Recording recordingConfig `yaml:"recording"`
	Limits    limitsConfig    `yaml:"limits"`

	Authentication authenticationConfig `yaml:"authentication"`

	TrustedProxies    []string `yaml:"trustedProxies"`
	SendClientAddress bool     `yaml:"sendClientAddress"`
	AccessHint        bool     `yaml:"accessHint"`

	trusted []netip.Prefix

	issuerCAs *x509.CertPool
}

type tlsConfig struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// serverConfig is the sign-in server that the proxy enrols at. It says the rest: issuer,
// audience, cluster.
type serverConfig struct {
	URL string `yaml:"url"`
	CA  string `yaml:"ca"`
}

type issuerConfig struct {
	URL string `yaml:"url"`
	CA  string `yaml:"ca"`
}

type upstreamConfig struct {
	Kubeconfig string `yaml:"kubeconfig"`
	Context    string `yaml:"context"`
}

type healthConfig struct {
	Listen string `yaml:"listen"`
}

type loggingConfig struct {
	Format string `yaml:"format"`
	Level  string `yaml:"level"`
}

// auditConfig is what the proxy writes down, in events of audit.k8s.io/v1.
type auditConfig struct {
	Policy    string          `yaml:"policy"`
	File      auditFileConfig `yaml:"file"`
	Webhook   string          `yaml:"webhook"`
	OnFailure string          `yaml:"onFailure"`
	Commands  bool            `yaml:"commands"`
	Server    string          `yaml:"server"`

	policy kubeaudit.Policy
}

type auditFileConfig struct {
	Path         string `yaml:"path"`
	MaxMegabytes int    `yaml:"maxMegabytes"`
	MaxFiles     int    `yaml:"maxFiles"`
	MaxDays      int    `yaml:"maxDays"`
	Compress     bool   `yaml:"compress"`
}

// authenticationConfig is who is let in besides the people of the sign-in server.
type authenticationConfig struct {
	File            string   `yaml:"file"`
	ServiceAccounts bool     `yaml:"serviceAccounts"`
	Audiences       []string `yaml:"audiences"`
}

type limitsConfig struct {
	StreamsPerUser int `yaml:"streamsPerPerson"`
}

// recordingConfig is whether shells are recorded, and where. Off without a directory.
type recordingConfig struct {
	Dir          string `yaml:"dir"`
	Stdin        bool   `yaml:"stdin"`
	OnFailure    string `yaml:"onFailure"`
	MaxMegabytes int    `yaml:"maxMegabytes"`
	MaxDays      int    `yaml:"maxDays"`
	Upload       bool   `yaml:"upload"`
}

// The choices of onFailure and audit.server.
const (
	failureRefuse   = "refuse"
	failureContinue = "continue"
	auditNotable    = "notable"
	auditAll        = "all"
	auditNone       = "nothing"
)

const defaultDrain = strictyaml.Duration(30 * time.Second)

// source is where the configuration comes from: a file, and the sign-in server when the
// command line names it.
type configSource struct{ file, server string }

// load reads and checks it. The error lists every fault.
func (s *configSource) load() (*config, error) {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	c := &config{
		Listen: "0.0.0.0:8443", Health: healthConfig{Listen: "127.0.0.1:8081"},
		Logging: loggingConfig{Format: "json", Level: "info"}, Drain: defaultDrain,
		Audit:     auditConfig{OnFailure: failureContinue, Server: auditNotable, File: auditFileConfig{MaxMegabytes: 100, MaxFiles: 10}},
		Limits:    limitsConfig{StreamsPerUser: 1000},
		Recording: recordingConfig{OnFailure: failureRefuse, MaxMegabytes: 100, MaxDays: 90, Upload: true},
	}
	doc := strictyaml.Decode(filepath.Base(s.file), text, c)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	if s.server != "" {
		if c.Server.URL != "" && c.Server.URL != s.server {
			doc.Add("server.url", "is %s, and --server says %s: leave one out", c.Server.URL, s.server)
		}
		c.Server.URL = s.server
	}
	c.check(doc)
	return c, doc.Err()
}

func (c *config) check(doc *strictyaml.Document) {
	if c.TLS.Certificate == "" || c.TLS.Key == "" {
		doc.Add("tls", "certificate and key are needed: kubectl sends no token without TLS")
	}
	if c.Limits.StreamsPerUser < 0 {
		doc.Add("limits.streamsPerPerson", "want 0 (no limit) or more")
	}
	c.checkClientAddress(doc)
	if f := c.Authentication.File; f != "" {
		if _, err := authenticationconfig.Load(f, "", time.Now, slog.New(slog.DiscardHandler)); err != nil {
			doc.Add("authentication.file", "%v", err)
		}
	}
	c.Audit.check(doc)
	c.checkRecording(doc)
	if c.Server.URL == "" {
		if c.Audience == "" {
			doc.Add("audience", "is missing: the cluster's audience, such as k8s-prod; or set server.url and enrol")
		}
		c.checkAddress(doc, "issuer.url", c.Issuer.URL)
		c.loadCA(doc, "issuer.ca", c.Issuer.CA)
		return
	}
	if c.State == "" {
		doc.Add("state", "is missing: a directory that lasts, for the proxy's identity and what it knows")
	}
	for key, value := range map[string]string{"issuer.url": c.Issuer.URL, "issuer.ca": c.Issuer.CA, "audience": c.Audience, "cluster": c.Cluster} {
		if value != "" {
			doc.Add(key, "comes from the server that the proxy enrols at: remove it, or server")
		}
	}
	c.checkAddress(doc, "server.url", c.Server.URL)
	c.loadCA(doc, "server.ca", c.Server.CA)
}

func (a *auditConfig) check(doc *strictyaml.Document) {
	if a.OnFailure != failureRefuse && a.OnFailure != failureContinue {
		doc.Add("audit.onFailure", "want refuse or continue, got %q", a.OnFailure)
	}
	if !slices.Contains([]string{auditNotable, auditAll, auditNone}, a.Server) {
		doc.Add("audit.server", "want notable, all or nothing, got %q", a.Server)
	}
	if a.OnFailure == failureRefuse && a.File.Path == "" {
		doc.Add("audit.onFailure", "refuse needs audit.file.path: what a webhook will get is not known before a request is done")
	}
	a.policy = kubeaudit.MetadataPolicy()
	if a.Policy != "" {
		var err error
		if a.policy, err = kubeaudit.ReadPolicy(a.Policy); err != nil {
			doc.Add("audit.policy", "%v", err)
		}
	}
	if a.Policy != "" && a.File.Path == "" && a.Webhook == "" {
		doc.Add("audit.policy", "says what to write down, but not where: set audit.file.path or audit.webhook")
	}
	a.File.check(doc)
}

func (c *config) checkClientAddress(doc *strictyaml.Document) {
	for i, text := range c.TrustedProxies {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			doc.Add(fmt.Sprintf("trustedProxies[%d]", i), "want a network such as 10.0.0.0/8, got %q", text)
		}
		c.trusted = append(c.trusted, network)
	}
	if c.AccessHint && c.Server.URL == "" {
		doc.Add("accessHint", "needs server: the page is there")
	}
}

func (c *config) checkRecording(doc *strictyaml.Document) {
	r := c.Recording
	if r.OnFailure != failureRefuse && r.OnFailure != failureContinue {
		doc.Add("recording.onFailure", "want refuse or continue, got %q", r.OnFailure)
	}
	if r.MaxMegabytes < 0 || r.MaxDays < 0 {
		doc.Add("recording", "want maxMegabytes and maxDays of 0 (no limit) or more")
	}
	if r.Dir != "" && c.Server.URL == "" {
		doc.Add("recording.dir", "needs server: recordings are signed with the key that the proxy enrols with")
	}
}

func (f *auditFileConfig) check(doc *strictyaml.Document) {
	if f.MaxMegabytes < 1 || f.MaxFiles < 0 || f.MaxDays < 0 {
		doc.Add("audit.file", "want maxMegabytes of 1 or more, maxFiles and maxDays of 0 (no limit) or more")
	}
}

func (c *config) checkAddress(doc *strictyaml.Document, path, address string) {
	u, err := url.Parse(address)
	switch {
	case address == "":
		doc.Add(path, "is missing: the address of the Fairlead server")
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		doc.Add(path, "want an address such as https://login.example.com, got %q", address)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		doc.Add(path, "want https: over http somebody on the way could replace the keys")
	}
}

func (c *config) loadCA(doc *strictyaml.Document, path, file string) {
	if file == "" {
		return // the system's authorities
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		doc.Add(path, "can't be read: %v", err)
		return
	}
	c.issuerCAs = x509.NewCertPool()
	if !c.issuerCAs.AppendCertsFromPEM(text) {
		doc.Add(path, "holds no certificate in PEM form")
	}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}
