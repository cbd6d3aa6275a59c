package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// enrolLife is how long an enrolment code is good.
const enrolLife = time.Hour

// lateAfter is after what time without a word a proxy counts as away. It asks at least
// every twenty seconds.
const lateAfter = time.Minute

// EnrolmentCode makes a one-time code with which a proxy enrols for a cluster. Earlier
// codes for it end.
func (a *Admin) EnrolmentCode(ctx context.Context, c Caller, clusterID string) (string, error) {
	if err := a.may(ctx, c, WriteSettings, "make an enrolment code for "+clusterID); err != nil {
		return "", err
	}
	if _, err := a.Store.Cluster(ctx, clusterID); err != nil {
		return "", err
	}
	return a.link(ctx, c, store.LinkEnrol, clusterID, enrolLife)
}

// ProxyInfo is a proxy and how it does.
type ProxyInfo struct {
	store.Proxy
	// Away says that it has not been heard of lately.
	Away bool
}

// Proxies lists those of a cluster, or of all when none is named.
func (a *Admin) Proxies(ctx context.Context, c Caller, clusterID string) ([]ProxyInfo, error) {
	if err := a.may(ctx, c, ReadSettings, "list proxies of "+clusterID); err != nil {
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
		list = append(list, ProxyInfo{Proxy: row, Away: a.Now().Sub(row.LastSeen.Time()) > lateAfter})
	}
	return list, nil
}

// RemoveProxy takes a proxy's identity away: it hears nothing any more, and does what
// its cluster says about that.
func (a *Admin) RemoveProxy(ctx context.Context, c Caller, id string) error {
	if err := a.may(ctx, c, WriteSettings, "remove proxy "+id); err != nil {
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

// CutOff says in words how fast somebody loses access to a cluster, at worst.
func CutOff(cluster *store.Cluster, proxies []ProxyInfo) string {
	life := span(max(cluster.TokenLife(), cluster.TokenFileLife()))
	if cluster.Mode != store.ModeProxy {
		return "When somebody’s access is taken away they get no new token at once. The API server takes the one they have for up to " + life + ", and a running shell ends when it ends."
	}
	if len(proxies) == 0 {
		return "No proxy has enrolled, so none hears of anything: a token is good for up to " + life + ", and a running shell ends when it ends. Enrol the proxies, and it is a matter of a second."
	}
	away := 0
	for _, p := range proxies {
		if p.Away {
			away++
		}
	}
	text := "When somebody’s access is taken away, proxies that are in touch end their shells and refuse their tokens within about a second."
	if away > 0 {
		text += fmt.Sprintf(" %d of %d are not in touch.", away, len(proxies))
	}
	if cluster.FailClosed {
		return text + " One that hears nothing refuses everything after " + span(cluster.Stale()) + "."
	}
	return text + " One that hears nothing goes on: there a token is good for up to " + life + ", and a running shell until the proxy hears again."
}

func span(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d min", (d+time.Minute-1)/time.Minute)
}

// proxyNotices are clusters whose proxies have not checked in.
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
