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
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
)

// Identity is what an upstream says about a person at one moment.
type Identity struct {
	// Subject is the upstream's own id of the account. It never changes and is never
	// given to another account.
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
	// LeftOut are groups that the connector or ResolveIdentity left out.
	LeftOut []LeftOutGroup
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

// Connector is a Passworder, a Redirecter or a Poster, and usually a Refresher.
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
	// Transport, when set, is what requests to the upstream go through. Tests set
	// it for upstreams whose address is fixed.
	Transport http.RoundTripper
}

// Config is the settings of one connector, as its type declares them.
type Config interface {
	// Validate returns every problem of the settings.
	Validate() []Problem
	// Open makes the connector. It must not wait for the network longer than
	// ctx allows.
	Open(ctx context.Context, env Env) (Connector, error)
}

// Problem is a fault in a field of a Config.
type Problem = form.Problem

// Field is one setting of a connector.
type Field = form.Field

// Type is a kind of connector.
type Type struct {
	// Name is the word in the file, such as "ldap".
	Name string
	// Icon is one of the glyphs of package templates: no mark of a provider, which stays
	// with its owner.
	Icon string
	// Label is the name to show; About says in a sentence what it is for, and Can
	// what it knows of a person: "groups", "refresh".
	Label, About string
	Can          []string
	// Steps are what to do at the provider first, in its own words.
	Steps []Step
	// Presets fill in what is usual for one product.
	Presets []Preset
	// Fields are drawn as the form, in this order.
	Fields []Field
	// Config returns empty settings to decode into.
	Config func() Config
}

// Step is one thing to do at the provider.
type Step struct {
	Text string
	// Link is the page at the provider, or empty.
	Link string
	// Copy are values of ours that have to be pasted there.
	Copy []Copy
}

// Copy is a value with the provider's word for it.
type Copy struct {
	Label string
	// Value is one of the Copy constants.
	Value string
}

// The values that a provider may ask for.
const (
	CopyCallback = "callback"
	CopyHome     = "home"
)

// Preset is a product whose settings are known.
type Preset struct {
	Name, Label string
	// Help is shown above the form.
	Help string
	// Values are the settings that differ from the defaults.
	Values map[string]any
}

// Finding is the result of one step of a check.
type Finding struct {
	Step  string
	State State
	Took  time.Duration
	// Detail is what was found; Remedy is what to change when it is not good.
	Detail, Remedy string
}

// State says how a step went.
type State string

// The states of a step.
const (
	Passed  State = "passed"
	Failed  State = "failed"
	Warned  State = "warning"
	Skipped State = "skipped"
)

// Checker is a Config that can be tried without a person: is the upstream there,
// does it accept the settings?
type Checker interface {
	Check(ctx context.Context, env Env) []Finding
}

// Lookuper looks a person up without their password.
type Lookuper interface {
	// Lookup returns ErrBadCredentials if no account has this name.
	Lookup(ctx context.Context, username string) (Lookup, error)
}

// Lookup is what the upstream has about a person.
type Lookup struct {
	// Attributes are as the upstream has them; what may be a secret is left out.
	Attributes map[string][]string
	Identity   Identity
	// Notes say what was left out, and why.
	Notes []string
}

// PostForm is a form for the upstream.
type PostForm struct {
	// Action is where to post, Fields what, but for the relay state.
	Action string
	Fields map[string]string
	// Kept is what Answer needs to get back.
	Kept []byte
}

// Poster signs people in by letting the browser post a form to the upstream,
// which posts its answer back (SAML 2.0 HTTP POST binding).
type Poster interface {
	// AuthForm returns the form.
	AuthForm(ctx context.Context) (PostForm, error)
	// Answer reads what the upstream posted.
	Answer(ctx context.Context, kept []byte, posted url.Values) (Identity, error)
}

// Prefixes keep names of different upstreams apart.
type Prefixes struct {
	// User and Group are put in front of each name.
	User, Group string
}

