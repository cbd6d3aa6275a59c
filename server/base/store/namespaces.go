package store

import "github.com/fairlead-auth/fairlead/connectors"

// The ids that stand for the connector of users without an upstream.
const (
	WorkloadConnectorID = "workload"
	ServiceConnectorID  = "service"
)

// Prefixes returns the prefixes of a connector's names, and those of the name spaces that its names must not reach.
func (c *Connector) Prefixes(all []Connector) connectors.Prefixes {
	p := connectors.Prefixes{User: c.UserPrefix, Group: c.GroupPrefix}
	for _, id := range []string{WorkloadConnectorID, ServiceConnectorID, RecoveryConnectorID} {
		p.Foreign = append(p.Foreign, id+":")
	}
	for i := range all {
		for _, prefix := range []string{all[i].UserPrefix, all[i].GroupPrefix} {
			if all[i].ID != c.ID && prefix != "" {
				p.Foreign = append(p.Foreign, prefix)
			}
		}
	}
	return p
}
