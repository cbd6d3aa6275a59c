package admin_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// The size of the largest installation that the pages must handle.
const (
	manyEntries = 500
	manyPeople  = 50_000
)

// large fills a database with rows. Making 1,500 changes would validate the whole configuration each time.
func large(b *testing.B) (*bundle, admin.Caller) {
	b.Helper()
	w := setup(b, storetest.SQLite(b))
	err := w.store.UpdateSettings(b.Context(), func(c *store.SettingsTx) error {
		page := store.Origin{Origin: store.OriginPage}
		for i := range manyEntries {
			for _, row := range []any{
				&store.Connector{ID: fmt.Sprint("c", i), Type: "ldap", Name: "Directory", Position: i, UserPrefix: fmt.Sprintf("c%d:", i), GroupPrefix: fmt.Sprintf("c%d:", i), Enabled: true, Origin: page, Config: `{"hosts":["ldap.test"],"bindDN":"cn=x","bindPassword":"x","userSearch":{"baseDN":"dc=test"}}`},
				&store.Cluster{ID: fmt.Sprint("k", i), Name: fmt.Sprint("Cluster ", i), Server: "https://k.test", Audience: fmt.Sprint("k8s-k", i), Mode: store.ModeProxy, Algorithm: "RS256", TokenSeconds: 600, Labels: store.Labels{"env": fmt.Sprint(i % 5)}, Origin: page},
				&store.AccessRule{ID: fmt.Sprint("r", i), Position: i, Description: "Rule", GroupNames: store.Strings{fmt.Sprint("c0:g", i)}, ClusterLabels: store.Labels{"env": fmt.Sprint(i % 5)}, Origin: page},
			} {
				if err := c.Put(row, w.now()); err != nil {
					return err
				}
			}
		}
		for i := range manyPeople {
			name := fmt.Sprint("c0:person-", i)
			u := &store.User{
				ID: fmt.Sprint("usr_", i), ConnectorID: "c0", Subject: name, KubeName: name, NameKey: name, Login: fmt.Sprint("person-", i), DisplayName: fmt.Sprint("Person ", i),
				Email: fmt.Sprintf("p%d@example.test", i), GroupNames: store.Strings{fmt.Sprint("c0:g", i%500), fmt.Sprint("c0:g", i%7)}, LastSignIn: store.At(w.now()),
			}
			if err := c.Put(u, w.now()); err != nil {
				return err
			}
		}
		return c.Put(&store.AccessRule{ID: "admins", Admin: true, GroupNames: store.Strings{"c0:ops"}, Origin: page}, w.now())
	})
	if err != nil {
		b.Fatal(err)
	}
	return w, w.person("c0", "root", "c0:ops")
}

// BenchmarkPages calls the operations of each admin page in the largest installation.
func BenchmarkPages(b *testing.B) {
	w, root := large(b)
	change := cluster("k1")
	change["labels"] = map[string]any{"env": "4"}
	for name, ask := range map[string]func() error{
		"list":     func() error { _, err := w.Entries(b.Context(), root, settings.Clusters, "", 3); return err },
		"search":   func() error { _, err := w.Entries(b.Context(), root, settings.Rules, "g77", 1); return err },
		"form":     func() error { _, err := w.Entry(b.Context(), root, settings.Connectors, "c77"); return err },
		"state":    func() error { _, err := w.Connectors(b.Context(), root); return err },
		"overview": func() error { _, err := w.Overview(b.Context(), root); return err },
		"people": func() error {
			_, _, err := w.People(b.Context(), root, store.UserQuery{Text: "person-4711"})
			return err
		},
		"simulate": func() error {
			_, err := w.Simulate(b.Context(), root, admin.Question{User: "c0:person-4711"})
			return err
		},
		"audit":   func() error { _, err := w.Events(b.Context(), root, store.EventQuery{User: "root"}); return err },
		"preview": func() error { _, err := w.Preview(b.Context(), root, w.draft(settings.Clusters, change)); return err },
		"save": func() error {
			doc := cluster("k2")
			doc["description"] = fmt.Sprint(w.now().UnixNano(), b.N)
			_, err := w.Apply(b.Context(), root, w.draft(settings.Clusters, doc))
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if err := ask(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
}
