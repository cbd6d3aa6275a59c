package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/version"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// ClusterHealth is how a cluster is, as far as the server knows.
type ClusterHealth struct {
	Cluster store.Cluster
	// Proxies are how many have enrolled, Away how many of them are not in touch.
	Proxies, Away int
	// LastContact is when a proxy was last heard of; zero without one.
	LastContact time.Time
	// CutOff is how long a revoked user keeps access at worst.
	CutOff time.Duration
	// Old are the versions of proxies that are not this server's.
	Old []string
}

// aSecond is how soon a proxy that is in touch acts on a revocation.
const aSecond = time.Second

// ClusterHealth returns how each cluster is, in the order of their ids.
func (a *Admin) ClusterHealth(ctx context.Context, c Caller) ([]ClusterHealth, error) {
	if err := a.may(ctx, c, ReadSettings, "read the health of clusters"); err != nil {
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
	h := ClusterHealth{Cluster: cluster, Proxies: len(proxies), CutOff: max(cluster.TokenLife(), cluster.TokenFileLife())}
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
		h.CutOff = aSecond
	case cluster.FailClosed:
		h.CutOff = min(h.CutOff, cluster.Stale())
	}
	return h
}

// State says in a word and a sentence how the cluster is: ok, warn, bad or off. A cluster without
// a proxy is off: the server hears nothing of it.
func (h *ClusterHealth) State() (state, why string) {
	switch {
	case h.Cluster.Mode != store.ModeProxy:
		return "off", "without a proxy: the server does not hear of it"
	case h.Proxies == 0:
		return "warn", "no proxy has enrolled"
	case h.Away == h.Proxies:
		return "bad", "no proxy is in touch"
	case h.Away > 0:
		return "warn", fmt.Sprintf("%d of %d proxies are not in touch", h.Away, h.Proxies)
	case len(h.Old) > 0:
		return "ok", "in touch; a proxy has version " + strings.Join(h.Old, ", ")
	}
	return "ok", "in touch"
}
