package main

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/fairlead-auth/fairlead/internal/strictyaml"
)

// config is the configuration file. docs/config.md is held equal to it.
type config struct {
	Listen   string              `yaml:"listen"`
	TLS      tlsConfig           `yaml:"tls"`
	Cluster  string              `yaml:"cluster"`
	Issuer   issuerConfig        `yaml:"issuer"`
	Audience string              `yaml:"audience"`
	Upstream upstreamConfig      `yaml:"upstream"`
	Health   healthConfig        `yaml:"health"`
	Logging  loggingConfig       `yaml:"logging"`
	Drain    strictyaml.Duration `yaml:"drain"`

	issuerCAs *x509.CertPool
}

type tlsConfig struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
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

const defaultDrain = strictyaml.Duration(30 * time.Second)

// loadConfig reads and checks a file. The error lists every fault.
func loadConfig(file string) (*config, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	c := &config{
		Listen: "0.0.0.0:8443", Health: healthConfig{Listen: "127.0.0.1:8081"},
		Logging: loggingConfig{Format: "json", Level: "info"}, Drain: defaultDrain,
	}
	doc := strictyaml.Decode(filepath.Base(file), text, c)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	c.check(doc)
	return c, doc.Err()
}

func (c *config) check(doc *strictyaml.Document) {
	if c.Audience == "" {
		doc.Add("audience", "is missing: the cluster's audience, such as k8s-prod")
	}
	if c.TLS.Certificate == "" || c.TLS.Key == "" {
		doc.Add("tls", "certificate and key are needed: kubectl sends no token without TLS")
	}
	c.checkIssuer(doc)
	c.loadCA(doc)
}

func (c *config) checkIssuer(doc *strictyaml.Document) {
	u, err := url.Parse(c.Issuer.URL)
	switch {
	case c.Issuer.URL == "":
		doc.Add("issuer.url", "is missing: the address of the Fairlead server")
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		doc.Add("issuer.url", "want an address such as https://login.example.com, got %q", c.Issuer.URL)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		doc.Add("issuer.url", "want https: over http somebody on the way could replace the keys")
	}
}

func (c *config) loadCA(doc *strictyaml.Document) {
	if c.Issuer.CA == "" {
		return // the system's authorities
	}
	text, err := os.ReadFile(c.Issuer.CA)
	if err != nil {
		doc.Add("issuer.ca", "can't be read: %v", err)
		return
	}
	c.issuerCAs = x509.NewCertPool()
	if !c.issuerCAs.AppendCertsFromPEM(text) {
		doc.Add("issuer.ca", "holds no certificate in PEM form")
	}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}
