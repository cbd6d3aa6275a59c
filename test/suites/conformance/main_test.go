// Package conformance checks an OpenID provider over HTTP and nothing else, after
// the certification profiles and the RFCs; each check cites its module and
// clause. It starts the built server by itself, or is pointed at a deployed one:
//
//	go test ./test/suites/conformance -issuer https://login.example.com -plan plan.json
//
// docs/howto/conformance.md says what a plan holds.
package conformance_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/test/harness/pki"
	"github.com/fairlead-auth/fairlead/test/harness/ports"
	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

var (
	issuerFlag = flag.String("issuer", "", "check this issuer instead of starting one")
	planFlag   = flag.String("plan", "", "JSON file with the clients and people to use there")
	longFlag   = flag.Bool("long", false, "also run the checks that wait")
	reportFlag = flag.String("report", "", "write what was checked to this file, as JSON")
)

// plan is what the checks use.
type plan struct {
	Issuer string `json:"issuer"`
	// CA is PEM for the issuer's certificate.
	CA string `json:"ca"`
	// Connector is the name on the sign-in button; Person and Other are two
	// people who sign in with a password.
	Connector string `json:"connector"`
	Person    person `json:"person"`
	Other     person `json:"other"`
	// First and Second are confidential clients without consent, First by Basic and Second by form; Third asks for
	// consent; Keyed authenticates with a key; Public is a native client that may exchange and use devices.
	First  client `json:"first"`
	Second client `json:"second"`
	Third  client `json:"third"`
	Keyed  client `json:"keyed"`
	Public client `json:"public"`
	// Cluster may be used by both people, Forbidden by none.
	Cluster   string `json:"cluster"`
	Forbidden string `json:"forbidden"`
	// LogoutListen is where First's logout address is served by the checks.
	LogoutListen string `json:"logoutListen"`
}

type person struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// client is a client.
type client struct {
	ID         string           `json:"id"`
	Secret     string           `json:"secret"`
	Key        *jose.JSONWebKey `json:"key"`
	Redirect   string           `json:"redirect"`
	PostLogout string           `json:"postLogout"`
	// Basic sends the secret in the Authorization header.
	Basic bool `json:"basic"`
}

// state is shared by all checks: they start one server together.
var state struct {
	once sync.Once
	plan *plan
	err  error
	stop func()

	mu     sync.Mutex
	report []entry
}

