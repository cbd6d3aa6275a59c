package i18n_test

import (
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/i18n"
)

func languages(t *testing.T) *i18n.Languages {
	t.Helper()
	l, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		10 * time.Minute: "10 minutes", time.Minute: "1 minute", 12 * time.Hour: "12 hours", 24 * time.Hour: "1 day",
		7 * 24 * time.Hour: "7 days", 90 * time.Minute: "90 minutes", 36 * time.Hour: "36 hours", 45 * time.Second: "45 seconds", 0: "moments",
	} {
		if got := i18n.Span(d).String(); got != want {
			t.Errorf("Span(%v) = %q, want %q", d, got, want)
		}
	}
	if got := languages(t).German.Say(i18n.T("Too many wrong codes. Try again in %s.", 10*time.Minute)); got != "Zu viele falsche Codes. Versuchen Sie es in 10 Minuten wieder." {
		t.Errorf("%q", got)
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	l := languages(t)
	for header, want := range map[string]*i18n.Language{
		"": l.English, "de": l.German, "de-AT,de;q=0.9,en;q=0.8": l.German, "en-GB,de;q=0.5": l.English, "fr-FR,fr;q=0.9": l.English,
		"fr,de;q=0.5,en;q=0.3": l.German, "en-XA": l.Pseudo, "\x00;;q=nonsense": l.English, strings.Repeat("de,", 5000): l.English, "*": l.English,
	} {
		if got := l.Accepted(http.Header{"Accept-Language": {header}}); got != want {
			t.Errorf("%.40q: %s, want %s", header, got.Tag(), want.Tag())
		}
	}
}

// TestArgumentsAreNoMarkup has hostile arguments of every kind, in every language.
func TestArgumentsAreNoMarkup(t *testing.T) {
	t.Parallel()
	const hostile = `<script>alert(1)</script>"'`
	type kind string
	for _, l := range languages(t).All() {
		got := string(l.HTML("<strong>%s</strong> %s %s %d", hostile, i18n.Verbatim(hostile), kind(hostile), 3))
		if strings.Contains(got, "<script") || strings.Contains(got, `"`) || !strings.Contains(got, "<strong>") {
			t.Errorf("%s", got)
		}
		if got := string(i18n.Link(`/x?"><script>`, template.HTML("<a>y</a>"))); strings.Contains(got, "<script") {
			t.Errorf("%s", got)
		}
	}
}

var (
	marks = regexp.MustCompile(`</?[a-z]+>`)
	verbs = regexp.MustCompile(`%(\[\d+\])?[sd]`)
)

// TestCataloguesFit wants each translation to have the marks and arguments of its original.
func TestCataloguesFit(t *testing.T) {
	t.Parallel()
	all := languages(t)
	for _, l := range []*i18n.Language{all.German, all.Pseudo} {
		for _, english := range all.German.Texts() {
			said := string(l.HTML(english)) // no arguments: the verbs stay
			for what, parts := range map[string]*regexp.Regexp{"marks": marks, "arguments": verbs} {
				want, got := parts.FindAllString(english, -1), parts.FindAllString(said, -1)
				slices.Sort(want)
				if strings.Contains(said, "%[") { // in another order
					for i := range got {
						got[i] = regexp.MustCompile(`\[\d+\]`).ReplaceAllString(got[i], "")
					}
				}
				slices.Sort(got)
				if !slices.Equal(want, got) {
					t.Errorf("%s: %q has the %s %v, %q has %v", l.Tag(), said, what, got, english, want)
				}
			}
		}
	}
}

func TestPseudo(t *testing.T) {
	t.Parallel()
	if got := languages(t).Pseudo.HTML("Run <code>kubectl get</code> in %s, see <a>this</a>.", "prod"); got != "⟦Rüñ <code>kubectl get</code> îñ prod, šéé <a>ţhîš</a>.~~~~~⟧" && !strings.HasPrefix(string(got), "⟦Rüñ <code>kubectl get</code> îñ prod, šéé <a>") {
		t.Errorf("%s", got)
	}
}
