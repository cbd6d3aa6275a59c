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

// config is the configuration file. A test compares it with docs/config.md.
type config struct {
	Listen   string         `yaml:"listen"`
	TLS      tlsConfig      `yaml:"tls"`
	Server   serverConfig   `yaml:"server"`
	State    string         `yaml:"state"`
	Cluster  string         `yaml:"cluster"`
	Issuer   issuerConfig   `yaml:"issuer"`
	Audience string         `yaml:"audience"`
	Upstream upstreamConfig `yaml:"upstream"`
	Health   healthConfig   `yaml:"health"`
	Logging  loggingConfig  `yaml:"logging"`
	Audit    auditConfig    `yaml:"audit"`

	DrainTimeout strictyaml.Duration `yaml:"drainTimeout"`

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

// serverConfig is the Fairlead server at which the proxy enrols. The server then supplies the
// issuer, the audience and the cluster.
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

// auditConfig says which audit.k8s.io/v1 events the proxy writes, and which of its own events it
// sends to the Fairlead server.
type auditConfig struct {
	Policy          string          `yaml:"policy"`
	File            auditFileConfig `yaml:"file"`
	Webhook         string          `yaml:"webhook"`
	OnFailure       string          `yaml:"onFailure"`
	IncludeCommands bool            `yaml:"includeCommands"`
	SendToServer    string          `yaml:"sendToServer"`

	policy kubeaudit.Policy
}

type auditFileConfig struct {
	Path         string `yaml:"path"`
	MaxMegabytes int    `yaml:"maxMegabytes"`
	MaxFiles     int    `yaml:"maxFiles"`
	MaxDays      int    `yaml:"maxDays"`
	Compress     bool   `yaml:"compress"`
}

// authenticationConfig lists the token issuers that the proxy trusts besides the Fairlead server.
type authenticationConfig struct {
	File                    string   `yaml:"file"`
	ServiceAccountTokens    bool     `yaml:"serviceAccountTokens"`
	ServiceAccountAudiences []string `yaml:"serviceAccountAudiences"`
}

type limitsConfig struct {
	StreamsPerUser int `yaml:"streamsPerUser"`
}

// recordingConfig says whether and how sessions are recorded. An empty Dir turns recording off.
type recordingConfig struct {
	Dir          string `yaml:"dir"`
	Stdin        bool   `yaml:"stdin"`
	OnFailure    string `yaml:"onFailure"`
	MaxMegabytes int    `yaml:"maxMegabytes"`
	MaxDays      int    `yaml:"maxDays"`
	Upload       bool   `yaml:"upload"`
}

// The values of onFailure and audit.sendToServer.
const (
	failureRefuse   = "refuse"
	failureContinue = "continue"
	auditNotable    = "notable"
	auditAll        = "all"
	auditNone       = "none"
)

const defaultDrainTimeout = strictyaml.Duration(30 * time.Second)

// configSource names the configuration file, and the Fairlead server if --server is set.
type configSource struct{ file, server string }

// load reads and checks the configuration. The error lists every fault.
func (s *configSource) load() (*config, error) {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	c := &config{
		Listen: "0.0.0.0:8443", Health: healthConfig{Listen: "127.0.0.1:8081"},
		Logging: loggingConfig{Format: "json", Level: "info"}, DrainTimeout: defaultDrainTimeout,
		Audit:     auditConfig{OnFailure: failureContinue, SendToServer: auditNotable, File: auditFileConfig{MaxMegabytes: 100, MaxFiles: 10}},
		Limits:    limitsConfig{StreamsPerUser: 1000},
		Recording: recordingConfig{OnFailure: failureRefuse, MaxMegabytes: 100, MaxDays: 90, Upload: true},
	}
	doc := strictyaml.Decode(filepath.Base(s.file), text, c)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	if s.server != "" {
		if c.Server.URL != "" && c.Server.URL != s.server {
			doc.Add("server.url", "is %s, but --server is %s: remove one of them", c.Server.URL, s.server)
		}
		c.Server.URL = s.server
	}
	c.check(doc)
	return c, doc.Err()
}

func (c *config) check(doc *strictyaml.Document) {
	if c.TLS.Certificate == "" || c.TLS.Key == "" {
		doc.Add("tls", "must have certificate and key: kubectl sends tokens only over TLS")
	}
	if c.Limits.StreamsPerUser < 0 {
		doc.Add("limits.streamsPerUser", "must be 0 (no limit) or more")
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
			doc.Add("audience", "must not be empty. Set the cluster's audience, such as k8s-prod, or set server.url and enrol the proxy")
		}
		c.checkAddress(doc, "issuer.url", c.Issuer.URL)
		c.loadCA(doc, "issuer.ca", c.Issuer.CA)
		return
	}
	if c.State == "" {
		doc.Add("state", "must not be empty. Set a persistent directory for the proxy's identity and its last known state")
	}
	for key, value := range map[string]string{"issuer.url": c.Issuer.URL, "issuer.ca": c.Issuer.CA, "audience": c.Audience, "cluster": c.Cluster} {
		if value != "" {
			doc.Add(key, "is set by the Fairlead server: remove it, or remove server")
		}
	}
	c.checkAddress(doc, "server.url", c.Server.URL)
	c.loadCA(doc, "server.ca", c.Server.CA)
}

