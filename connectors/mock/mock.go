// Package mock provides a connector for tests, whose responses the test defines. No released program contains it.
package mock

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"sync"

	"github.com/fairlead-auth/fairlead/connectors"
)

// Upstream is the fake upstream. Tests change it with Set.
type Upstream struct {
	mu sync.Mutex
	// people by login name.
	people    map[string]Person
	err       error
	asked     int
	meanwhile func()
}

// Person is an account of the fake upstream.
type Person struct {
	Password string
	Identity connectors.Identity
	Denied   bool
}

// NewUpstream returns an upstream without accounts.
func NewUpstream() *Upstream { return &Upstream{people: map[string]Person{}} }

// Set adds an account, or replaces the one with its subject.
func (u *Upstream) Set(p Person) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.people, func(_ string, old Person) bool { return old.Identity.Subject == p.Identity.Subject })
	u.people[p.Identity.Username] = p
}

// Break makes every call fail with err, until it is nil again.
func (u *Upstream) Break(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.err = err
}

// Meanwhile makes the next call run fn after the upstream has decided and before it answers.
func (u *Upstream) Meanwhile(fn func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.meanwhile = fn
}

// Calls returns the number of calls.
func (u *Upstream) Calls() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked
}

func (u *Upstream) find(match func(Person) bool, missing error) (connectors.Identity, error) {
	id, meanwhile, err := u.decide(match, missing)
	if meanwhile != nil {
		meanwhile()
	}
	return id, err
}

func (u *Upstream) decide(match func(Person) bool, missing error) (id connectors.Identity, meanwhile func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked++
	meanwhile, u.meanwhile = u.meanwhile, nil
	if u.err != nil {
		return connectors.Identity{}, meanwhile, u.err
	}
	for _, p := range u.people {
		if !match(p) {
			continue
		}
		if p.Denied {
			return connectors.Identity{}, meanwhile, connectors.ErrDenied
		}
		return p.Identity, meanwhile, nil
	}
	return connectors.Identity{}, meanwhile, missing
}

// Type describes the connector.
func Type(u *Upstream) connectors.Type {
	return connectors.Type{Name: "mock", Icon: "people", Label: "Mock", Config: func() connectors.Config { return &Config{upstream: u} }}
}

// Config is empty.
type Config struct {
	upstream *Upstream
	// Redirect makes the connector a Redirecter.
	Redirect bool `json:"redirect"`
}

// Validate returns no problems.
func (c *Config) Validate() []connectors.Problem { return nil }

// Open returns the connector.
func (c *Config) Open(context.Context, connectors.Env) (connectors.Connector, error) {
	if c.Redirect {
		return &redirect{base{c.upstream}}, nil
	}
	return &password{base{c.upstream}}, nil
}

type base struct{ up *Upstream }

func (b base) Refresh(_ context.Context, last connectors.Identity) (connectors.Identity, error) {
	return b.up.find(func(p Person) bool { return p.Identity.Subject == last.Subject }, connectors.ErrDenied)
}

type password struct{ base }

var (
	_ connectors.Passworder = (*password)(nil)
	_ connectors.Refresher  = (*password)(nil)
	_ connectors.Redirecter = (*redirect)(nil)
)

func (c *password) UsernameLabel() string { return "User name" }

func (c *password) Login(_ context.Context, username, pass string) (connectors.Identity, error) {
	return c.up.find(func(p Person) bool { return p.Identity.Username == username && p.Password == pass }, connectors.ErrBadCredentials)
}

type redirect struct{ base }

func (c *redirect) AuthURL(_ context.Context, callbackURL, state string) (string, []byte, error) {
	return callbackURL + "?" + url.Values{"state": {state}, "login": {"jane"}}.Encode(), []byte("kept"), nil
}

func (c *redirect) Callback(_ context.Context, _ string, kept []byte, r *http.Request) (connectors.Identity, error) {
	if string(kept) != "kept" {
		return connectors.Identity{}, connectors.ErrDenied
	}
	login := r.URL.Query().Get("login")
	return c.up.find(func(p Person) bool { return p.Identity.Username == login }, connectors.ErrDenied)
}
