package admin

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Notice is a problem that needs an admin's attention.
type Notice struct {
	// Urgent notices come first and are red.
	Urgent bool
	Text   string
	// Path is the page about the problem, below /admin. Label is the text of the link.
	Path, Label string
	// Due is when the problem becomes serious. Zero means now.
	Due time.Time
}

// Todo is a step of the setup.
type Todo struct {
	Text, Path string
	Done       bool
}

// Overview is the data of the first admin page.
type Overview struct {
	Todos   []Todo
	Notices []Notice
	Events  []store.AuditEvent
	People  int64
	// SignIns counts the sign-ins of the last day by connector.
	SignIns []Count
}

// Count is a name and a number.
type Count struct {
	Name string
	N    int64
}

// The time spans of the overview.
const (
	verifyEvery   = 90 * 24 * time.Hour
	recoveryShown = 7 * 24 * time.Hour
	lastEvents    = 10
)

// Overview returns the problems, setup steps and numbers of the first admin page.
func (a *Admin) Overview(ctx context.Context, c Caller) (*Overview, error) {
	infos, err := a.Connectors(ctx, c) // checks the right
	if err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	o := &Overview{}
	if o.Events, err = a.Store.FindEvents(ctx, store.EventQuery{Limit: lastEvents}); err != nil {
		return nil, err
	}
	if _, o.People, err = a.Store.FindUsers(ctx, store.UserQuery{Limit: 1}); err != nil {
		return nil, err
	}
	accounts, err := a.Store.RecoveryAccounts(ctx)
	if err != nil {
		return nil, err
	}
	o.Todos = todos(infos, set, accounts)
	if o.SignIns, err = a.signIns(ctx, infos); err != nil {
		return nil, err
	}
	return o, a.notices(ctx, o, infos, set, accounts)
}

func todos(infos []ConnectorInfo, set store.Settings, accounts []store.RecoveryAccount) []Todo {
	return []Todo{
		{"Create a recovery account, so that you can sign in when no connector works", "/recovery", len(accounts) > 0},
		{"Add a connector for your identity provider, and test it", "/connectors", slices.ContainsFunc(infos, func(i ConnectorInfo) bool { return i.State == StateEnabled })},
		{"Add a cluster", "/clusters", len(set.Clusters) > 0},
		{"Create an access rule, so that users can use it", "/rules", slices.ContainsFunc(set.Rules, func(r store.AccessRule) bool { return !r.Admin })},
		{"Create an admin rule, so that admins sign in with their own accounts", "/rules", hasAdmins(set)},
	}
}

func (a *Admin) signIns(ctx context.Context, infos []ConnectorInfo) ([]Count, error) {
	rows, err := a.Store.EventCounts(ctx, store.CountQuery{From: store.At(a.Now().UTC().Truncate(time.Hour).Add(-23 * time.Hour)), Names: []string{string(audit.SignInSucceeded)}})
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, row := range rows {
		counts[row.ConnectorID] += row.Events
	}
	var list []Count
	for _, info := range infos {
		list = append(list, Count{info.Name, counts[info.ID]})
	}
	return list, nil
}

func (a *Admin) notices(ctx context.Context, o *Overview, infos []ConnectorInfo, set store.Settings, accounts []store.RecoveryAccount) error {
	add := func(n Notice) { o.Notices = append(o.Notices, n) }
	if fault := a.FileFault(); fault != "" {
		add(Notice{Urgent: true, Text: "The configuration file has faults, so its previous version stays in effect. " + fault, Path: "/diagnostics", Label: "Diagnostics"})
	}
	if strings.HasPrefix(a.URL, "http://") {
		add(Notice{Text: "Browsers reach this server without TLS (" + a.URL + "). Use https:// unless you try Fairlead out on this computer.", Path: "/diagnostics", Label: "Diagnostics"})
	}
	for _, i := range infos {
		if i.State == StateFailing {
			add(Notice{Urgent: true, Text: fmt.Sprintf("%s fails since %s: %s", i.Name, i.Since.UTC().Format("2 Jan 15:04 UTC"), i.Fault), Path: "/connectors/" + i.ID, Label: i.Name})
		}
	}
	if len(accounts) > 0 && !slices.ContainsFunc(accounts, func(r store.RecoveryAccount) bool { return a.Now().Sub(r.Verified.Time()) < verifyEvery }) {
		add(Notice{Text: "The recovery account was not used for 90 days. Sign in with it once to check that it works.", Path: "/recovery", Label: "Recovery"})
	}
	if len(set.Clusters) > 0 && !hasAdmins(set) {
		add(Notice{Text: "There is no admin rule, so only the recovery account can open these pages. Create an admin rule.", Path: "/rules/new?admin=yes", Label: "Create an admin rule"})
	}
	o.Notices = append(o.Notices, a.dangers(set)...)
	o.Notices = append(o.Notices, a.certificates(set)...)
	proxies, err := a.proxyNotices(ctx)
	if err != nil {
		return err
	}
	o.Notices = append(o.Notices, proxies...)
	return a.eventNotices(ctx, o)
}

