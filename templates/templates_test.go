package templates_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/templates"
)

func TestEveryTemplateParses(t *testing.T) {
	t.Parallel()
	set, err := templates.Load()
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

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		10 * time.Minute: "10 minutes", time.Minute: "1 minute", 12 * time.Hour: "12 hours", 24 * time.Hour: "1 day",
		7 * 24 * time.Hour: "7 days", 90 * time.Minute: "90 minutes", 36 * time.Hour: "36 hours", 45 * time.Second: "45 seconds", 0: "moments",
	} {
		if got := templates.Span(d); got != want {
			t.Errorf("Span(%v) = %q, want %q", d, got, want)
		}
	}
}
