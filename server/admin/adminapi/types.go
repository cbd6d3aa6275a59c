package adminapi

import (
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// Entry is a configured entry without its secrets.
type Entry struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Document form.Doc `json:"document"`
	// Version must be sent back with a change.
	Version string `json:"version"`
	// ManagedBy is "pages", or the configuration file and line.
	ManagedBy string `json:"managedBy"`
}

// Entries is a page of entries.
type Entries struct {
	Items []Entry `json:"items"`
	Total int     `json:"total"`
	Page  int     `json:"page"`
	Pages int     `json:"pages"`
}

// Change is a proposed change.
type Change struct {
	Document form.Doc `json:"document"`
	Version  string   `json:"version,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

// Reason is the reason of a change, for the history.
type Reason struct {
	Reason string `json:"reason,omitempty"`
}

// Place is where to move an entry, counting from 1.
type Place struct {
	Position int    `json:"position"`
	Reason   string `json:"reason,omitempty"`
}

// Revision is a stored change.
type Revision struct {
	ID         string    `json:"id"`
	Number     int64     `json:"number"`
	Time       time.Time `json:"time"`
	Kind       string    `json:"kind"`
	ObjectID   string    `json:"objectID"`
	Action     string    `json:"action"`
	Author     string    `json:"author"`
	Reason     string    `json:"reason,omitempty"`
	Outcome    string    `json:"outcome"`
	TrialUntil time.Time `json:"trialUntil,omitzero"`
	Diff       []Field   `json:"diff,omitempty"`
	// Secret is the first secret of a new client. The server cannot show it again.
	Secret string `json:"secret,omitempty"`
}

func (r Revision) made() bool { return r.Action == store.ActionCreate && r.Diff == nil }

// Field is a changed field.
type Field struct {
	Label  string `json:"label"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Preview describes the effect of a change.
type Preview struct {
	Action    string              `json:"action"`
	Diff      []Field             `json:"diff,omitempty"`
	Sentences []string            `json:"sentences,omitempty"`
	People    map[string][]string `json:"people,omitempty"`
	Trial     bool                `json:"trial"`
	Refused   string              `json:"refused,omitempty"`
	Uses      []string            `json:"uses,omitempty"`
}

// ConnectorDraft is a connector with unsaved settings.
type ConnectorDraft struct {
	// ID is the id of the edited connector. Empty means a new one.
	ID       string   `json:"id,omitempty"`
	Document form.Doc `json:"document"`
	// Username is the user to look up.
	Username string `json:"username,omitempty"`
}

// Finding is the result of one step of a check.
type Finding struct {
	Step         string `json:"step"`
	State        string `json:"state"`
	Milliseconds int64  `json:"milliseconds"`
	Detail       string `json:"detail,omitempty"`
	Remedy       string `json:"remedy,omitempty"`
}

// Findings are the results of a check.
type Findings struct {
	Steps []Finding `json:"steps"`
}

// LookupResult is the result of a lookup.
type LookupResult struct {
	UserName string   `json:"userName,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Clusters []string `json:"clusters,omitempty"`
	Admin    bool     `json:"admin"`
	Warnings []string `json:"warnings,omitempty"`
	Fault    string   `json:"fault,omitempty"`
	Remedy   string   `json:"remedy,omitempty"`
}

// Secret is a new secret. The server cannot show it again.
type Secret struct {
	Secret string `json:"secret"`
}

// Proxy is an enrolled proxy. Away reports that the server has not heard from it for a minute.
type Proxy struct {
	ID       string    `json:"id"`
	Cluster  string    `json:"cluster"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Address  string    `json:"address"`
	Created  time.Time `json:"created"`
	LastSeen time.Time `json:"lastSeen"`
	Away     bool      `json:"away"`
}

// Proxies are the proxies of a cluster.
type Proxies struct {
	Items []Proxy `json:"items"`
}

// ClaimsQuestion names a user by user name, and a cluster or client by id.
type ClaimsQuestion struct {
	User    string `json:"user"`
	Cluster string `json:"cluster,omitempty"`
	Client  string `json:"client,omitempty"`
}

// Claims are the claims of an ID token. Refused says why the user would get no token.
type Claims struct {
	Refused string        `json:"refused,omitempty"`
	Claims  issuer.Claims `json:"claims"`
	Bytes   int           `json:"bytes"`
}

// ClientSecret describes a secret of a client, without the secret itself.
type ClientSecret struct {
	Hash     string    `json:"hash"`
	Label    string    `json:"label,omitempty"`
	Made     time.Time `json:"made,omitzero"`
	LastUsed time.Time `json:"lastUsed,omitzero"`
	Ends     time.Time `json:"ends,omitzero"`
}

// SecretLabel describes a new secret: its purpose, and its last day, such as 2027-05-31. Both may be empty.
type SecretLabel struct {
	Label string `json:"label,omitempty"`
	Ends  string `json:"ends,omitempty"`
}

// ClientSecrets are the secrets of a client.
type ClientSecrets struct {
	Items []ClientSecret `json:"items"`
}

// Person is a user.
type Person struct {
	ID            string    `json:"id"`
	UserName      string    `json:"userName"`
	Name          string    `json:"name,omitempty"`
	Email         string    `json:"email,omitempty"`
	EmailVerified bool      `json:"emailVerified"`
	Connector     string    `json:"connector"`
	Groups        []string  `json:"groups,omitempty"`
	Disabled      bool      `json:"disabled"`
	LastSignIn    time.Time `json:"lastSignIn,omitzero"`
	Admin         bool      `json:"admin,omitempty"`
	Clusters      []string  `json:"clusters,omitempty"`
	Sessions      []Session `json:"sessions,omitempty"`
}

// Session is a browser session or a device.
type Session struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Client   string    `json:"client,omitempty"`
	Host     string    `json:"host,omitempty"`
	Address  string    `json:"address,omitempty"`
	LastUsed time.Time `json:"lastUsed,omitzero"`
	Expires  time.Time `json:"expires"`
}

