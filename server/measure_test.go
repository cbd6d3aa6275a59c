package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/latency"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// TestLatenciesAreMeasured signs in and reads the measured latencies.
func TestLatenciesAreMeasured(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.signIn(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, job := range w.provider.Jobs() { // one of the replicas stores its measurements when it stops
		if err := job(ended); err != nil {
			t.Fatal(err)
		}
	}
	list, err := w.store.Latencies(t.Context(), 0, store.At(w.clock.now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	bySubject := map[string][]store.Latency{}
	for _, l := range list {
		bySubject[l.Subject] = append(bySubject[l.Subject], l)
	}
	for _, subject := range []string{store.SubjectToken, store.ConnectorSubject("corp")} {
		if failed, all := latency.Failures(bySubject[subject]); failed != 0 || all == 0 {
			t.Errorf("%s: %d of %d answers failed, want none of some", subject, failed, all)
		}
	}
}
