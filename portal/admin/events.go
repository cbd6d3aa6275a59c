package admin

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/audit/sentence"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// EventPart is a piece of a sentence; Path is the page about what it names, or empty.
type EventPart struct{ Text, Path string }

// EventLine is an audit event, or several like it in a row, as a sentence.
type EventLine struct {
	Kind, Tone, Icon string
	Parts            []EventPart
	Details          string
	// Story is the page with all that happened in the same sign-in; Recording is that of the shell.
	Story, Recording string
	Time             time.Time
	// First is the time of the first of several events; zero for one.
	First time.Time
	// Times is how many events the line stands for.
	Times int
	// Day heads the first line of a day.
	Day time.Time
	// Fields are the stored record.
	Fields []EventField
}

// EventField is a field of a stored record.
type EventField struct{ Name, Value string }

// icons are the signs of the kinds.
var icons = map[sentence.Kind]string{
	sentence.SignIn: "✓", sentence.Refused: "✕", sentence.Tokens: "↻", sentence.Clusters: "▤", sentence.Shells: "⌘", sentence.Changes: "⇄", sentence.System: "⚙",
}

// lines writes events as sentences. Events in a row that say the same become one line.
func (h *Handler) lines(events []store.AuditEvent) []EventLine {
	var list []EventLine
	var last *store.AuditEvent
	day := ""
	for i := range events {
		e := &events[i]
		date := e.Time.Time().Format(time.DateOnly)
		if last != nil && date == day && alike(last, e) {
			line := &list[len(list)-1]
			line.Times++
			line.First = e.Time.Time()
			continue
		}
		line := h.line(e)
		if date != day {
			day, line.Day = date, e.Time.Time()
		}
		list, last = append(list, line), e
	}
	return list
}

// alike reports whether two events would be the same line.
func alike(a, b *store.AuditEvent) bool {
	return a.Name == b.Name && a.UserID == b.UserID && a.UserName == b.UserName && a.ActorName == b.ActorName && a.ClusterID == b.ClusterID && a.ClientID == b.ClientID &&
		a.ConnectorID == b.ConnectorID && a.Reason == b.Reason && a.Address == b.Address && (a.Detail == b.Detail || a.Name == string(audit.ProxyRequest) && a.Reason != "upgrade")
}

func (h *Handler) line(e *store.AuditEvent) EventLine {
	s := sentence.Of(audit.Event{
		Name: audit.Name(e.Name), UserID: e.UserID, UserName: e.UserName, ActorID: e.ActorID, ActorName: e.ActorName, ClientID: e.ClientID, ClusterID: e.ClusterID,
		ConnectorID: e.ConnectorID, Address: e.Address, Reason: e.Reason, Detail: e.Detail,
	})
	line := EventLine{Kind: s.Kind.Label(), Tone: string(s.Tone), Icon: icons[s.Kind], Details: strings.Join(s.Details, " · "), Time: e.Time.Time(), Times: 1}
	if s.Tone == sentence.Caution {
		line.Icon = "!"
	}
	for _, p := range s.Parts {
		line.Parts = append(line.Parts, EventPart{Text: p.Text, Path: h.pathOf(p)})
	}
	if e.SignInID != "" && e.UserID != "" {
		line.Story = h.Site.Path("/admin/audit/story/" + url.PathEscape(e.SignInID))
	}
	if id, _, found := strings.Cut(e.Detail, " "); found && e.Name == string(audit.RecordingKept) {
		line.Recording = h.Site.Path("/admin/recordings/" + url.PathEscape(id))
	}
	names, row := columns(), values(e)
	for i, name := range names {
		if row[i] != "" {
			line.Fields = append(line.Fields, EventField{name, row[i]})
		}
	}
	return line
}

// pathOf returns the page about what a part of a sentence names.
func (h *Handler) pathOf(p sentence.Part) string {
	if p.ID == "" {
		return ""
	}
	switch p.Thing {
	case sentence.User:
		return h.Site.Path("/admin/people/" + url.PathEscape(p.ID))
	case sentence.Cluster:
		return h.Site.Path("/admin/clusters/" + url.PathEscape(p.ID))
	case sentence.Connector:
		return h.Site.Path("/admin/connectors/" + url.PathEscape(p.ID))
	case sentence.Entry:
		kind, id, _ := strings.Cut(p.ID, "/")
		if k, known := settings.KindOf(kind); known {
			if id == kind {
				return h.Site.Path("/admin/" + k.Path)
			}
			return h.Site.Path("/admin/history?" + url.Values{"kind": {kind}, "object": {id}}.Encode())
		}
	case sentence.Recording:
		return h.Site.Path("/admin/recordings/" + url.PathEscape(p.ID))
	case sentence.Client:
	}
	return ""
}

// timesText says how many events a line stands for.
func timesText(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf("%d times", n)
}

// Repeated says how many events the line stands for; empty for one.
func (l EventLine) Repeated() string { return timesText(l.Times) }
