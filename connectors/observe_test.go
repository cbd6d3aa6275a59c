package connectors_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
)

// TestObserve: only a context that observes keeps attributes, cut and without secrets.
func TestObserve(t *testing.T) {
	t.Parallel()
	said := map[string][]string{"sub": {"1"}, "groups": {"a", "b\n"}, "access_token": {"eyJ"}, "at_hash": {"x"}, "clientSecret": {"x"}, "long": {strings.Repeat("x", 1000)}}
	connectors.Report(context.Background(), said)
	if got := connectors.Observed(context.Background()); got != nil {
		t.Errorf("a context that does not observe: %v", got)
	}
	ctx := connectors.Observe(t.Context())
	connectors.Report(ctx, said)
	got := connectors.Observed(ctx)
	if n := len(got["long"][0]); n > 310 {
		t.Errorf("a value of %d bytes", n)
	}
	delete(got, "long")
	masked := []string{"(masked)"}
	if diff := cmp.Diff(map[string][]string{"sub": {"1"}, "groups": {"a", "b"}, "access_token": masked, "at_hash": masked, "clientSecret": masked}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
