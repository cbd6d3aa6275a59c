package settings

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

// The limits of token lifetimes at clusters.
const (
	minTokenLife     = 5 * time.Minute
	maxTokenLife     = time.Hour
	defaultTokenLife = 10 * time.Minute
	minStale         = 30 * time.Second
	maxStale         = 24 * time.Hour
)

// Colors are the colors of environments. The first is no color.
func Colors() []string { return []string{"", "green", "blue", "purple", "amber", "red"} }

func (r *Reader) clusterRows() []store.Cluster {
	var rows []store.Cluster
	seen, audiences := ids{r: r}, map[string]bool{clients.PluginID: true}
	for i, e := range r.in.Clusters {
		path := fmt.Sprintf("clusters[%d]", i)
		seen.check(path+".id", e.ID)
		e.CA = r.resolve(path+".ca", e.CA)
		r.checkPEM(path+".ca", e.CA)
		row := store.Cluster{
			ID: e.ID, Name: orElse(e.Name, e.ID), Description: e.Description, Environment: e.Environment, Color: e.Color, Notes: e.Notes, Server: e.Server,
			CA: e.CA, Audience: orElse(e.Audience, "k8s-"+e.ID), Mode: store.AccessMode(orElse(e.Mode, string(store.ModeProxy))),
			Algorithm: orElse(e.Algorithm, "RS256"), TokenSeconds: int(time.Duration(e.TokenLife).Seconds()), Namespace: e.Namespace,
			Labels: e.Labels, StatusURL: e.StatusURL, FailClosed: e.FailClosed, Origin: r.Origin(path),
			StaleSeconds: int(time.Duration(e.StaleAfter).Seconds()), StreamSeconds: int(time.Duration(e.StreamGrace).Seconds()),
			TokenFileSeconds: int(time.Duration(e.TokenFile).Seconds()),
		}
		if e.TokenLife == 0 {
			row.TokenSeconds = int(defaultTokenLife.Seconds())
		}
		if audiences[row.Audience] {
			r.Doc.Add(path+".audience", "must be unique, because each token is valid for one cluster only: %q is already in use", row.Audience)
		}
		audiences[row.Audience] = true
		r.checkCluster(path, &row)
		rows = append(rows, row)
	}
	return rows
}

func (r *Reader) checkCluster(path string, row *store.Cluster) {
	u, err := url.Parse(row.Server)
	switch {
	case err != nil || u.Host == "":
		r.Doc.Add(path+".server", "must be the URL that kubectl uses, such as https://k8s.example.com:6443, not %q", row.Server)
	case u.Scheme != "https":
		r.Doc.Add(path+".server", "must start with https: kubectl sends no token to other addresses")
	}
	if row.Mode != store.ModeProxy && row.Mode != store.ModeDirect {
		r.Doc.Add(path+".mode", "must be proxy or direct, not %q", row.Mode)
	}
	if !slices.Contains(Colors(), row.Color) {
		r.Doc.Add(path+".color", "must be one of %s, not %q", strings.Join(Colors()[1:], ", "), row.Color)
	}
	r.checkAlgorithm(path+".algorithm", row.Algorithm)
	r.checkLives(path, row)
	r.checkProxy(path, row)
	if row.Namespace != "" && !slug.MatchString(row.Namespace) {
		r.Doc.Add(path+".namespace", "must be the name of a namespace, not %q", row.Namespace)
	}
}

// checkLives validates the token lifetimes.
func (r *Reader) checkLives(path string, row *store.Cluster) {
	if life := row.TokenLife(); life < minTokenLife || life > maxTokenLife {
		r.Doc.Add(path+".tokenLife", "must be between %s and %s", duration(minTokenLife), duration(maxTokenLife))
	}
	if life := row.TokenFileLife(); life != 0 && (life < minTokenLife || life > maxTokenLife) {
		r.Doc.Add(path+".tokenFile", "must be between %s and %s, or empty", duration(minTokenLife), duration(maxTokenLife))
	}
}

// checkProxy validates the settings of the cluster's proxy.
func (r *Reader) checkProxy(path string, row *store.Cluster) {
	for key, seconds := range map[string]int{"staleAfter": row.StaleSeconds, "streamGrace": row.StreamSeconds} {
		if d := time.Duration(seconds) * time.Second; seconds != 0 && (d < minStale || d > maxStale) {
			r.Doc.Add(path+"."+key, "must be between %s and %s, or empty", duration(minStale), duration(maxStale))
		}
	}
}