// entry is a line of the report.
type entry struct {
	Check  string   `json:"check"`
	Cites  []string `json:"cites"`
	Result string   `json:"result"`
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if state.stop != nil {
		state.stop()
	}
	if *reportFlag != "" {
		body, err := json.MarshalIndent(state.report, "", "  ")
		if err == nil {
			err = os.WriteFile(*reportFlag, append(body, '\n'), 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// provider is the provider under test.
type provider struct {
	plan
	http *http.Client
}

// check begins a check and says what it stands on.
func check(t *testing.T, cites ...string) *provider {
	t.Helper()
	if *issuerFlag == "" && serverBinary() == "" {
		prerequisite.Missing(t, "FAIRLEAD_TEST_BIN is not set and no -issuer is given: no provider to check (make test provides it)")
	}
	state.once.Do(func() { state.plan, state.stop, state.err = provide() })
	if state.err != nil {
		t.Fatal(state.err)
	}
	t.Cleanup(func() {
		result := "passed"
		switch {
		case t.Failed():
			result = "failed"
		case t.Skipped():
			result = "skipped"
		}
		state.mu.Lock()
		defer state.mu.Unlock()
		state.report = append(state.report, entry{Check: t.Name(), Cites: cites, Result: result})
	})
	client, err := httpClient(state.plan.CA)
	if err != nil {
		t.Fatal(err)
	}
	return &provider{plan: *state.plan, http: client}
}

func httpClient(ca string) (*http.Client, error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if ca != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("the plan's ca holds no certificate")
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{
		Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// serverVariable names the program that mutations_test.go has built.
const serverVariable = "FAIRLEAD_CONFORMANCE_SERVER"

func serverBinary() string {
	if path := os.Getenv(serverVariable); path != "" {
		return path
	}
	if dir := os.Getenv("FAIRLEAD_TEST_BIN"); dir != "" {
		return filepath.Join(dir, "fairlead")
	}
	return ""
}

// provide reads the plan of a deployed issuer, or starts one.
func provide() (*plan, func(), error) {
	if *issuerFlag == "" {
		return startServer()
	}
	body, err := os.ReadFile(*planFlag)
	if err != nil {
		return nil, nil, fmt.Errorf("with -issuer a -plan is needed: %w", err)
	}
	p := &plan{}
	if err := json.Unmarshal(body, p); err != nil {
		return nil, nil, fmt.Errorf("reading plan: %w", err)
	}
	p.Issuer = *issuerFlag
	return p, func() {}, nil
}

const demoPassword = "conformance-password"

// startServer runs the built program with a configuration of its own.
func startServer() (*plan, func(), error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return nil, nil, err
	}
	clean := func() { _ = os.RemoveAll(dir) }
	p, err := newPlan()
	if err == nil {
		err = configure(dir, p)
	}
	if err != nil {
		clean()
		return nil, nil, err
	}
	log := &bytes.Buffer{}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, serverBinary(), "serve", "--config", dir+"/fairlead.yaml")
	cmd.Stdout, cmd.Stderr = log, log
	killWithParent(cmd) // also when a check panics
	if err := cmd.Start(); err != nil {
		cancel()
		clean()
		return nil, nil, err
	}
	stop := func() {
		cancel()
		_ = cmd.Wait()
		clean()
	}
	if err := ready(p); err != nil {
		stop()
		return nil, nil, fmt.Errorf("%w:\n%s", err, log)
	}
	return p, stop, nil
}

func ready(p *plan) error {
	client, err := httpClient(p.CA)
	if err != nil {
		return err
	}
	for range 300 {
		if resp, err := client.Get(p.Issuer + "/keys"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the server does not get ready")
}

func newPlan() (*plan, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	address, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	logout, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	return &plan{
		Issuer: "https://" + address, Connector: "Local users", LogoutListen: logout,
		Person: person{"jane@example.test", demoPassword}, Other: person{"john@example.test", demoPassword},
		First:   client{ID: "first", Secret: "first-secret-0123456789", Redirect: "https://first.test/cb?dummy1=lorem&dummy2=ipsum", PostLogout: "https://first.test/bye", Basic: true},
		Second:  client{ID: "second", Secret: "second-secret-0123456789", Redirect: "https://second.test/cb"},
		Third:   client{ID: "third", Secret: "third-secret-0123456789", Redirect: "https://third.test/cb"},
		Keyed:   client{ID: "keyed", Key: &jose.JSONWebKey{Key: key, KeyID: "k", Algorithm: "ES256", Use: "sig"}, Redirect: "https://keyed.test/cb"},
		Public:  client{ID: "kubectl-fairlead", Redirect: "http://127.0.0.1:4711/callback"},
		Cluster: "k8s-a", Forbidden: "k8s-b",
	}, nil
}

// configure writes the files of the server.
func configure(dir string, p *plan) error {
	ca, err := pki.NewCA("conformance", time.Now())
	if err != nil {
		return err
	}
	pair, err := ca.Server(time.Now())
	if err != nil {
		return err
	}
	if _, _, err := pair.Write(dir, "tls"); err != nil {
		return err
	}
	p.CA = string(ca.PEM)
	hash, err := password.NewHasher().Hash(context.Background(), demoPassword)
	if err != nil {
		return err
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.Keyed.Key.Public()}})
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"hash": hash, "keys": string(keys), "first": p.First.Secret, "second": p.Second.Secret, "third": p.Third.Secret,
		"fairlead.yaml": fmt.Sprintf(configuration, p.Issuer, p.Issuer[len("https://"):], dir, p.LogoutListen),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

const configuration = `url: %[1]s
listen: %[2]s
tls: {certificate: %[3]s/tls.crt, key: %[3]s/tls.key}
database: {driver: sqlite, path: %[3]s/fairlead.db, fastSync: true}
limits: {requestsPerSecond: 10000}
sessions: {refreshGrace: 3s}
connectors:
- {id: local, type: local, name: Local users}
localUsers:
- {login: jane@example.test, name: Jane Doe, email: jane@example.test, groups: [dev], passwordHash: "file:%[3]s/hash"}
- {login: john@example.test, name: John Doe, email: john@example.test, groups: [dev], passwordHash: "file:%[3]s/hash"}
clusters:
- {id: a, mode: direct, server: "https://a.test:6443"}
- {id: b, mode: direct, server: "https://b.test:6443"}
rules:
- {id: dev, who: {groups: ["local:dev"]}, clusters: {ids: [a]}}
clients:
- id: first
  firstParty: true
  pkceOptional: true
  redirectURIs: ["https://first.test/cb?dummy1=lorem&dummy2=ipsum"]
  postLogoutRedirectURIs: ["https://first.test/bye"]
  backchannelLogoutURI: http://%[4]s/logout
  secrets: ["file:%[3]s/first"]
- id: second
  firstParty: true
  pkceOptional: true
  algorithm: ES256
  redirectURIs: ["https://second.test/cb"]
  secrets: ["file:%[3]s/second"]
- id: third
  redirectURIs: ["https://third.test/cb"]
  secrets: ["file:%[3]s/third"]
- id: keyed
  firstParty: true
  grants: [authorization_code, refresh_token, client_credentials]
  redirectURIs: ["https://keyed.test/cb"]
  keys: "file:%[3]s/keys"
`
