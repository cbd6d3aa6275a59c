// Package connectors is the contract between the provider and its upstreams:
// what a connector says about a person, what it can do, and how its
// configuration is drawn as a form. It knows no connector, no page and no
// database.
package connectors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/fairlead-auth/fairlead/internal/names"
)

// Identity is what an upstream says about a person at one moment.
type Identity struct {
	// Subject is the upstream's own id of the person, which never changes and is
	// never given to somebody else.
	Subject string
	// Username is the login name. It may change.
	Username string
	// Name is the name to show.
	Name string
	// Email is the primary address; EmailVerified says that the upstream vouches
	// for it.
	Email         string
	EmailVerified bool
	// Groups are the upstream's own group names, without a prefix.
	Groups []string
	// Data is what the connector needs to ask again later, such as an upstream
	// token. It is kept sealed and never shown.
	Data []byte
}

// The ways in which a connector says no. Any other error means that the
// upstream could not be asked.
var (
	// ErrBadCredentials means that name and password don't match an account. It
	// is the same for an unknown name.
	ErrBadCredentials = errors.New("name or password is wrong")
	// ErrDenied means that the account exists no more, is switched off, or is
	// not allowed in by the connector's settings.
	ErrDenied = errors.New("the upstream does not let this account in")
)

// Passworder signs people in with a name and a password.
type Passworder interface {
	// UsernameLabel is what the form calls the name: "User name", "E-mail" …
	UsernameLabel() string
	// Login returns ErrBadCredentials or ErrDenied, or another error when the
	// upstream could not be asked.
	Login(ctx context.Context, username, password string) (Identity, error)
}

// Redirecter signs people in by sending the browser to the upstream.
type Redirecter interface {
	// AuthURL returns where to send the browser, and what Callback needs to get
	// back (a PKCE verifier, a nonce); the caller keeps it bound to the browser.
	AuthURL(ctx context.Context, callbackURL, state string) (url string, kept []byte, err error)
	// Callback reads the upstream's answer. The caller has checked the state.
	Callback(ctx context.Context, callbackURL string, kept []byte, r *http.Request) (Identity, error)
}

// Refresher asks the upstream again about a person who isn't there.
type Refresher interface {
	// Refresh returns the person as the upstream knows them now, ErrDenied when
	// it doesn't any more, or another error when it could not be asked.
	Refresh(ctx context.Context, last Identity) (Identity, error)
}

// Connector is a Passworder or a Redirecter, and usually a Refresher.
type Connector any

// Env is what an opened connector may use of the outside.
type Env struct {
	// ID is the connector's id.
	ID string
	// CallbackURL is where the upstream sends the browser back to.
	CallbackURL string
	// Now tells the time.
	Now func() time.Time
	// Logger gets what operators should see.
	Logger *slog.Logger
	// Accounts are the local users, for the local connector.
	Accounts any
}

// Config is the settings of one connector, as its type declares them.
type Config interface {
	// Validate returns every fault.
	Validate() []Problem
	// Open makes the connector. It must not wait for the network longer than
	// ctx allows.
	Open(ctx context.Context, env Env) (Connector, error)
}

// Problem is a fault in a field of a Config.
type Problem struct {
	// Field is the key, such as "bindPW" or "orgs[0].name".
	Field string
	// Message says what is wrong and what to write instead.
	Message string
}

// Type is a kind of connector.
type Type struct {
	// Name is the word in the file, such as "ldap".
	Name string
	// Label is the name to show.
	Label string
	// Fields are drawn as the form, in this order.
	Fields []Field
	// Config returns empty settings to decode into.
	Config func() Config
}

// FieldKind says how a field is drawn.
type FieldKind string

// The kinds of field.
const (
	FieldText     FieldKind = "text"
	FieldSecret   FieldKind = "secret"
	FieldList     FieldKind = "list"
	FieldBool     FieldKind = "bool"
	FieldDuration FieldKind = "duration"
	FieldPEM      FieldKind = "pem"
	FieldGroup    FieldKind = "group"
)

// Field is one setting of a connector.
type Field struct {
	// Key is the key in the file.
	Key string
	// Label is the provider's own word for it.
	Label string
	// Help is one sentence.
	Help     string
	Kind     FieldKind
	Required bool
	Advanced bool
}

// Prefixes keep names of different upstreams apart.
type Prefixes struct {
	// User and Group are put in front of each name.
	User, Group string
}

// MaxGroups is how many groups a person may have. More don't fit into a token
// and a request header.
const MaxGroups = 512

// Settle turns an identity into the names that clusters will see, and refuses
// what must never reach one. The error says which name and why, and wraps
// ErrDenied.
func Settle(id Identity, p Prefixes) (kubeName string, settled Identity, err error) {
	if id.Subject == "" {
		return "", Identity{}, fmt.Errorf("the upstream gave no id for the person: %w", ErrDenied)
	}
	// The bare name is looked at as well: a prefix must not make " x" or
	// "system:x" of an upstream look harmless to a person who reads it.
	if err := checkBoth(id.Username, p.User); err != nil {
		return "", Identity{}, fmt.Errorf("user name %q %w: %w", id.Username, err, ErrDenied)
	}
	if len(id.Groups) > MaxGroups {
		return "", Identity{}, fmt.Errorf("the person is in %d groups, at most %d are supported; filter groups in the connector: %w",
			len(id.Groups), MaxGroups, ErrDenied)
	}
	settled = id
	settled.Groups = make([]string, 0, len(id.Groups))
	seen := make(map[string]bool, len(id.Groups))
	for _, g := range id.Groups {
		if err := checkBoth(g, p.Group); err != nil {
			return "", Identity{}, fmt.Errorf("group name %q %w: %w", g, err, ErrDenied)
		}
		if full := p.Group + g; !seen[full] {
			seen[full] = true
			settled.Groups = append(settled.Groups, full)
		}
	}
	return p.User + id.Username, settled, nil
}

func checkBoth(name, prefix string) error {
	if err := names.Check(name); err != nil {
		return err
	}
	return names.Check(prefix + name)
}