func (a *auditConfig) check(doc *strictyaml.Document) {
	if a.OnFailure != failureRefuse && a.OnFailure != failureContinue {
		doc.Add("audit.onFailure", "must be refuse or continue, got %q", a.OnFailure)
	}
	if !slices.Contains([]string{auditNotable, auditAll, auditNone}, a.SendToServer) {
		doc.Add("audit.sendToServer", "must be notable, all or none, got %q", a.SendToServer)
	}
	if a.OnFailure == failureRefuse && a.File.Path == "" {
		doc.Add("audit.onFailure", "refuse needs audit.file.path: the proxy cannot wait for a webhook before it forwards a request")
	}
	a.policy = kubeaudit.MetadataPolicy()
	if a.Policy != "" {
		var err error
		if a.policy, err = kubeaudit.ReadPolicy(a.Policy); err != nil {
			doc.Add("audit.policy", "%v", err)
		}
	}
	if a.Policy != "" && a.File.Path == "" && a.Webhook == "" {
		doc.Add("audit.policy", "needs a place to write events to: set audit.file.path or audit.webhook")
	}
	a.File.check(doc)
}

func (c *config) checkClientAddress(doc *strictyaml.Document) {
	for i, text := range c.TrustedProxies {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			doc.Add(fmt.Sprintf("trustedProxies[%d]", i), "must be a network such as 10.0.0.0/8, got %q", text)
		}
		c.trusted = append(c.trusted, network)
	}
	if c.AccessHint && c.Server.URL == "" {
		doc.Add("accessHint", "needs server.url: the hint links to a page of that server")
	}
}

func (c *config) checkRecording(doc *strictyaml.Document) {
	r := c.Recording
	if r.OnFailure != failureRefuse && r.OnFailure != failureContinue {
		doc.Add("recording.onFailure", "must be refuse or continue, got %q", r.OnFailure)
	}
	if r.MaxMegabytes < 0 || r.MaxDays < 0 {
		doc.Add("recording", "must have maxMegabytes and maxDays of 0 (no limit) or more")
	}
	if r.Dir != "" && c.Server.URL == "" {
		doc.Add("recording.dir", "needs server.url: the proxy signs recordings with the key of its enrolment")
	}
}

func (f *auditFileConfig) check(doc *strictyaml.Document) {
	if f.MaxMegabytes < 1 || f.MaxFiles < 0 || f.MaxDays < 0 {
		doc.Add("audit.file", "must have maxMegabytes of 1 or more, and maxFiles and maxDays of 0 (no limit) or more")
	}
}

func (c *config) checkAddress(doc *strictyaml.Document, path, address string) {
	u, err := url.Parse(address)
	switch {
	case address == "":
		doc.Add(path, "must not be empty. Set the address of the Fairlead server")
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		doc.Add(path, "must be an address such as https://login.example.com, got %q", address)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		doc.Add(path, "must use https: over http an attacker on the network could replace the signing keys")
	}
}

func (c *config) loadCA(doc *strictyaml.Document, path, file string) {
	if file == "" {
		return // use the system's certificate authorities
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		doc.Add(path, "cannot be read: %v", err)
		return
	}
	c.issuerCAs = x509.NewCertPool()
	if !c.issuerCAs.AppendCertsFromPEM(text) {
		doc.Add(path, "contains no PEM certificate")
	}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}