// People is a page of users.
type People struct {
	Items []Person `json:"items"`
	Total int64    `json:"total"`
	// Next is the value of "after" for the next page.
	Next string `json:"next,omitempty"`
}

// Count is how many entries an act has changed.
type Count struct {
	Count int `json:"count"`
}

// Revoke names the session or device to end. Empty ends all.
type Revoke struct {
	Session string `json:"session,omitempty"`
}

// Key is a signing key.
type Key struct {
	ID        string    `json:"id"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"`
	Created   time.Time `json:"created"`
	Signs     time.Time `json:"signs,omitzero"`
	Leaves    time.Time `json:"leaves,omitzero"`
}

// Keys are the signing keys.
type Keys struct {
	Items []Key `json:"items"`
}

// Rotate names the key's algorithm.
type Rotate struct {
	Algorithm string `json:"algorithm"`
}

// Event is an audit event.
type Event struct {
	Time   time.Time `json:"time"`
	Name   string    `json:"name"`
	User   string    `json:"user,omitempty"`
	UserID string    `json:"userID,omitempty"`
	// Actor is the user who acted, if that is not User.
	Actor     string `json:"actor,omitempty"`
	ActorID   string `json:"actorID,omitempty"`
	Address   string `json:"address,omitempty"`
	Connector string `json:"connector,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	Client    string `json:"client,omitempty"`
	RequestID string `json:"requestID,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Detail    string `json:"detail,omitempty"`
}

// Events is a page of audit events.
type Events struct {
	Items []Event `json:"items"`
	// Next is the value of "after" for the next page.
	Next string `json:"next,omitempty"`
}

// Revisions is a page of changes.
type Revisions struct {
	Items []Revision `json:"items"`
}

