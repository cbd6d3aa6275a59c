package proxyapi

import (
	"context"
	"slices"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/workload"
)

// allowed evaluates the same access rules as the token endpoint, with every change that was stored before the call. A
// user whose connector, workload, trusted issuer or client is gone gets no new token either.
func (h *Handler) allowed(ctx context.Context, cluster *store.Cluster, ids []string) (map[string]bool, error) {
	catalog, err := h.Store.CurrentCatalog(ctx)
	if err != nil {
		return nil, err
	}
	if cluster, err = catalog.Cluster(cluster.ID); err != nil {
		return nil, err
	}
	users, err := h.Store.UsersByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	from, err := h.sources(ctx, catalog)
	if err != nil {
		return nil, err
	}
	allowed := map[string]bool{}
	for i := range users {
		u := &users[i]
		has, err := h.hasSource(ctx, from, u)
		if err != nil {
			return nil, err
		}
		allowed[u.ID] = has && access.Decide(catalog.Rules, u, cluster).Allowed
	}
	return allowed, nil
}

// sources are the ids of what users come from.
type sources struct {
	connectors map[string]store.Connector
	// workloads have a trusted issuer, and services are clients that may use the client credentials grant.
	workloads, services map[string]bool
}

func (h *Handler) sources(ctx context.Context, catalog *store.Catalog) (*sources, error) {
	rows, err := h.Store.Connectors(ctx)
	if err != nil {
		return nil, err
	}
	issuers, err := h.Store.TrustedIssuers(ctx)
	if err != nil {
		return nil, err
	}
	rules, err := h.Store.WorkloadRules(ctx)
	if err != nil {
		return nil, err
	}
	s := &sources{connectors: map[string]store.Connector{store.RecoveryConnectorID: {Enabled: true}}, workloads: map[string]bool{}, services: map[string]bool{}}
	for _, row := range rows {
		s.connectors[row.ID] = row
	}
	for _, rule := range rules {
		s.workloads[rule.ID] = slices.ContainsFunc(issuers, func(i store.TrustedIssuer) bool { return i.ID == rule.IssuerID })
	}
	for _, client := range catalog.Clients {
		s.services[client.ID] = slices.Contains(client.Grants, oauth.GrantClientCredentials)
	}
	return s, nil
}

func (h *Handler) hasSource(ctx context.Context, from *sources, u *store.User) (bool, error) {
	switch u.ConnectorID {
	case workload.ConnectorID:
		return from.workloads[u.Subject], nil
	case workload.ServiceConnectorID:
		return from.services[u.Subject], nil
	}
	connector := from.connectors[u.ConnectorID]
	if !connector.Enabled || connector.Type != "local" {
		return connector.Enabled, nil
	}
	return h.isActive(ctx, u)
}

// isActive reports whether a local user exists and is not disabled. Users of other connectors are rechecked at
// their next renewal.
func (h *Handler) isActive(ctx context.Context, u *store.User) (bool, error) {
	account, err := h.Store.AccountByID(ctx, u.Subject)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	return err == nil && !account.Disabled, err
}
