package admin

import (
	"context"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Counts holds the number of entries of each kind, and of those that need attention.
type Counts struct {
	store.EntryCounts
	// FailingConnectors are enabled connectors whose last use failed. SilentProxies are proxies
	// that have not contacted the server for a minute.
	FailingConnectors, SilentProxies int
	Proxies                          int64
}

// Counts returns the numbers in the navigation of the admin pages.
func (a *Admin) Counts(ctx context.Context, c Caller) (Counts, error) {
	if err := a.authorize(ctx, c, ReadSettings, "count entries"); err != nil {
		return Counts{}, err
	}
	counts, err := a.Store.CountEntries(ctx)
	if err != nil {
		return Counts{}, err
	}
	result := Counts{EntryCounts: counts}
	rows, err := a.Store.Connectors(ctx)
	if err != nil {
		return Counts{}, err
	}
	for _, row := range rows {
		if _, fault := a.Upstream.Fault(row.ID); row.Enabled && fault != nil {
			result.FailingConnectors++
		}
	}
	proxies, err := a.proxies(ctx, "")
	if err != nil {
		return Counts{}, err
	}
	result.Proxies = int64(len(proxies))
	for _, proxy := range proxies {
		if proxy.Away {
			result.SilentProxies++
		}
	}
	return result, nil
}
