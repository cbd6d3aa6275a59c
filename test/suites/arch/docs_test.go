package arch_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// emphasized matches the names of pages, buttons and sections, which the docs set in italics.
var emphasized = regexp.MustCompile(`(?:^|[^*])\*([A-Z][^*\n]+)\*(?:[^*]|$)`)

// TestDocsNameRealPages checks that each name in italics in a tutorial, how-to or operations page is the text
// of a template or of the code behind it, so that the docs follow renamed buttons.
func TestDocsNameRealPages(t *testing.T) {
	t.Parallel()
	var shownTexts strings.Builder
	for _, folder := range []string{"templates", "portal", "server/admin"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			shownTexts.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	names := 0
	for _, folder := range []string{"howto", "tutorial", "operations"} {
		pages, err := filepath.Glob(filepath.Join(root, "docs", folder, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range emphasized.FindAllStringSubmatch(string(text), -1) {
				names++
				if !strings.Contains(shownTexts.String(), match[1]) {
					t.Errorf("%s: no page shows %q: was it renamed?", page, match[1])
				}
			}
		}
	}
	if names < 10 {
		t.Errorf("found %d names of pages: do the docs still set them in italics?", names)
	}
}

// TestLinksOfTheDocs checks that each relative link of the docs leads to a file.
func TestLinksOfTheDocs(t *testing.T) {
	t.Parallel()
	target := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range target.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), match[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, match[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDecisionNumbers checks that each decision in docs/adr has its own number.
func TestDecisionNumbers(t *testing.T) {
	t.Parallel()
	decisions, err := filepath.Glob(filepath.Join(root, "docs/adr/*.md"))
	if err != nil || len(decisions) == 0 {
		t.Fatalf("decisions %v, error %v", decisions, err)
	}
	taken := map[string]string{}
	for _, file := range decisions {
		number, _, _ := strings.Cut(filepath.Base(file), "-")
		if other := taken[number]; other != "" {
			t.Errorf("%s and %s have the same number: give the newer one the next number", other, file)
		}
		taken[number] = file
	}
}
