package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// enrolLife is the lifetime of an enrolment code.
const enrolLife = time.Hour

// awayAfter is the time without contact after which a proxy counts as away. A proxy polls at least every twenty
// seconds.
const awayAfter = time.Minute

// EnrolmentCode creates a one-time code with which a proxy enrols for a cluster. It invalidates earlier codes for
// the cluster.
func (a *Admin) EnrolmentCode(ctx context.Context, c Caller, clusterID string) (string, error) {
	if err := a.authorize(ctx, c, WriteSettings, "make an enrolment code for "+clusterID); err != nil {
		return "", err
	}
	if _, err := a.Store.Cluster(ctx, clusterID); err != nil {
		return "", err
	}
	return a.link(ctx, c, newLink{purpose: store.LinkEnrol, subject: clusterID, name: clusterID, life: enrolLife})
}

// ProxyInfo is a proxy with its state.
type ProxyInfo struct {
	store.Proxy
	// Away reports that the server has not heard from the proxy recently.
	Away bool
}

// Proxies lists the proxies of a cluster, or all proxies if clusterID is empty.
func (a *Admin) Proxies(ctx context.Context, c Caller, clusterID string) ([]ProxyInfo, error) {
	if err := a.authorize(ctx, c, ReadSettings, "list proxies of "+clusterID); err != nil {
		return nil, err
	}
	return a.proxies(ctx, clusterID)
}

func (a *Admin) proxies(ctx context.Context, clusterID string) ([]ProxyInfo, error) {
	rows, err := a.Store.Proxies(ctx, clusterID)
	if err != nil {
		return nil, err
	}
	var list []ProxyInfo
	for _, row := range rows {
		list = append(list, ProxyInfo{Proxy: row, Away: a.Now().Sub(row.LastSeen.Time()) > awayAfter})
	}
	return list, nil
}

// RemoveProxy deletes a proxy's identity. The proxy then receives no revocations and behaves as its cluster is
// configured for that case.
func (a *Admin) RemoveProxy(ctx context.Context, c Caller, id string) error {
	if err := a.authorize(ctx, c, WriteSettings, "remove proxy "+id); err != nil {
		return err
	}
	proxy, err := a.Store.Proxy(ctx, id)
	if err != nil {
		return err
	}
	there, err := a.Store.RemoveProxy(ctx, id)
	if err != nil {
		return err
	}
	if !there {
		return errs.New(errs.NotFound, "There is nothing to remove: this proxy has already been removed. Reload the page.")
	}
	event := c.event(audit.ProxyRemoved)
	event.ClusterID, event.Detail = proxy.ClusterID, id+" "+proxy.Name
	a.Audit.Record(ctx, event)
	return nil
}

// RevocationDelay describes how long a user can keep access to a cluster after a revocation, at worst.
func RevocationDelay(cluster *store.Cluster, proxies []ProxyInfo) string {
	life := span(max(cluster.TokenLife(), cluster.TokenFileLife()))
	if cluster.Mode != store.ModeProxy {
		return "A user whose access is revoked gets no new token. The API server accepts their last token for up to " + life + ", and a running shell continues until it is closed."
	}
	if len(proxies) == 0 {
		return "No proxy has enrolled, so revocations don’t reach the cluster: a token is valid for up to " + life + ", and a running shell continues until it is closed. Enrol the proxies to end access within about a second."
	}
	away := 0
	for _, p := range proxies {
		if p.Away {
			away++
		}
	}
	text := "When a user’s access is revoked, connected proxies close their shells and refuse their tokens within about a second."
	if away > 0 {
		text += fmt.Sprintf(" %d of %d proxies are not connected.", away, len(proxies))
	}
	if cluster.FailClosed {
		return text + " A disconnected proxy refuses every request after " + span(cluster.Stale()) + "."
	}
	return text + " A disconnected proxy accepts tokens for up to " + life + ", and keeps running shells open until it is connected again."
}

func span(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d min", (d+time.Minute-1)/time.Minute)
}

// proxyNotices returns a notice for each cluster with proxies that are away.
func (a *Admin) proxyNotices(ctx context.Context) ([]Notice, error) {
	list, err := a.proxies(ctx, "")
	if err != nil {
		return nil, err
	}
	all, away := map[string]int{}, map[string]int{}
	var order []string
	for _, p := range list {
		if all[p.ClusterID] == 0 {
			order = append(order, p.ClusterID)
		}
		all[p.ClusterID]++
		if p.Away {
			away[p.ClusterID]++
		}
	}
	var notices []Notice
	for _, id := range order {
		if away[id] > 0 {
			notices = append(notices, Notice{
				Urgent: away[id] == all[id], Text: fmt.Sprintf("%d of %d proxies of the cluster %s have not checked in for a minute.", away[id], all[id], id),
				Path: "/clusters/" + id + "/connect", Label: "Proxies of " + id,
			})
		}
	}
	return notices, nil
}
