package suggest_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/internal/suggest"
)

func TestClosest(t *testing.T) {
	t.Parallel()
	known := []string{"prod-eu", "prod-us", "dev", "name"}
	for word, want := range map[string]string{
		"prod-ue": "prod-eu", "PROD-EU": "prod-eu", "prodeu": "prod-eu", "prod-xx": "prod-eu",
		"naem": "name", "dev1": "dev", "staging": "", "zzzzzz": "", "": "",
	} {
		if got := suggest.Closest(word, known); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
	if got := suggest.Closest("x", nil); got != "" {
		t.Errorf("Closest without candidates = %q", got)
	}
}
