package workloads_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/portal/workloads"
)

var update = flag.Bool("update", false, "write the examples into docs/howto/workloads.md")

func examples(t *testing.T) []workloads.Example {
	t.Helper()
	list, err := workloads.Examples(workloads.Target{
		Cluster: apitypes.Cluster{ID: "staging", Context: "staging", Server: "https://staging.k8s.example.com:6443"}, Server: "https://login.example.com",
		Install: "curl -fLo kubectl-fairlead https://login.example.com/downloads/kubectl-fairlead-linux-amd64\nchmod +x kubectl-fairlead && sudo mv kubectl-fairlead /usr/local/bin/",
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestExamplesAreYAML parses what is YAML. That platforms take it, and Terraform its own, a
// test of the whole system shows.
func TestExamplesAreYAML(t *testing.T) {
	t.Parallel()
	for _, e := range examples(t) {
		for _, text := range []string{e.File.Text, e.Grant.Text} {
			for part := range strings.SplitSeq(text, "\n---\n") {
				var read map[string]any
				if err := yaml.Unmarshal([]byte(part), &read); err != nil && !strings.HasPrefix(text, "provider ") {
					t.Errorf("%s: %v\n%s", e.ID, err, text)
				}
			}
		}
	}
}

// TestDocsHaveTheExamples holds that the how-to says what the page says.
func TestDocsHaveTheExamples(t *testing.T) {
	t.Parallel()
	const file = "../../docs/howto/workloads.md"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(before)
	for _, e := range examples(t) {
		for name, block := range map[string]string{e.ID: e.File.Text, e.ID + " grant": e.Grant.Text} {
			place := regexp.MustCompile("(?s)(<!-- " + name + " -->\n```[a-z]+\n).*?(\n```)")
			if !place.MatchString(text) {
				t.Errorf("%s has no place for %s", file, name)
			}
			text = place.ReplaceAllString(text, "${1}"+strings.ReplaceAll(block, "$", "$$")+"${2}")
		}
	}
	if text == string(before) {
		return
	}
	if !*update {
		t.Fatal("go test ./portal/workloads -run Docs -update")
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
