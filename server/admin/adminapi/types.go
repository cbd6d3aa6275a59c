package adminapi

import (
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
)

// Entry is a configured thing, without its secrets.
type Entry struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Document form.Doc `json:"document"`
	// Version has to be sent back with a change.
	Version string `json:"version"`
	// ManagedBy is "pages", or the file and line.
	ManagedBy string `json:"managedBy"`
}

// Entries is a page of them.
type Entries struct {
	Items []Entry `json:"items"`
	Total int     `json:"total"`
	Page  int     `json:"page"`
	Pages int     `json:"pages"`
}

// Change is a change that is wanted.
type Change struct {
	Document form.Doc `json:"document"`
	Version  string   `json:"version,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

// Reason says why, for the history.
type Reason struct {
	Reason string `json:"reason,omitempty"`
}

// Revision is a change that was made.
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
	// Secret is the first secret of a client, shown this once.
	Secret string `json:"secret,omitempty"`
}

func (r Revision) made() bool { return r.Action == store.ActionCreate && r.Diff == nil }

// Field is a field that differs.
type Field struct {
	Label  string `json:"label"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Preview is what a change would do.
type Preview struct {
	Action    string              `json:"action"`
	Diff      []Field             `json:"diff,omitempty"`
	Sentences []string            `json:"sentences,omitempty"`
	People    map[string][]string `json:"people,omitempty"`
	Trial     bool                `json:"trial"`
	Refused   string              `json:"refused,omitempty"`
	Uses      []string            `json:"uses,omitempty"`
}

// Trying is a connector with settings that need not be saved.
type Trying struct {
	// ID is the connector that is edited; empty for a new one.
	ID       string   `json:"id,omitempty"`
	Document form.Doc `json:"document"`
	// Username is looked up.
	Username string `json:"username,omitempty"`
}

// Finding is a step of a check.
type Finding struct {
	Step         string `json:"step"`
	State        string `json:"state"`
	Milliseconds int64  `json:"milliseconds"`
	Detail       string `json:"detail,omitempty"`
	Remedy       string `json:"remedy,omitempty"`
}

// Findings are the steps of a check.
type Findings struct {
	Steps []Finding `json:"steps"`
}

// Found is who was looked up.
type Found struct {
	UserName string   `json:"userName,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Clusters []string `json:"clusters,omitempty"`
	Admin    bool     `json:"admin"`
	Warnings []string `json:"warnings,omitempty"`
	Fault    string   `json:"fault,omitempty"`
	Remedy   string   `json:"remedy,omitempty"`
}

// Secret is shown this once.
type Secret struct {
	Secret string `json:"secret"`
}

// Proxy is a proxy that has enrolled. Away says that it was not heard of for a minute.
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

// Proxies are those of a cluster.
type Proxies struct {
	Items []Proxy `json:"items"`
}

// ClaimsQuestion is about whom, by user name, and for which cluster or client, by id.
type ClaimsQuestion struct {
	User    string `json:"user"`
	Cluster string `json:"cluster,omitempty"`
	Client  string `json:"client,omitempty"`
}

// Claims are what an ID token would say. Refused says why there would be none.
type Claims struct {
	Refused string        `json:"refused,omitempty"`
	Claims  issuer.Claims `json:"claims"`
	Bytes   int           `json:"bytes"`
}

// ClientSecret is a secret of a client, without itself.
type ClientSecret struct {
	Hash     string    `json:"hash"`
	Label    string    `json:"label,omitempty"`
	Made     time.Time `json:"made,omitzero"`
	LastUsed time.Time `json:"lastUsed,omitzero"`
	Ends     time.Time `json:"ends,omitzero"`
}

// SecretLabel says what a new secret is for, and on which day it ends, such as
// 2027-05-31; both may be left out.
type SecretLabel struct {
	Label string `json:"label,omitempty"`
	Ends  string `json:"ends,omitempty"`
}

// ClientSecrets are those of a client.
type ClientSecrets struct {
	Items []ClientSecret `json:"items"`
}

// Person is somebody who has signed in.
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

// Session is a browser's sign-in or a device.
type Session struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Client   string    `json:"client,omitempty"`
	Host     string    `json:"host,omitempty"`
	Address  string    `json:"address,omitempty"`
	LastUsed time.Time `json:"lastUsed,omitzero"`
	Expires  time.Time `json:"expires"`
}

// People is a page of them.
type People struct {
	Items []Person `json:"items"`
	Total int64    `json:"total"`
	// Next is the value of "after" for the next page.
	Next string `json:"next,omitempty"`
}

// Revoke says what to end; empty ends everything.
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

// Rotate says which key.
type Rotate struct {
	Algorithm string `json:"algorithm"`
}

// Event is an audit event.
type Event struct {
	Time   time.Time `json:"time"`
	Name   string    `json:"name"`
	User   string    `json:"user,omitempty"`
	UserID string    `json:"userID,omitempty"`
	// Actor is the user who acted, where that is not User.
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

// Events is a page of them.
type Events struct {
	Items []Event `json:"items"`
	// Next is the value of "after" for the next page.
	Next string `json:"next,omitempty"`
}

// Revisions is a page of changes.
type Revisions struct {
	Items []Revision `json:"items"`
}

// Restore says which side of a revision to go back to.
type Restore struct {
	// After restores what the revision made; else what was before it.
	After  bool   `json:"after,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Question is what the simulator is asked.
type Question struct {
	User      string   `json:"user,omitempty"`
	Connector string   `json:"connector,omitempty"`
	Groups    []string `json:"groups,omitempty"`
	Email     string   `json:"email,omitempty"`
	Cluster   string   `json:"cluster,omitempty"`
}

// Answer is the simulator's for one cluster.
type Answer struct {
	Cluster string   `json:"cluster"`
	Allowed bool     `json:"allowed"`
	Rule    string   `json:"rule,omitempty"`
	Why     string   `json:"why"`
	Near    []string `json:"near,omitempty"`
}

// Answers are the simulator's.
type Answers struct {
	Items []Answer `json:"items"`
	Admin bool     `json:"admin"`
}

// Text is an export.
type Text struct {
	YAML string `json:"yaml"`
}

// Import is what is imported.
type Import struct {
	// Format is fairlead, dex or gangway.
	Format string `json:"format,omitempty"`
	YAML   string `json:"yaml"`
	Prune  bool   `json:"prune,omitempty"`
	DryRun bool   `json:"dryRun,omitempty"`
}

// Imported is what an import did, or would do.
type Imported struct {
	Items []ImportedEntry `json:"items"`
	Notes []string        `json:"notes,omitempty"`
}

// ImportedEntry is an entry of an import.
type ImportedEntry struct {
	Kind     string   `json:"kind"`
	ID       string   `json:"id"`
	Action   string   `json:"action"`
	Diff     []Field  `json:"diff,omitempty"`
	Problems []string `json:"problems,omitempty"`
}

// Notices are what needs attention.
type Notices struct {
	Items []Notice `json:"items"`
}

// Notice is something that needs attention.
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
