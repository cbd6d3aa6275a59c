package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/version"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// ClusterHealth describes the proxies of a cluster.
type ClusterHealth struct {
	Cluster store.Cluster
	// Proxies is the number of enrolled proxies. Away is the number of those without recent contact.
	Proxies, Away int
	// LastContact is the last contact of any proxy. It is zero without one.
	LastContact time.Time
	// RevocationDelay is how long a user can keep access after a revocation, at worst.
	RevocationDelay time.Duration
	// Old are the versions of proxies that differ from this server's version.
	Old []string
}

// connectedDelay is how soon a connected proxy applies a revocation.
const connectedDelay = time.Second

// ClusterHealth returns the health of each cluster, ordered by id.
func (a *Admin) ClusterHealth(ctx context.Context, c Caller) ([]ClusterHealth, error) {
	if err := a.authorize(ctx, c, ReadSettings, "read the health of clusters"); err != nil {
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
	of := map[string][]ProxyInfo{}
	for _, p := range proxies {
		of[p.ClusterID] = append(of[p.ClusterID], p)
	}
	list := make([]ClusterHealth, 0, len(clusters))
	for _, cluster := range clusters {
		list = append(list, healthOf(cluster, of[cluster.ID]))
	}
	return list, nil
}

func healthOf(cluster store.Cluster, proxies []ProxyInfo) ClusterHealth {
	h := ClusterHealth{Cluster: cluster, Proxies: len(proxies), RevocationDelay: max(cluster.TokenLife(), cluster.TokenFileLife())}
	seen := map[string]bool{}
	for _, p := range proxies {
		if p.Away {
			h.Away++
		}
		if at := p.LastSeen.Time(); at.After(h.LastContact) {
			h.LastContact = at
		}
		if p.Version != "" && p.Version != version.String() && !seen[p.Version] {
			seen[p.Version] = true
			h.Old = append(h.Old, p.Version)
		}
	}
	switch {
	case cluster.Mode != store.ModeProxy || len(proxies) == 0:
	case h.Away == 0:
		h.RevocationDelay = connectedDelay
	case cluster.FailClosed:
		h.RevocationDelay = min(h.RevocationDelay, cluster.Stale())
	}
	return h
}

// State returns the state of the cluster (ok, warn, bad or off) with a sentence. A cluster without a proxy is off,
// because the server has no information about it.
func (h *ClusterHealth) State() (state, why string) {
	switch {
	case h.Cluster.Mode != store.ModeProxy:
		return "off", "without a proxy: the server does not hear of it"
	case h.Proxies == 0:
		return "warn", "no proxy has enrolled"
	case h.Away == h.Proxies:
		return "bad", "no proxy is in touch"
	case h.Away > 0:
		return "warn", fmt.Sprintf("%d of %d proxies are not connected", h.Away, h.Proxies)
	case len(h.Old) > 0:
		return "ok", "in touch; a proxy has version " + strings.Join(h.Old, ", ")
	}
	return "ok", "in touch"
}
