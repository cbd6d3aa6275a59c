package settings

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/server/base/store"
)

func (r *Reader) issuerRows() []store.TrustedIssuer {
	var rows []store.TrustedIssuer
	seen, urls := ids{r: r}, map[string]bool{}
	for i := range r.in.TrustedIssuers {
		e := &r.in.TrustedIssuers[i]
		path := fmt.Sprintf("trustedIssuers[%d]", i)
		seen.check(path+".id", e.ID)
		u, err := url.Parse(e.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
			r.Doc.Add(path+".url", "must be the https URL that its tokens name as iss, not %q", e.URL)
		}
		if urls[e.URL] || e.URL == r.URL {
			r.Doc.Add(path+".url", "must be unique and must not be this server: %q is already in use", e.URL)
		}
		urls[e.URL] = true
		if e.Audience == "" {
			r.Doc.Add(path+".audience", "is required, because Fairlead must refuse tokens for other audiences. Use %s if the platform lets you choose", r.URL)
		}
		e.CA = r.resolve(path+".ca", e.CA)
		r.checkPEM(path+".ca", e.CA)
		rows = append(rows, store.TrustedIssuer{
			ID: e.ID, URL: e.URL, Audience: e.Audience, KeySet: r.keySet(path+".keys", e.Keys), CA: e.CA, Origin: r.Origin(path),
		})
	}
	return rows
}

func (r *Reader) workloadRows() []store.WorkloadRule {
	var rows []store.WorkloadRule
	seen := ids{r: r}
	for i, e := range r.in.Workloads {
		path := fmt.Sprintf("workloads[%d]", i)
		seen.check(path+".id", e.ID)
		if !slices.ContainsFunc(r.in.TrustedIssuers, func(row Issuer) bool { return row.ID == e.Issuer }) {
			r.Doc.Add(path+".issuer", "must be the ID of a trusted issuer: there is none with the ID %q", e.Issuer)
		}
		if len(e.Claims) == 0 {
			r.Doc.Add(path+".claims", "are required: without claims every job on that platform would be this workload")
		}
		for name, values := range e.Claims {
			if len(values) == 0 || slices.Contains(values, "") || slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "*") }) {
				r.Doc.Add(path+".claims."+name, "must be a list of exact values without wildcards")
			}
		}
		r.checkGroups(path, e.Groups)
		rows = append(rows, store.WorkloadRule{
			ID: e.ID, Position: i, Description: orElse(e.Description, e.ID), IssuerID: e.Issuer, Claims: e.Claims, GroupNames: e.Groups,
			Origin: r.Origin(path),
		})
	}
	return rows
}
