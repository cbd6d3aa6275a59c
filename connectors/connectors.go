// Package connectors defines the interfaces between the provider and the connectors: the identity of a user,
// sign-in with a password, redirect or form, the repeated check of a user, and the settings form. It knows no
// connector, no page and no database.
package connectors

import (
	"cmp"
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

// Identity holds what an upstream knows about a user at one moment.
type Identity struct {
	// Subject is the upstream's own id of the account. It never changes and is never given to another account.
	Subject string
	// Username is the login name. It may change.
	Username string
	// Name is the display name.
	Name string
	// Email is the primary address. EmailVerified reports that the upstream has verified it.
	Email         string
	EmailVerified bool
	// Groups are the upstream's own group names, without a prefix.
	Groups []string
	// LeftOut are the groups that the connector or ResolveIdentity has dropped.
	LeftOut []LeftOutGroup
	// Data is what Refresh needs later, such as an upstream token. It is stored encrypted and never shown.
	Data []byte
}

// The refusals of a connector. Any other error means that the upstream could not be asked.
var (
	// ErrBadCredentials means that user name and password don't match an account. It is the same for an unknown
	// user name.
	ErrBadCredentials = errors.New("name or password is wrong")
	// ErrDenied means that the account is deleted or disabled, or that the connector's settings don't allow it.
	ErrDenied = errors.New("the upstream does not let this account in")
)

// Passworder signs users in with a user name and a password.
type Passworder interface {
	// UsernameLabel returns the label of the user name field, such as "E-mail".
	UsernameLabel() string
	// Login returns ErrBadCredentials or ErrDenied, or another error when the
	// upstream could not be asked.
	Login(ctx context.Context, username, password string) (Identity, error)
}

// Redirecter signs users in by redirecting the browser to the upstream.
type Redirecter interface {
	// AuthURL returns the upstream's URL, and data that Callback needs (a PKCE verifier, a nonce). The caller binds
	// the data to the browser.
	AuthURL(ctx context.Context, callbackURL, state string) (url string, kept []byte, err error)
	// Callback verifies the upstream's response. The caller has verified the state.
	Callback(ctx context.Context, callbackURL string, kept []byte, r *http.Request) (Identity, error)
}

// Refresher asks the upstream about a user without the user being present.
type Refresher interface {
	// Refresh returns the user as the upstream knows them now. The error is ErrDenied if the upstream refuses the
	// user, or another one if the upstream could not be asked. Data that it returns with an error replaces the kept
	// Data: the upstream had already replaced its refresh token.
	Refresh(ctx context.Context, last Identity) (Identity, error)
}

// Connector is a Passworder, a Redirecter or a Poster, and usually a Refresher.
type Connector any

// Env holds what a connector gets from the server.
type Env struct {
	// ID is the connector's id.
	ID string
	// CallbackURL is the redirect URI of the connector.
	CallbackURL string
	// Now returns the current time.
	Now func() time.Time
	// Logger logs messages for operators.
	Logger *slog.Logger
	// Accounts are the local users, for the local connector.
	Accounts any
	// Transport, when set, sends the requests to the upstream. Tests set it for upstreams whose address is fixed.
	Transport http.RoundTripper
	// Once reports whether a key is used for the first time, on all replicas. It remembers the key until the given
	// time. Nil remembers nothing.
	Once func(ctx context.Context, key string, until time.Time) (first bool, err error)
}

// Config holds the settings of one connector. Its type declares them.
type Config interface {
	// Validate returns every problem of the settings.
	Validate() []Problem
	// Open returns the connector. It must return when ctx ends.
	Open(ctx context.Context, env Env) (Connector, error)
}

// Problem is a fault of a field of a Config.
type Problem = form.Problem

// Field is one setting of a connector.
type Field = form.Field

// Type is a kind of connector.
type Type struct {
	// Name is the type in the configuration file, such as "ldap".
	Name string
	// Icon is one of the glyphs of package templates: no mark of a provider, which stays
	// with its owner.
	Icon string
	// Label is the display name. About describes the type in a sentence. Can lists what it supports, such as
	// "groups" and "refresh".
	Label, About string
	Can          []string
	// Steps are the steps at the provider before the setup, in the provider's own words.
	Steps []Step
	// Presets are settings for known products.
	Presets []Preset
	// Fields are the fields of the form, in this order.
	Fields []Field
	// Fillers fill in fields of the form.
	Fillers []Filler
	// Config returns empty settings, into which the server decodes.
	Config func() Config
}

// Step is one step at the provider.
type Step struct {
	Text string
	// Link is the provider's page for the step, or empty.
	Link string
	// Copy are Fairlead's values to paste there.
	Copy []Copy
}

// Copy is a value with the provider's label for it.
type Copy struct {
	Label string
	// Value is one of the Copy constants.
	Value string
}

// The values that a provider may need.
const (
	CopyCallback = "callback"
	CopyHome     = "home"
	// CopyMetadata is the URL of the document that a Describer makes.
	CopyMetadata = "metadata"
)

// Filler fills in fields of the form, for example from the upstream's own description.
type Filler struct {
	// Name is the name of the input. Label and Help describe it, and Button is what the user presses.
	Name, Label, Help, Button string
	// Asks says that Fill needs a text from the user.
	Asks bool
	// Fill returns the values of the fields. Stored are the saved settings with their secrets, or nil.
	Fill func(ctx context.Context, env Env, text string, stored map[string]any) (map[string]any, error)
}

// Describer is a Config whose upstream can read our settings from a document, such as SAML metadata. It is public,
// and available before the connector is enabled.
type Describer interface {
	Describe(env Env) (contentType string, document []byte, err error)
}

// Preset holds the settings for a known product.
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
	// Detail describes the result. Remedy says what to change if the result is not good.
	Detail, Remedy string
}

