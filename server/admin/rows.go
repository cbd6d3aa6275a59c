package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// Level says how good a state is. Pages show it as a colour and a shape.
type Level string

// The levels. LevelOff is a state that is neither good nor bad, such as "disabled".
const (
	LevelGood    Level = "ok"
	LevelWarning Level = "warn"
	LevelBad     Level = "bad"
	LevelOff     Level = "off"
)

// RowState is the state of an entry in a list.
type RowState struct {
	Level Level
	// Key names the state for a filter. Text describes it, and may hold numbers.
	Key, Text string
}

// expiresSoon is how long before its end a secret or a token counts as a warning.
const (
	day         = 24 * time.Hour
	expiresSoon = 14 * day
)

// ClusterRow is a cluster in the list.
type ClusterRow struct {
	store.Cluster
	State RowState
	// LastUse is when a user last got a token for it; the zero time if no user ever did.
	LastUse time.Time
}

// ClusterRows returns all clusters by name.
func (a *Admin) ClusterRows(ctx context.Context, c Caller) ([]ClusterRow, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list clusters"); err != nil {
		return nil, err
	}
	clusters, err := a.Store.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	proxies, err := a.proxies(ctx, "")
	if err != nil {
		return nil, err
	}
	uses, err := a.Store.ClusterUses(ctx)
	if err != nil {
		return nil, err
	}
	all, away := map[string]int{}, map[string]int{}
	for _, p := range proxies {
		all[p.ClusterID]++
		if p.Away {
			away[p.ClusterID]++
		}
	}
	rows := make([]ClusterRow, len(clusters))
	for i, cluster := range clusters {
		rows[i] = ClusterRow{Cluster: cluster, State: clusterState(&cluster, all[cluster.ID], away[cluster.ID]), LastUse: uses[cluster.ID]}
	}
	return rows, nil
}

func clusterState(cluster *store.Cluster, proxies, away int) RowState {
	switch {
	case cluster.Mode != store.ModeProxy:
		return RowState{LevelOff, "direct", "Direct, without a proxy"}
	case proxies == 0:
		return RowState{LevelWarning, "none", "No proxy enrolled"}
	case away == proxies:
		return RowState{LevelBad, "away", fmt.Sprintf("%d of %d proxies connected", 0, proxies)}
	case away > 0:
		return RowState{LevelWarning, "partly", fmt.Sprintf("%d of %d proxies connected", proxies-away, proxies)}
	}
	return RowState{LevelGood, "connected", fmt.Sprintf("%d of %d proxies connected", proxies, proxies)}
}

// RuleRow is an access rule in the list.
type RuleRow struct {
	store.AccessRule
	State RowState
	// Users is how many users it covers, as of their last sign-in; Clusters how many
	// clusters it opens.
	Users, Clusters int
}

// RuleRows returns all rules in order.
func (a *Admin) RuleRows(ctx context.Context, c Caller) ([]RuleRow, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list rules"); err != nil {
		return nil, err
	}
	rules, err := a.Store.Rules(ctx)
	if err != nil {
		return nil, err
	}
	clusters, err := a.Store.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	coverage := access.NewCoverage(rules)
	if err := a.Store.EachUser(ctx, coverage.AddUser); err != nil {
		return nil, err
	}
	rows := make([]RuleRow, len(rules))
	for i := range rules {
		row := RuleRow{AccessRule: rules[i], Users: coverage.Users[i], Clusters: access.CountClusters(&rules[i], clusters)}
		row.State = ruleState(&row)
		rows[i] = row
	}
	return rows, nil
}