// Restore says which content to restore.
type Restore struct {
	// After restores the content after the change, instead of the content before it.
	After  bool   `json:"after,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Question is a question to the access simulator.
type Question struct {
	User      string   `json:"user,omitempty"`
	Connector string   `json:"connector,omitempty"`
	Groups    []string `json:"groups,omitempty"`
	Email     string   `json:"email,omitempty"`
	Cluster   string   `json:"cluster,omitempty"`
}

// Answer is the simulator's result for one cluster.
type Answer struct {
	Cluster string   `json:"cluster"`
	Allowed bool     `json:"allowed"`
	Rule    string   `json:"rule,omitempty"`
	Why     string   `json:"why"`
	Near    []string `json:"near,omitempty"`
}

// Answers are the simulator's results.
type Answers struct {
	Items []Answer `json:"items"`
	Admin bool     `json:"admin"`
}

// Text is an export.
type Text struct {
	YAML string `json:"yaml"`
}

// Import is a text to import.
type Import struct {
	// Format is fairlead, dex or gangway.
	Format string `json:"format,omitempty"`
	YAML   string `json:"yaml"`
	// Env are the values of environment variables that the text names.
	Env map[string]string `json:"env,omitempty"`
	// Reason is stored in the history. With a reason, connectors may be enabled without a test sign-in.
	Reason string `json:"reason,omitempty"`
	// Prune also deletes the entries of the pages that the text does not contain, of the kinds that it names.
	Prune  bool `json:"prune,omitempty"`
	DryRun bool `json:"dryRun,omitempty"`
}

// Imported is the result of an import or of its preview.
type Imported struct {
	Items []ImportedEntry `json:"items"`
	// Notes say what an admin must still do. Ignored name what the import does not take over.
	Notes   []string `json:"notes,omitempty"`
	Ignored []string `json:"ignored,omitempty"`
	// Variables are the environment variables that the text names.
	Variables []string `json:"variables,omitempty"`
	// Refused say why a preview cannot be imported.
	Refused []string `json:"refused,omitempty"`
}

// ImportedEntry is an entry of an import.
type ImportedEntry struct {
	Kind     string   `json:"kind"`
	ID       string   `json:"id"`
	Action   string   `json:"action"`
	Diff     []Field  `json:"diff,omitempty"`
	Problems []string `json:"problems,omitempty"`
}

// Notices are the problems that need attention.
type Notices struct {
	Items []Notice `json:"items"`
}

// Notice is a problem that needs attention.
type Notice struct {
	Urgent bool   `json:"urgent"`
	Text   string `json:"text"`
}

func entry(i admin.Item) Entry {
	by := "pages"
	if i.Origin.Origin == store.OriginFile {
		by = i.Origin.OriginRef
	}
	return Entry{ID: i.ID, Name: i.Name, Document: i.Doc, Version: i.Version, ManagedBy: by}
}

func diff(changes []form.Change) []Field {
	var list []Field
	for _, c := range changes {
		list = append(list, Field{c.Label, c.Before, c.After})
	}
	return list
}

func revision(r *store.Revision) Revision {
	return Revision{
		ID: r.ID, Number: r.Number, Time: r.Time.Time(), Kind: r.Kind, ObjectID: r.ObjectID, Action: r.Action, Author: r.AuthorName, Reason: r.Reason,
		Outcome: r.Outcome, TrialUntil: r.TrialUntil.Time(),
	}
}

func person(u *store.User) Person {
	return Person{
		ID: u.ID, UserName: u.KubeName, Name: u.DisplayName, Email: u.Email, EmailVerified: u.EmailVerified, Connector: u.ConnectorID, Groups: u.GroupNames,
		Disabled: u.Disabled, LastSignIn: u.LastSignIn.Time(),
	}
}

func finding(f connectors.Finding) Finding {
	return Finding{Step: f.Step, State: string(f.State), Milliseconds: f.Took.Milliseconds(), Detail: f.Detail, Remedy: f.Remedy}
}
