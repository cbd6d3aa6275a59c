// Package authproxy is the connector for users whom a reverse proxy in front of this
// server has already authenticated: with Kerberos, client certificates or another
// single sign-on. The proxy names the user in request headers and proves itself with
// a secret. It is not Dex's connector, which accepts those headers from every client.
package authproxy

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// ProofHeader holds the secret that shows that the request comes from the proxy.
const ProofHeader = "X-Fairlead-Proxy-Secret"

// minSecret is how long the proxy's secret must be, in bytes.
const minSecret = 24

// Config is the settings of the connector. The headers default to X-Remote-User,
// X-Remote-User-Id, X-Remote-User-Name, X-Remote-User-Email and X-Remote-Group.
type Config struct {
	// ProxySecret is the value that the proxy sends in ProofHeader.
	ProxySecret secret.Value `json:"proxySecret" yaml:"proxySecret"`
	UserHeader  string       `json:"userHeader" yaml:"userHeader"`
	IDHeader    string       `json:"idHeader" yaml:"idHeader"`
	NameHeader  string       `json:"nameHeader" yaml:"nameHeader"`
	EmailHeader string       `json:"emailHeader" yaml:"emailHeader"`
	GroupHeader string       `json:"groupHeader" yaml:"groupHeader"`
	// GroupSeparator stands between groups. Default ",".
	GroupSeparator string `json:"groupSeparator" yaml:"groupSeparator"`
	// Groups are given to every user of this connector.
	Groups []string `json:"groups" yaml:"groups"`
}

// Type describes the connector.
func Type() connectors.Type {
	header := func(key, label, help, usual string) connectors.Field {
		return connectors.Field{Key: key, Label: label, Help: help, Kind: form.Text, Advanced: key != "userHeader" && key != "groupHeader", Placeholder: usual}
	}
	user := header("userHeader", "User header", "The login name. It is needed.", "X-Remote-User")
	user.Section = "Headers"
	groups := connectors.Field{Key: "groups", Label: "Groups for all", Help: "Every user of this connector is in these groups, one per line.", Kind: form.List, Advanced: true}
	return connectors.Type{
		Name: "authproxy", Icon: "gate", Label: "Reverse proxy", About: "A proxy in front of this server authenticates users with Kerberos, client certificates or another single sign-on. Fairlead can't check an account again after the sign-in.", Can: []string{"groups"},
		Steps: []connectors.Step{
			{Text: "Configure the proxy to require authentication at this path, and at no other.", Copy: []connectors.Copy{{Label: "Path that the proxy protects", Value: connectors.CopyCallback}}},
			{Text: "At that path, make the proxy remove the headers below from incoming requests, set them itself, and set X-Fairlead-Proxy-Secret to a long random text (openssl rand -hex 32)."},
			{Text: "Keep that text like a private key: with it, a client can sign in as any user."},
		},
		Config: func() connectors.Config { return &Config{} },
		Fields: []connectors.Field{
			{Key: "proxySecret", Label: "Proxy secret", Help: "The value of X-Fairlead-Proxy-Secret that the proxy sends.", Kind: form.Secret, Required: true, Section: "Proxy"},
			user,
			header("groupHeader", "Groups header", "", "X-Remote-Group"),
			header("idHeader", "ID header", "An id that never changes; the login name when the proxy does not send it.", "X-Remote-User-Id"),
			header("nameHeader", "Display name header", "", "X-Remote-User-Name"),
			header("emailHeader", "Mail header", "An address that the proxy vouches for.", "X-Remote-User-Email"),
			header("groupSeparator", "Separator of groups", "No group name may contain it.", ","),
			groups,
		},
	}
}

// Validate returns every problem of the settings.
func (c *Config) Validate() []connectors.Problem {
	faults := connectors.Faults(connectors.Missing("proxySecret", c.ProxySecret.Reveal(), "Without it, every client could claim to be any user. Create one with openssl rand -hex 32"))
	if n := len(c.ProxySecret.Reveal()); n > 0 && n < minSecret {
		faults = append(faults, connectors.Problem{Field: "proxySecret", Message: fmt.Sprintf("must have at least %d characters. Create one with openssl rand -hex 32", minSecret)})
	}
	for field, name := range map[string]string{
		"userHeader": c.UserHeader, "idHeader": c.IDHeader, "nameHeader": c.NameHeader, "emailHeader": c.EmailHeader, "groupHeader": c.GroupHeader,
	} {
		if name != "" && (strings.ContainsFunc(name, notInHeader) || reserved(name)) {
			faults = append(faults, connectors.Problem{Field: field, Message: fmt.Sprintf("must be a header that only the proxy sets, such as X-Remote-User, not %q", name)})
		}
	}
	slices.SortFunc(faults, func(a, b connectors.Problem) int { return strings.Compare(a.Field, b.Field) })
	return faults
}

