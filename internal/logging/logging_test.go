package logging_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/logging"
)

func TestLinesCarryTheRequestID(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, err := logging.New(&out, "json", "info")
	if err != nil {
		t.Fatal(err)
	}
	ctx := logging.WithRequestID(t.Context(), "req-12345678")
	logger.With("a", 1).InfoContext(ctx, "hello")
	logger.DebugContext(ctx, "hidden")
	if got := out.String(); strings.Count(got, `"request_id":"req-12345678"`) != 1 || strings.Contains(got, "hidden") {
		t.Errorf("output = %s", got)
	}
}

func TestNewRefusesUnknownSettings(t *testing.T) {
	t.Parallel()
	if _, err := logging.New(&bytes.Buffer{}, "xml", "info"); err == nil {
		t.Error("an unknown format must be refused")
	}
	if _, err := logging.New(&bytes.Buffer{}, "json", "loud"); err == nil {
		t.Error("an unknown level must be refused")
	}
}

func TestNewRequestIDReplacesUnsafeIDs(t *testing.T) {
	t.Parallel()
	if got := logging.NewRequestID("abc-DEF_123"); got != "abc-DEF_123" {
		t.Errorf("got %q", got)
	}
	for _, bad := range []string{"", "short", "a b c d e f", "line\nbreak-xxxx", strings.Repeat("x", 65), `inject"},{"x`} {
		if got := logging.NewRequestID(bad); got == bad || !strings.HasPrefix(got, "req_") {
			t.Errorf("NewRequestID(%q) = %q", bad, got)
		}
	}
}
