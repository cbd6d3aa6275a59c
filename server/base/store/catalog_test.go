package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// TestAReadingIsOneState: one replica swaps the only cluster and the only rule together, and the other reads. No
// reading has the cluster of one state and the rule of the other.
func TestAReadingIsOneState(t *testing.T) {
	t.Parallel()
	twoPools(t, func(t *testing.T, pools [2]*store.Store) {
		ctx, stop := context.WithCancel(t.Context())
		written := make(chan error, 1)
		go func() {
			var err error
			for i := 0; err == nil && ctx.Err() == nil; i++ {
				id := string(rune('a' + i%2))
				page := store.Origin{Origin: store.OriginFile}
				err = pools[0].ApplyFile(ctx, store.Settings{
					Clusters: []store.Cluster{{ID: id, Name: id, Audience: id, Server: "https://" + id + ".test", Origin: page}},
					Rules:    []store.AccessRule{{ID: id, Everyone: true, ClusterIDs: []string{id}, Origin: page}},
				}, noon())
			}
			written <- err
		}()
		for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); {
			set, err := pools[1].AllSettings(t.Context())
			must(t, err)
			if len(set.Clusters) == 1 && set.Clusters[0].ID != set.Rules[0].ID {
				t.Fatalf("settings: cluster %s, rule %s", set.Clusters[0].ID, set.Rules[0].ID)
			}
			c, err := pools[1].Catalog(t.Context())
			must(t, err)
			if len(c.Clusters) == 1 && c.Clusters[0].ID != c.Rules[0].ID {
				t.Fatalf("catalog: cluster %s, rule %s", c.Clusters[0].ID, c.Rules[0].ID)
			}
		}
		stop()
		if err := <-written; err != nil && ctx.Err() == nil && !errs.Is(err, errs.Unavailable) {
			t.Error(err)
		}
	})
}