func notInHeader(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// reserved reports headers that browsers and proxies send by themselves.
func reserved(name string) bool {
	return slices.Contains([]string{ProofHeader, "Host", "Cookie", "Authorization", "User-Agent", "Referer", "Origin", "X-Forwarded-For", "Forwarded"}, textproto.CanonicalMIMEHeaderKey(name))
}

// Open returns the connector.
func (c *Config) Open(context.Context, connectors.Env) (connectors.Connector, error) {
	if len(c.ProxySecret.Reveal()) < minSecret {
		return nil, errors.New("the proxy secret is missing or too short")
	}
	return &connector{cfg: *c}, nil
}

type connector struct{ cfg Config }

var (
	_ connectors.Redirecter = (*connector)(nil)
	_ connectors.Refresher  = (*connector)(nil)
)

// AuthURL implements connectors.Redirecter: the proxy guards the way back itself.
func (c *connector) AuthURL(_ context.Context, callbackURL, state string) (address string, kept []byte, err error) {
	return callbackURL + "?" + url.Values{"state": {state}}.Encode(), nil, nil
}

// Callback implements connectors.Redirecter.
func (c *connector) Callback(_ context.Context, _ string, _ []byte, r *http.Request) (connectors.Identity, error) {
	proof, err := single(r.Header, ProofHeader)
	if err != nil {
		return connectors.Identity{}, err
	}
	if subtle.ConstantTimeCompare([]byte(proof), []byte(c.cfg.ProxySecret.Reveal())) != 1 {
		return connectors.Identity{}, fmt.Errorf("the request did not come from the proxy: %s is missing or wrong: %w", ProofHeader, connectors.ErrDenied)
	}
	said := map[string]string{}
	for what, name := range c.headers() {
		if said[what], err = single(r.Header, name); err != nil {
			return connectors.Identity{}, err
		}
	}
	if said["user"] == "" {
		return connectors.Identity{}, fmt.Errorf("the proxy sent no %s: %w", c.headers()["user"], connectors.ErrDenied)
	}
	return connectors.Identity{
		Subject: cmp.Or(said["id"], said["user"]), Username: said["user"], Name: cmp.Or(said["name"], said["user"]),
		Email: said["email"], EmailVerified: said["email"] != "", Groups: c.groups(said["groups"]),
	}, nil
}

// Refresh implements connectors.Refresher. A proxy can't be asked about a user.
func (c *connector) Refresh(context.Context, connectors.Identity) (connectors.Identity, error) {
	return connectors.Identity{}, connectors.Unconfirmed()
}

func (c *connector) headers() map[string]string {
	return map[string]string{
		"user": cmp.Or(c.cfg.UserHeader, "X-Remote-User"), "id": cmp.Or(c.cfg.IDHeader, "X-Remote-User-Id"), "name": cmp.Or(c.cfg.NameHeader, "X-Remote-User-Name"),
		"email": cmp.Or(c.cfg.EmailHeader, "X-Remote-User-Email"), "groups": cmp.Or(c.cfg.GroupHeader, "X-Remote-Group"),
	}
}

// groups returns the groups that the proxy sent and those that every user has.
func (c *connector) groups(said string) []string {
	all := slices.Clone(c.cfg.Groups)
	for name := range strings.SplitSeq(said, cmp.Or(c.cfg.GroupSeparator, ",")) {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// single returns the value of a header. Two values mean that the proxy forwarded one
// that a client sent.
func single(h http.Header, name string) (string, error) {
	values := h.Values(name)
	if len(values) > 1 {
		return "", fmt.Errorf("there are %d headers %s, and only the proxy may set it: %w", len(values), name, connectors.ErrDenied)
	}
	if len(values) == 0 {
		return "", nil
	}
	return values[0], nil
}
