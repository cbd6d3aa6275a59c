package proxyapi

import (
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/policy/workload"
)

// TestAnAnswerIsNotOlderThanTheQuestion: the file takes something away at one replica, and a proxy asks another, which
// has the configuration of before in its cache.
func TestAnAnswerIsNotOlderThanTheQuestion(t *testing.T) {
	t.Parallel()
	origin := store.Origin{Origin: store.OriginFile}
	full := func() store.Settings {
		return store.Settings{
			Connectors: []store.Connector{{ID: "corp", Type: "ldap", Config: "{}", Enabled: true, Origin: origin}},
			Clusters:   []store.Cluster{{ID: "one", Name: "one", Audience: "one", Labels: store.Labels{"env": "test"}, Origin: origin}},
			Rules:      []store.AccessRule{{ID: "all", Everyone: true, ClusterLabels: store.Labels{"env": "test"}, Origin: origin}},
			Issuers:    []store.TrustedIssuer{{ID: "ci", URL: "https://ci.test", Origin: origin}},
			Workloads:  []store.WorkloadRule{{ID: "build", IssuerID: "ci", Origin: origin}},
			Clients:    []store.Client{{ID: "robot", Grants: store.Strings{"client_credentials"}, Origin: origin}},
		}
	}
	// Each change takes the access of some of these users.
	users := []string{"corp", workload.ConnectorID, workload.ServiceConnectorID}
	subjects := map[string]string{"corp": "jane", workload.ConnectorID: "build", workload.ServiceConnectorID: "robot"}
	for name, c := range map[string]struct {
		take func(set *store.Settings)
		lose []string
	}{
		"nothing":       {func(*store.Settings) {}, nil},
		"the rule":      {func(set *store.Settings) { set.Rules = nil }, users},
		"a label":       {func(set *store.Settings) { set.Clusters[0].Labels = nil }, users},
		"the workload":  {func(set *store.Settings) { set.Workloads = nil }, users[1:2]},
		"its issuer":    {func(set *store.Settings) { set.Issuers = nil }, users[1:2]},
		"the client":    {func(set *store.Settings) { set.Clients = nil }, users[2:]},
		"its grant":     {func(set *store.Settings) { set.Clients[0].Grants = nil }, users[2:]},
		"the connector": {func(set *store.Settings) { set.Connectors = nil }, users[:1]},
		"only the groups": {func(set *store.Settings) {
			set.Rules[0].Everyone, set.Rules[0].GroupNames = false, store.Strings{"none"}
		}, users},
	} {
		for driver, config := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLiteConfig, "postgres": storetest.PostgresConfig} {
			t.Run(name+"/"+driver, func(t *testing.T) {
				t.Parallel()
				cfg := config(t)
				now := time.Now()
				cfg.Now = func() time.Time { return now } // the cache never expires by itself
				first, second := storetest.Open(t, cfg), storetest.Open(t, cfg)
				if err := first.ApplyFile(t.Context(), full(), now); err != nil {
					t.Fatal(err)
				}
				ids := map[string]string{}
				for _, connector := range users {
					u, _, err := first.SignInUser(t.Context(), store.ResolvedIdentity{
						ConnectorID: connector, KubeName: connector + ":x", Identity: connectors.Identity{Subject: subjects[connector], Username: "x"},
					}, now)
					if err != nil {
						t.Fatal(err)
					}
					ids[u.ID] = connector
				}
				cluster, err := second.Cluster(t.Context(), "one")
				if err != nil {
					t.Fatal(err)
				}
				set := full()
				c.take(&set)
				if err := first.ApplyFile(t.Context(), set, now); err != nil {
					t.Fatal(err)
				}
				lost := map[string]bool{}
				for _, connector := range c.lose {
					lost[connector] = true
				}
				h := &Handler{Store: second}
				for id, connector := range ids {
					allowed, err := h.allowed(t.Context(), cluster, []string{id})
					if err != nil || allowed[id] == lost[connector] {
						t.Errorf("user of %s: allowed %t, error %v", connector, allowed[id], err)
					}
				}
			})
		}
	}
}
