package admin

import (
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// rowsByKey returns the rows of a configuration by settings.EntryKey.
func rowsByKey(set store.Settings) map[string]any {
	rows := map[string]any{}
	addRows(rows, settings.Connectors, set.Connectors, func(r *store.Connector) string { return r.ID })
	addRows(rows, settings.Clusters, set.Clusters, func(r *store.Cluster) string { return r.ID })
	addRows(rows, settings.Rules, set.Rules, func(r *store.AccessRule) string { return r.ID })
	addRows(rows, settings.Clients, set.Clients, func(r *store.Client) string { return r.ID })
	addRows(rows, settings.Issuers, set.Issuers, func(r *store.TrustedIssuer) string { return r.ID })
	addRows(rows, settings.Workloads, set.Workloads, func(r *store.WorkloadRule) string { return r.ID })
	addRows(rows, settings.General, set.Documents, func(r *store.Document) string { return r.ID })
	addRows(rows, settings.LocalUsers, set.LocalUsers, func(r *store.LocalUser) string { return r.Login })
	return rows
}

func addRows[T any](rows map[string]any, kind string, list []T, id func(*T) string) {
	for i := range list {
		rows[settings.EntryKey(kind, id(&list[i]))] = &list[i]
	}
}
