package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHowToExamplesAreGood loads the YAML examples of the how-to pages as a configuration.
func TestHowToExamplesAreGood(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/howto/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("pages %v, error %v", pages, err)
	}
	const head = "url: https://login.example.com\ndatabase: {path: /etc/fairlead/db.sqlite}\n"
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
			example, _, _ := strings.Cut(block, "```")
			example = strings.ReplaceAll(example, "/run/secrets/backup", "/etc/fairlead/secret")
			clusters := ""
			if strings.Contains(example, "staging") {
				clusters = "clusters: [{id: staging, server: 'https://staging.k8s.example.com:6443'}]\n"
			}
			if _, _, err := load(t, folder(t), head+clusters+example); err != nil {
				t.Errorf("%s: %v\n%s", filepath.Base(page), err, example)
			}
		}
	}
}