// MaxGroups is how many groups a person may have. More don't fit into a token
// and a request header.
const MaxGroups = 512

// LeftOutGroup is a group of the upstream that no cluster can see.
type LeftOutGroup struct {
	// Name is untrusted text.
	Name string
	// Reason completes the sentence "The group name …".
	Reason string
}

// maxLeftOut is the number of dropped groups that LeftOut names.
const maxLeftOut = 20

// ResolveIdentity adds the prefixes to an identity and returns the names that clusters see. It drops groups whose
// names must never reach a cluster and names them in LeftOut: a user who can create groups upstream must not be able
// to lock others out. It also drops an invalid email address, and control characters in the display name. A
// forbidden user name, a subject that cannot be stored, and more than MaxGroups groups are errors with
// OutcomeUnusableIdentity.
func ResolveIdentity(id Identity, p Prefixes) (kubeName string, resolved Identity, err error) {
	if err := checkSubject(id.Subject); err != nil {
		return "", Identity{}, err
	}
	// Check the name without its prefix as well, because a prefix would make " x" or "system:x" look harmless.
	if err := checkBoth(id.Username, p.User); err != nil {
		return "", Identity{}, NewError(OutcomeUnusableIdentity, err, fmt.Sprintf("The user name %q can't be used at a cluster", kubenames.SanitizeLine(id.Username, maxDescription)),
			"Have the account renamed, or choose another attribute for the user name.")
	}
	resolved = id
	resolved.Name = kubenames.SanitizeLine(id.Name, kubenames.MaxLength)
	if kubenames.Check(id.Email) != nil {
		resolved.Email, resolved.EmailVerified = "", false
	}
	var odd []LeftOutGroup
	resolved.Groups, odd = resolveGroups(id.Groups, p.Group)
	resolved.LeftOut = append(slices.Clone(id.LeftOut[:min(len(id.LeftOut), maxLeftOut)]), odd...)
	if n := len(resolved.Groups); n > MaxGroups {
		return "", Identity{}, NewError(OutcomeUnusableIdentity, nil, fmt.Sprintf("The user is in %d groups. At most %d fit into a token.", n, MaxGroups),
			"Filter the groups in the connector's settings.")
	}
	return p.User + id.Username, resolved, nil
}

// maxSubject is the largest subject in bytes. PostgreSQL cannot index much more.
const maxSubject = 1024

// checkSubject refuses a subject that cannot be stored. It allows all other characters, because pages never show it.
func checkSubject(subject string) error {
	remedy := "An admin has to choose another attribute for the user ID, one that every account has and that never changes."
	switch {
	case subject == "":
		return NewError(OutcomeUnusableIdentity, nil, "The upstream gave no id for the user.", remedy)
	case len(subject) > maxSubject:
		return NewError(OutcomeUnusableIdentity, nil, fmt.Sprintf("The upstream's id of the user has %d bytes. At most %d can be stored.", len(subject), maxSubject), remedy)
	case !utf8.ValidString(subject) || strings.ContainsRune(subject, 0):
		return NewError(OutcomeUnusableIdentity, nil, "The upstream's id of the user is not text.", remedy)
	}
	return nil
}

// resolveGroups adds the prefix to each group, and returns the dropped groups.
func resolveGroups(groups []string, prefix string) (kept []string, left []LeftOutGroup) {
	kept = make([]string, 0, len(groups))
	seen := make(map[string]bool, len(groups))
	for _, g := range groups {
		if seen[g] {
			continue
		}
		seen[g] = true
		if err := checkBoth(g, prefix); err == nil {
			kept = append(kept, prefix+g)
		} else if len(left) < maxLeftOut {
			left = append(left, LeftOutGroup{Name: kubenames.SanitizeLine(g, kubenames.MaxLength), Reason: err.Error()})
		}
	}
	return kept, left
}

func checkBoth(name, prefix string) error {
	if err := kubenames.Check(name); err != nil {
		return err
	}
	return kubenames.Check(prefix + name)
}
