package upstream

import (
	"context"
	"slices"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// maxLeftOut is how many dropped groups are remembered for a connector. Users who can create groups upstream could
// otherwise fill the memory.
const maxLeftOut = 50

// LeftOut returns the groups of a connector that this replica has dropped since it started, because clusters must
// not see their names.
func (g *Registry) LeftOut(id string) []connectors.LeftOutGroup {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.leftOut[id])
}

// recordLeftOut remembers dropped groups, and audits each the first time.
func (g *Registry) recordLeftOut(ctx context.Context, row *store.Connector, groups []connectors.LeftOutGroup) {
	for _, group := range groups {
		if g.rememberLeftOut(row.ID, group) {
			g.cfg.Audit.Record(ctx, audit.Event{Name: audit.GroupLeftOut, ConnectorID: row.ID, Reason: "unusable_name", Detail: "The group name \"" + group.Name + "\" " + group.Reason + "."})
		}
	}
}

func (g *Registry) rememberLeftOut(id string, group connectors.LeftOutGroup) (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.leftOut[id]) >= maxLeftOut || slices.Contains(g.leftOut[id], group) {
		return false
	}
	g.leftOut[id] = append(g.leftOut[id], group)
	return true
}
