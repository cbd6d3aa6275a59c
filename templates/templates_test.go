package templates_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/templates"
)

func TestEveryTemplateParses(t *testing.T) {
	t.Parallel()
	languages, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := templates.Load(languages)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Names()) < 5 {
		t.Errorf("pages %v", set.Names())
	}
}

// The policy forbids inline scripts and styles; a template that has one would
// be broken in the browser only.
func TestTemplatesKeepToThePolicy(t *testing.T) {
	t.Parallel()
	bad := regexp.MustCompile(`(?i)<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|<script(?:[^>]*)>[^<]|https?://`)
	err := fs.WalkDir(templates.Files(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(templates.Files(), path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := bad.FindString(line); found != "" {
				t.Errorf("%s:%d: %q", path, i+1, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
