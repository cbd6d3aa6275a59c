// Package sentence formats audit events as English sentences: the actor first, then the action, then its object.
package sentence

import (
	"strings"

	"github.com/fairlead-auth/fairlead/internal/audit"
)

// Kind is a category of events. The audit log filters by it.
type Kind string

// The kinds.
const (
	SignIn   Kind = "sign-in"
	Refused  Kind = "refused"
	Tokens   Kind = "tokens"
	Clusters Kind = "clusters"
	Shells   Kind = "shells"
	Changes  Kind = "changes"
	System   Kind = "system"
)

// Kinds returns every kind, in the order of the pages.
func Kinds() []Kind { return []Kind{SignIn, Refused, Tokens, Clusters, Shells, Changes, System} }

// Label returns the display name of the kind.
func (k Kind) Label() string {
	return map[Kind]string{
		SignIn: "Sign-in", Refused: "Refused", Tokens: "Tokens", Clusters: "Clusters", Shells: "Shells", Changes: "Changes by admins", System: "System",
	}[k]
}

// Names returns the event names of the kind. Each name has one kind.
func (k Kind) Names() []string {
	var names []string
	for _, name := range audit.Names() {
		if phrases()[name].kind == k {
			names = append(names, string(name))
		}
	}
	return names
}

// Tone is the color of an event in a list.
type Tone string

// The tones.
const (
	Plain   Tone = ""
	Good    Tone = "ok"
	Caution Tone = "warn"
	Serious Tone = "bad"
)

// Thing is the type of object that a part of a sentence names, for links.
type Thing string

// The things.
const (
	User      Thing = "user"
	Cluster   Thing = "cluster"
	Client    Thing = "client"
	Connector Thing = "connector"
	// Entry is a configured entry. Its id is the kind, a slash and the entry's id.
	Entry     Thing = "entry"
	Recording Thing = "recording"
)

// Part is a part of a sentence. Parts that name a thing are bold.
type Part struct {
	Text  string
	Thing Thing
	ID    string
}

// Sentence is an event as a sentence.
type Sentence struct {
	Kind  Kind
	Tone  Tone
	Parts []Part
	// Details are short texts without a full stop.
	Details []string
}

// Text returns the sentence without its details.
func (s Sentence) Text() string {
	var b strings.Builder
	for _, p := range s.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// Of formats an event. If it does not know the name of the event, because a newer release has stored it, it shows
// the name.
func Of(e audit.Event) Sentence {
	p, known := phrases()[e.Name]
	if !known {
		return Sentence{Kind: System, Parts: []Part{{Text: string(e.Name)}}, Details: details(e.Reason, e.Detail, e.Address)}
	}
	text := p.text
	if p.of != nil {
		text = p.of(&e)
	}
	return Sentence{Kind: p.kind, Tone: p.tone, Parts: fill(text, &e), Details: p.say(&e)}
}

// phrase is the text for events with one name. In text, {actor}, {user}, {cluster}, {client} and {connector} stand
// for the names in the event. {object} is the object of a request to a cluster, {entry} a configured entry and
// {about} the detail.
type phrase struct {
	kind Kind
	tone Tone
	text string
	// of replaces text if the text depends on the event.
	of func(e *audit.Event) string
	// more replaces the details. Nil returns the reason, the detail and the address.
	more func(e *audit.Event) []string
}

func (p phrase) say(e *audit.Event) []string {
	if p.more != nil {
		return details(p.more(e)...)
	}
	return details(reason(e.Reason), e.Detail, from(e))
}

func from(e *audit.Event) string {
	if e.Address == "" {
		return ""
	}
	return "from " + e.Address
}

// details removes empty texts, and full stops at the end.
func details(texts ...string) []string {
	var list []string
	for _, text := range texts {
		if text = strings.TrimSuffix(strings.TrimSpace(text), "."); text != "" {
			list = append(list, text)
		}
	}
	return list
}

// fill replaces the placeholders of a text.
func fill(text string, e *audit.Event) []Part {
	var parts []Part
	for text != "" {
		before, rest, found := strings.Cut(text, "{")
		if before != "" {
			parts = append(parts, Part{Text: before})
		}
		if !found {
			break
		}
		var name string
		name, text, _ = strings.Cut(rest, "}")
		part := named(name, e)
		if len(parts) == 0 && part.Thing == "" && part.Text != "" {
			part.Text = strings.ToUpper(part.Text[:1]) + part.Text[1:]
		}
		parts = append(parts, part)
	}
	return parts
}

func named(name string, e *audit.Event) Part {
	thing := func(t Thing, id, text, unknown string) Part {
		if text == "" {
			return Part{Text: unknown}
		}
		return Part{Text: text, Thing: t, ID: id}
	}
	switch name {
	case "actor":
		if e.ActorName != "" {
			return thing(User, e.ActorID, e.ActorName, "")
		}
		return thing(User, e.UserID, e.UserName, "an unknown user")
	case "user":
		return thing(User, e.UserID, e.UserName, "an unknown user")
	case "cluster":
		return thing(Cluster, e.ClusterID, e.ClusterID, "a cluster")
	case "client":
		return thing(Client, e.ClientID, e.ClientID, "an application")
	case "connector":
		return thing(Connector, e.ConnectorID, e.ConnectorID, "a connector")
	case "object":
		return thing(Cluster, e.ClusterID, strings.Join(details(e.ClusterID, request(e).object()), " / "), "a cluster")
	case "entry":
		return entry(e)
	}
	return Part{Text: e.Detail}
}

// The display names of entry kinds in the details of admin.changed.
var entryWords = map[string]string{
	"connectors": "the connector ", "clusters": "the cluster ", "rules": "the rule ", "clients": "the client ", "localUsers": "the local user ",
	"issuers": "the workload issuer ", "workloads": "the workload rule ", "general": "the settings ", "apps": "the app ",
}

// entry parses a detail such as "rules platform, revision 9".
func entry(e *audit.Event) Part {
	what, _, _ := strings.Cut(e.Detail, ", revision ")
	kind, id, _ := strings.Cut(what, " ")
	if kind == "" {
		return Part{Text: "the configuration"}
	}
	word, known := entryWords[kind]
	if !known {
		word = kind + " "
	}
	if id == "" || id == kind {
		return Part{Text: strings.TrimSpace(word), Thing: Entry, ID: kind + "/" + kind}
	}
	return Part{Text: word + id, Thing: Entry, ID: kind + "/" + id}
}

// reasons maps the fixed words that need an explanation.
var reasons = map[string]string{
	"no_access_rule": "no access rule covers the user", "no_admin_rule": "no admin rule covers the user", "not_signed_in": "not signed in", "read_only": "the configuration file manages everything",
	"too_many_failures": "too many failures, slowed down", "not_found": "the name or password is wrong", "unauthenticated": "the name or password is wrong", "unavailable": "the upstream does not answer",
	"revoked_by_admin": "", "revoked_by_person": "", "upstream_changed": "the upstream gave other groups or another name", "outage_budget_over": "the outage lasts too long to keep access",
	"another_proxys": "another proxy's recording", "full": "the cluster's recordings use all their room", "guard": "it would lock the admin out", "scope": "the token lacks the scope",
	"cross_site": "another site sent the request", "not_good": "the link is used or too old", "last": "the connector wants a second factor",
}

// reason formats a fixed word.
func reason(word string) string {
	if text, known := reasons[word]; known {
		return text
	}
	return strings.ReplaceAll(word, "_", " ")
}