func ruleState(row *RuleRow) RowState {
	switch {
	case !row.Admin && row.Clusters == 0:
		return RowState{LevelWarning, "no-cluster", "Matches no cluster"}
	case row.Users == 0:
		return RowState{LevelWarning, "no-user", "Matches no user yet"}
	case row.Admin:
		return RowState{LevelGood, "admin", "Makes " + people(row.Users) + " admin"}
	}
	return RowState{LevelGood, "in-use", fmt.Sprintf("%s, %s", people(row.Users), plural(row.Clusters, "cluster", "clusters"))}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// ClientRow is a client in the list.
type ClientRow struct {
	store.Client
	State RowState
	// LastUse is when it last authenticated with a secret or key; the zero time if it never
	// did, or is public.
	LastUse time.Time
}

// ClientRows returns all clients by id.
func (a *Admin) ClientRows(ctx context.Context, c Caller) ([]ClientRow, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list clients"); err != nil {
		return nil, err
	}
	list, err := a.Store.Clients(ctx)
	if err != nil {
		return nil, err
	}
	uses, err := a.Store.LastUses(ctx)
	if err != nil {
		return nil, err
	}
	last := map[string]time.Time{}
	for name, at := range uses {
		if id, _, found := strings.Cut(strings.TrimPrefix(name, "client_secret/"), "/"); found && at.After(last[id]) {
			last[id] = at
		}
	}
	rows := make([]ClientRow, len(list))
	for i := range list {
		rows[i] = ClientRow{Client: list[i], State: a.clientState(&list[i]), LastUse: last[list[i].ID]}
	}
	return rows, nil
}

// clientState looks at when the client's secrets end. The one that lasts longest counts.
func (a *Admin) clientState(client *store.Client) RowState {
	if client.Public {
		return RowState{LevelGood, "public", "Public, without a secret"}
	}
	if client.KeySet != "" {
		return RowState{LevelGood, "ready", "Authenticates with a key"}
	}
	var last time.Time
	for _, hash := range client.SecretHashes {
		ends := client.SecretNotes.Of(hash).EndsAt()
		if ends.IsZero() {
			return RowState{LevelGood, "ready", plural(len(client.SecretHashes), "secret", "secrets")}
		}
		if ends.After(last) {
			last = ends
		}
	}
	return endState(last.Sub(a.Now()), "Secret")
}

// endState returns the state of an entry that expires after left.
func endState(left time.Duration, what string) RowState {
	days := int(left / day)
	switch {
	case left <= 0:
		return RowState{LevelBad, "expired", what + " expired"}
	case left < expiresSoon:
		return RowState{LevelWarning, "expires", what + " expires in " + plural(max(days, 1), "day", "days")}
	}
	return RowState{LevelGood, "ready", what + " valid for " + plural(days, "day", "days")}
}

// LocalUserRow is a local user in the list.
type LocalUserRow struct {
	store.LocalUser
	State RowState
	// UserID is that of the user who signs in with it; empty if none has yet.
	UserID     string
	LastSignIn time.Time
}

// LocalUserRows returns all local users by login.
func (a *Admin) LocalUserRows(ctx context.Context, c Caller) ([]LocalUserRow, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list local users"); err != nil {
		return nil, err
	}
	users, err := a.Store.LocalUsers(ctx)
	if err != nil {
		return nil, err
	}
	connectors, err := a.Store.Connectors(ctx)
	if err != nil {
		return nil, err
	}
	var local []string
	for _, connector := range connectors {
		if connector.Type == "local" {
			local = append(local, connector.ID)
		}
	}
	signedIn, err := a.Store.UsersByLogin(ctx, local)
	if err != nil {
		return nil, err
	}
	invited, err := a.Store.OpenLinks(ctx, store.LinkInvite, a.Now())
	if err != nil {
		return nil, err
	}
	rows := make([]LocalUserRow, len(users))
	for i, u := range users {
		person := signedIn[kubenames.Key(u.Login)]
		rows[i] = LocalUserRow{LocalUser: u, UserID: person.ID, LastSignIn: person.LastSignIn.Time(), State: localUserState(&u, &person, !invited[u.ID].IsZero())}
		rows[i].PasswordHash, rows[i].FileHash = "", ""
	}
	return rows, nil
}

func localUserState(u *store.LocalUser, person *store.User, invited bool) RowState {
	switch {
	case u.Disabled || person.Disabled:
		return RowState{LevelOff, "disabled", "Disabled"}
	case u.PasswordHash == "" && invited:
		return RowState{LevelWarning, "invited", "Invited, no password yet"}
	case u.PasswordHash == "":
		return RowState{LevelWarning, "new", "No password: create an invitation"}
	case person.ID == "":
		return RowState{LevelOff, "unused", "Never signed in"}
	}
	return RowState{LevelGood, "active", "Active"}
}