func (a *Admin) eventNotices(ctx context.Context, o *Overview) error {
	trials, err := a.Store.Revisions(ctx, store.RevisionQuery{Trials: true, Limit: PageSize})
	if err != nil {
		return err
	}
	for _, r := range trials {
		o.Notices = append(o.Notices, Notice{
			Urgent: true, Text: fmt.Sprintf("A change of the %s %s is on trial until %s.", KindLabel(r.Kind), r.ObjectID, r.TrialUntil.Time().Format("15:04 UTC")),
			Path: "/history/" + r.ID, Label: "Confirm it or take it back",
		})
	}
	used, err := a.Store.FindEvents(ctx, store.EventQuery{Names: []string{string(audit.RecoveryUsed)}, From: store.At(a.Now().Add(-recoveryShown)), Limit: lastEvents})
	if err != nil {
		return err
	}
	for _, e := range used {
		o.Notices = append(o.Notices, Notice{
			Text: fmt.Sprintf("%s was used on %s from %s.", e.UserName, e.Time.Time().Format("2 Jan 15:04 UTC"), e.Address),
			Path: "/audit?name=recovery.", Label: "Audit log",
		})
	}
	slices.SortStableFunc(o.Notices, func(x, y Notice) int {
		if x.Urgent != y.Urgent {
			if x.Urgent {
				return -1
			}
			return 1
		}
		return x.Due.Compare(y.Due)
	})
	return nil
}

// dangers returns notices for insecure switches that are on.
func (a *Admin) dangers(set store.Settings) []Notice {
	var list []Notice
	docs := settings.Documents(set)
	for _, k := range settings.Kinds() {
		for _, e := range docs[k.Name] {
			for _, f := range settings.Fields(k.Name, a.Types, e.Doc) {
				if f.Danger != "" && e.Doc.Get(f.Key) == true {
					list = append(list, Notice{Text: fmt.Sprintf("%s %s: “%s” is on. %s", k.One, e.ID, f.Label, f.Danger), Path: "/" + k.Path + "/" + e.ID, Label: e.ID})
				}
			}
		}
	}
	return list
}

// remindDays is the number of days before an expiry from which a notice is shown.
const remindDays = 30

// Expiry is the end of a certificate or a secret in the configuration.
type Expiry struct {
	Kind, ID, Label string
	Ends            time.Time
}

// Expiries lists the configured certificates and secrets that expire.
func (a *Admin) Expiries(set store.Settings) []Expiry {
	var list []Expiry
	docs := settings.Documents(set)
	for _, k := range settings.Kinds() {
		for _, e := range docs[k.Name] {
			for _, f := range settings.Fields(k.Name, a.Types, e.Doc) {
				if ends := endOf(f, e.Doc.Text(f.Key)); !ends.IsZero() {
					list = append(list, Expiry{k.Name, e.ID, f.Label, ends})
				}
			}
		}
	}
	for i := range set.Clients {
		for _, n := range set.Clients[i].SecretNotes {
			if ends := n.EndsAt(); !ends.IsZero() {
				list = append(list, Expiry{settings.Clients, set.Clients[i].ID, strings.TrimSpace("Secret " + cmp.Or(n.Label, n.Hash)), ends})
			}
		}
	}
	return list
}

// endOf returns the expiry of a field's value, if it has one.
func endOf(f form.Field, value string) time.Time {
	if f.Kind == form.PEM {
		return firstEnd(value)
	}
	day, err := time.Parse(time.DateOnly, value)
	if f.Kind != form.Date || err != nil {
		return time.Time{}
	}
	return day.AddDate(0, 0, 1)
}

// firstEnd returns the latest expiry of several certificates, because two of them are present during a replacement.
func firstEnd(text string) time.Time {
	var ends time.Time
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return ends
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && c.NotAfter.After(ends) {
			ends = c.NotAfter
		}
	}
}

func (a *Admin) certificates(set store.Settings) []Notice {
	var list []Notice
	for _, e := range a.Expiries(set) {
		days := int(e.Ends.Sub(a.Now()).Hours() / 24)
		if days >= remindDays {
			continue
		}
		text := fmt.Sprintf("%s of the %s %s ends in %d days.", e.Label, KindLabel(e.Kind), e.ID, days)
		if days < 0 {
			text = fmt.Sprintf("%s of the %s %s ended on %s.", e.Label, KindLabel(e.Kind), e.ID, e.Ends.Format("2 Jan 2006"))
		}
		k, _ := settings.KindOf(e.Kind)
		list = append(list, Notice{Urgent: days < 7, Text: text, Path: "/" + k.Path + "/" + e.ID, Label: e.ID, Due: e.Ends})
	}
	return list
}
