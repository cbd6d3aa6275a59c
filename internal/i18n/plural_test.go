package i18n

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
)

// TestPlurals has a language with four of them.
func TestPlurals(t *testing.T) {
	t.Parallel()
	var texts map[string]message
	if err := yaml.Unmarshal([]byte(`"%d clusters": {one: "%d klaster", few: "%d klastry", many: "%d klastrów", other: "%d klastra"}`), &texts); err != nil {
		t.Fatal(err)
	}
	polish := &Language{tag: language.Polish, texts: texts}
	for n, want := range map[int]string{1: "1 klaster", 2: "2 klastry", 5: "5 klastrów", 22: "22 klastry", 112: "112 klastrów"} {
		if got := polish.Say(T("%d clusters", n)); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for text, fault := range map[string]string{`x: {two-ish: y}`: "line 1: two-ish is no plural form", `x: [a]`: "line 1"} {
		if err := yaml.Unmarshal([]byte(text), &texts); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