// State is the result of a step.
type State string

// The states of a step.
const (
	Passed  State = "passed"
	Failed  State = "failed"
	Warned  State = "warning"
	Skipped State = "skipped"
)

// Checker is a Config that can be tested without a user: it checks that the upstream is reachable and accepts the
// settings.
type Checker interface {
	Check(ctx context.Context, env Env) []Finding
}

// Lookuper looks up a user without their password.
type Lookuper interface {
	// Lookup returns ErrBadCredentials if no account has this name.
	Lookup(ctx context.Context, username string) (Lookup, error)
}

// Lookup is the upstream's data about a user.
type Lookup struct {
	// Attributes are the user's attributes at the upstream, without those that may be secrets.
	Attributes map[string][]string
	Identity   Identity
	// Notes say which attributes were left out, and why.
	Notes []string
}

// PostForm is a form that the browser posts to the upstream.
type PostForm struct {
	// Action is the URL of the form. Fields are its fields without the relay state.
	Action string
	Fields map[string]string
	// Kept is data that Answer needs.
	Kept []byte
}

// Poster signs users in with forms: the browser posts a form to the upstream, and the upstream posts its response
// back (SAML 2.0 HTTP POST binding).
type Poster interface {
	// AuthForm returns the form.
	AuthForm(ctx context.Context) (PostForm, error)
	// Answer verifies the form that the upstream has posted.
	Answer(ctx context.Context, kept []byte, posted url.Values) (Identity, error)
}

// Prefixes distinguish the names of different upstreams.
type Prefixes struct {
	// User and Group are added before each name.
	User, Group string
	// Foreign are the prefixes of other upstreams, of workloads and of recovery accounts. No name may begin with one,
	// unless the prefix of its own upstream does.
	Foreign []string
}

func (p Prefixes) check(prefix, name string) error {
	if err := checkBoth(name, prefix); err != nil {
		return err
	}
	for _, foreign := range p.Foreign {
		if begins(prefix+name, foreign) && !begins(prefix, foreign) {
			return fmt.Errorf("must not begin with %q: these names belong to another connector, to workloads or to recovery accounts", foreign)
		}
	}
	return nil
}

// begins reports whether a name begins with a prefix in any case.
func begins(name, prefix string) bool {
	return strings.HasPrefix(kubenames.Key(name), kubenames.Key(prefix))
}

// MaxGroups is the largest number of groups of a user. More don't fit into a token and a request header.
const MaxGroups = 512

// LeftOutGroup is a dropped group.
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
	if err := p.check(p.User, id.Username); err != nil {
		return "", Identity{}, NewError(OutcomeUnusableIdentity, err, fmt.Sprintf("The user name %q can't be used at a cluster", kubenames.SanitizeLine(id.Username, maxDescription)),
			"Have the account renamed, or choose another attribute for the user name.")
	}
	resolved = id
	resolved.Name = kubenames.SanitizeLine(cmp.Or(id.Name, id.Username), kubenames.MaxLength)
	if kubenames.Check(id.Email) != nil {
		resolved.Email, resolved.EmailVerified = "", false
	}
	var odd []LeftOutGroup
	resolved.Groups, odd = resolveGroups(id.Groups, p)
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
func resolveGroups(groups []string, p Prefixes) (kept []string, left []LeftOutGroup) {
	kept = make([]string, 0, len(groups))
	seen := make(map[string]bool, len(groups))
	for _, g := range groups {
		if seen[g] {
			continue
		}
		seen[g] = true
		if err := p.check(p.Group, g); err == nil {
			kept = append(kept, p.Group+g)
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
