package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func load(t *testing.T, text string) (*config, error) {
	t.Helper()
	return loadFor(t, text, "")
}

func loadFor(t *testing.T, text, server string) (*config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fairlead-proxy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return (&configSource{file, server}).load()
}

func TestExampleIsValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/examples/fairlead-proxy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, string(text)); err != nil {
		t.Error(err)
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"cluster: x\n", `fairlead-proxy.yaml:1: tls: must have certificate and key: kubectl sends tokens only over TLS
fairlead-proxy.yaml:1: audience: must not be empty. Set the cluster's audience, such as k8s-prod, or set server.url and enrol the proxy
fairlead-proxy.yaml:1: issuer.url: must not be empty. Set the address of the Fairlead server`},
		{"audience: a\ntls: {certificate: a, key: b}\nissuer: {url: \"http://login.example.com\", ca: /nowhere}\n", `fairlead-proxy.yaml:3: issuer.url: must use https: over http an attacker on the network could replace the signing keys
fairlead-proxy.yaml:3: issuer.ca: cannot be read: open /nowhere: no such file or directory`},
		{"audiences: [a]\ndrainTimeout: soon\n", `fairlead-proxy.yaml:1: audiences: is not a known key; did you mean "audience"?
fairlead-proxy.yaml:2: drainTimeout: must be a duration such as 30s, 10m or 12h, got "soon"`},
		{"audience: a\ntls: {certificate: a, key: b}\nissuer: {url: \"https://login.example.com\"}\naudit: {policy: /nowhere, onFailure: refuse, sendToServer: some, file: {maxMegabytes: 0}}\n", `fairlead-proxy.yaml:4: audit.sendToServer: must be notable, all or none, got "some"
fairlead-proxy.yaml:4: audit.onFailure: refuse needs audit.file.path: the proxy cannot wait for a webhook before it forwards a request
fairlead-proxy.yaml:4: audit.policy: reading audit policy: open /nowhere: no such file or directory
fairlead-proxy.yaml:4: audit.policy: needs a place to write events to: set audit.file.path or audit.webhook
fairlead-proxy.yaml:4: audit.file: must have maxMegabytes of 1 or more, and maxFiles and maxDays of 0 (no limit) or more`},
	} {
		_, err := load(t, c.text)
		if diff := cmp.Diff(c.want, fmt.Sprint(err)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestServerFlag checks that --server means the same as server.url, and must not differ from it.
func TestServerFlag(t *testing.T) {
	t.Parallel()
	const rest = "state: /s\ntls: {certificate: a, key: b}\n"
	for _, c := range []struct{ text, server, want string }{
		{rest, "https://login.example.com", ""},
		{rest + "server: {url: \"https://login.example.com\"}\n", "https://login.example.com", ""},
		{rest + "server: {url: \"https://other.example.com\"}\n", "https://login.example.com", "fairlead-proxy.yaml:3: server.url: is https://other.example.com, but --server is https://login.example.com: remove one of them"},
		{rest, "http://login.example.com", "fairlead-proxy.yaml:1: server.url: must use https: over http an attacker on the network could replace the signing keys"},
		{rest + "audience: a\n", "https://login.example.com", "fairlead-proxy.yaml:3: audience: is set by the Fairlead server: remove it, or remove server"},
	} {
		cfg, err := loadFor(t, c.text, c.server)
		if c.want != "" || err != nil {
			if fmt.Sprint(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			continue
		}
		if cfg.Server.URL != c.server {
			t.Errorf("server %q", cfg.Server.URL)
		}
	}
}

func TestReferenceListsEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := bytes.Cut(text, []byte("## fairlead-proxy"))
	for f := range reflect.TypeFor[config]().Fields() {
		key := f.Tag.Get("yaml")
		if key == "" {
			continue
		}
		keys := []string{key}
		if f.Type.Kind() == reflect.Struct {
			keys = nil
			for sub := range f.Type.Fields() {
				if tag := sub.Tag.Get("yaml"); tag != "" {
					keys = append(keys, key+"."+tag)
				}
			}
		}
		for _, k := range keys {
			if !strings.Contains(string(section), "`"+k+"`") {
				t.Errorf("docs/config.md does not explain `%s`", k)
			}
		}
	}
}

// TestRecordingCommandsNeedEnrolment checks the message of a proxy that has not enrolled.
func TestRecordingCommandsNeedEnrolment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "fairlead-proxy.yaml")
	if err := os.WriteFile(file, []byte("tls: {certificate: a, key: b}\nstate: "+dir+"\nserver: {url: \"https://login.example.com\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"recording", "key"}, {"recording", "verify", file}} {
		cmd := newCommand()
		cmd.SetArgs(append(args, "--config", file))
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), "has not enrolled yet") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
