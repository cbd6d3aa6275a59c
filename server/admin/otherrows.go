package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// WorkloadRow is a workload in the list.
type WorkloadRow struct {
	store.WorkloadRule
	State   RowState
	LastUse time.Time
}

// WorkloadRows returns all workloads in order.
func (a *Admin) WorkloadRows(ctx context.Context, c Caller) ([]WorkloadRow, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list workloads"); err != nil {
		return nil, err
	}
	rules, err := a.Store.WorkloadRules(ctx)
	if err != nil {
		return nil, err
	}
	uses, err := a.Store.LastUses(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]WorkloadRow, len(rules))
	for i, rule := range rules {
		rows[i] = WorkloadRow{WorkloadRule: rule, LastUse: uses[store.WorkloadRuleUseID(rule.ID)], State: RowState{LevelGood, "used", "In use"}}
		if rows[i].LastUse.IsZero() {
			rows[i].State = RowState{LevelOff, "unused", "Never used"}
		}
	}
	return rows, nil
}

// IssuerRow is a trusted issuer in the list.
type IssuerRow struct {
	store.TrustedIssuer
	State     RowState
	Workloads int
}

// IssuerRows returns all trusted issuers by id.
func (a *Admin) IssuerRows(ctx context.Context, c Caller) ([]IssuerRow, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list trusted issuers"); err != nil {
		return nil, err
	}
	set, err := a.Store.AllSettings(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]IssuerRow, len(set.Issuers))
	for i, issuer := range set.Issuers {
		rows[i] = IssuerRow{TrustedIssuer: issuer, State: RowState{LevelOff, "unused", "No workload uses it"}}
		for _, rule := range set.Workloads {
			if rule.IssuerID == issuer.ID {
				rows[i].Workloads++
			}
		}
		if rows[i].Workloads > 0 {
			rows[i].State = RowState{LevelGood, "used", plural(rows[i].Workloads, "workload", "workloads")}
		}
	}
	return rows, nil
}

// ProxyRow is a proxy in the list.
type ProxyRow struct {
	ProxyInfo
	State RowState
}

// ProxyRows returns all proxies by cluster.
func (a *Admin) ProxyRows(ctx context.Context, c Caller) ([]ProxyRow, error) {
	list, err := a.Proxies(ctx, c, "") // checks the right
	if err != nil {
		return nil, err
	}
	rows := make([]ProxyRow, len(list))
	for i, p := range list {
		rows[i] = ProxyRow{ProxyInfo: p, State: RowState{LevelGood, "connected", "Connected"}}
		if p.Away {
			rows[i].State = RowState{LevelBad, "away", "Not connected"}
		}
	}
	return rows, nil
}

// TokenRow is an API token in the list.
type TokenRow struct {
	store.APIToken
	State RowState
	// Owner is the user whose rights it has.
	Owner string
}

// TokenRows returns the API tokens that are valid, the newest first.
func (a *Admin) TokenRows(ctx context.Context, c Caller) ([]TokenRow, error) {
	tokens, err := a.APITokens(ctx, c) // checks the right
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, t := range tokens {
		ids = append(ids, t.UserID)
	}
	users, err := a.Store.UsersByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]TokenRow, len(tokens))
	for i, t := range tokens {
		rows[i] = TokenRow{APIToken: t, State: endState(t.Expires.Time().Sub(a.Now()), "Token")}
		if at := slices.IndexFunc(users, func(u store.User) bool { return u.ID == t.UserID }); at >= 0 {
			rows[i].Owner = users[at].KubeName
		}
	}
	return rows, nil
}

// GroupRow is a group in the list.
type GroupRow struct {
	store.Group
	State RowState
	// Rules are the ids of the access rules that name it.
	Rules []string
}

// GroupRows returns the groups of users who have signed in and of access rules, by name. Groups of a rule without
// any user come first, because they are often misspelt.
func (a *Admin) GroupRows(ctx context.Context, c Caller) ([]GroupRow, error) {
	if err := a.authorize(ctx, c, ReadPeople, "list groups"); err != nil {
		return nil, err
	}
	groups, _, err := a.Store.Groups(ctx, "", 0, maxGroups)
	if err != nil {
		return nil, err
	}
	rules, err := a.Store.Rules(ctx)
	if err != nil {
		return nil, err
	}
	named := map[string][]string{}
	for i := range rules {
		for _, group := range rules[i].GroupNames {
			named[group] = append(named[group], rules[i].ID)
		}
	}
	rows := make([]GroupRow, 0, len(groups))
	for _, group := range groups {
		row := GroupRow{Group: group, Rules: named[group.Name], State: RowState{LevelGood, "used", "Gives access"}}
		if len(row.Rules) == 0 {
			row.State = RowState{LevelOff, "unused", "No rule names it"}
		}
		delete(named, group.Name)
		rows = append(rows, row)
	}
	for group, ids := range named {
		rows = append(rows, GroupRow{Group: store.Group{Name: group}, Rules: ids, State: RowState{LevelWarning, "empty", "No user has it"}})
	}
	slices.SortFunc(rows, func(x, y GroupRow) int {
		if x.Users == 0 || y.Users == 0 {
			return cmp.Or(cmp.Compare(min(x.Users, 1), min(y.Users, 1)), cmp.Compare(x.Name, y.Name))
		}
		return cmp.Compare(x.Name, y.Name)
	})
	return rows, nil
}

// maxGroups bounds the list of groups.
const maxGroups = 10000

// ConnectorRows returns the connectors in the order of the sign-in page, with the number of
// users of each.
func (a *Admin) ConnectorRows(ctx context.Context, c Caller) ([]ConnectorRow, error) {
	infos, err := a.Connectors(ctx, c) // checks the right
	if err != nil {
		return nil, err
	}
	counts, err := a.Store.CountUsersByConnector(ctx)
	if err != nil {
		return nil, err
	}
	states := map[ConnectorState]RowState{
		StateDraft:   {LevelOff, "draft", "Draft, not tested"},
		StateTested:  {LevelWarning, "tested", "Tested, not enabled"},
		StateEnabled: {LevelGood, "enabled", "Enabled"},
		StateFailing: {LevelBad, "failing", "Failing"},
	}
	rows := make([]ConnectorRow, len(infos))
	for i, info := range infos {
		rows[i] = ConnectorRow{ConnectorInfo: info, Row: states[info.State], Users: counts[info.ID]}
	}
	return rows, nil
}

// ConnectorRow is a connector in the list.
type ConnectorRow struct {
	ConnectorInfo
	Row RowState
	// Users is the number of active users who signed in through the connector.
	Users int64
}

// countNoun returns the noun for a number of entries of a kind.
func countNoun(kind string, n int) string {
	k, _ := settings.KindOf(kind)
	if n == 1 {
		return "1 " + k.One
	}
	return fmt.Sprintf("%d %s", n, strings.ToLower(k.Many))
}
