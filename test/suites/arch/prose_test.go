package arch_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxWords is the longest sentence that the test lets pass. Write shorter ones: the aim is 25 words.
const maxWords = 40

// notYetRewritten are the folders, and single files, whose texts still have to be rewritten. A folder counts
// without the folders in it. Take an entry off when its texts are plain; never add one.
var notYetRewritten = []string{}

// riddles are the openings that turn a sentence round, so that the reader has to wait for its subject.
var (
	relative = regexp.MustCompile(`^(What|Who|Whom|Whose|Where)(’s|'s)? `)
	unnamed  = regexp.MustCompile(`^(Of that|Somebody|Nobody|Whoever)\b`)
)

// instead maps each word that hides its meaning to the words that say it.
var instead = []struct {
	pattern *regexp.Regexp
	say     string
}{
	{regexp.MustCompile(`(?i)\bguests?\b`), "service account, workload, or the kind of caller"},
	{regexp.MustCompile(`(?i)\bfarewells?\b`), "sign-out or revocation"},
	{regexp.MustCompile(`(?i)\bby hand\b`), "by an admin, manually, or the command"},
	{regexp.MustCompile(`(?i)\bcut-?offs?\b`), "revocation time, or not-before time"},
	{regexp.MustCompile(`(?i)\bdetours?\b`), "the kind of redirect or check"},
	{regexp.MustCompile(`(?i)\bhot\b`), "frequent, or cached"},
	{regexp.MustCompile(`(?i)\binline\b`), "on the caller’s goroutine, or fast path"},
	{regexp.MustCompile(`(?i)\bsomebody\b`), "the user, the caller, the client"},
	{regexp.MustCompile(`(?i)\bnobody\b`), "no user, no client, an unauthenticated request"},
	{regexp.MustCompile(`(?i)\bwhoever\b`), "the user who, the client that"},
	{regexp.MustCompile(`(?i)\bsign-in server\b`), "issuer"},
	{regexp.MustCompile(`(?i)\b(of|by|to|for|from|with) who\b`), "the caller, the user"},
}

// allowed are phrases that hold one of these words and are the term of the field, and words in quotation marks.
var allowed = regexp.MustCompile(`(?i)\b(inline (scripts?|styles?|handlers?|javascript|css)|unsafe-inline)\b|"[^"]+"`)

// faultsOf says what is wrong with a sentence.
func faultsOf(text string) []string {
	var faults []string
	opening := strings.TrimLeft(text, "\"“‘(*_->•– ")
	question := strings.HasSuffix(strings.TrimRight(text, "\"”’)*_ "), "?")
	if match := relative.FindString(opening); match != "" && !question {
		faults = append(faults, fmt.Sprintf("starts with %q: start with the subject", strings.TrimSpace(match)))
	}
	if match := unnamed.FindString(opening); match != "" {
		faults = append(faults, fmt.Sprintf("starts with %q: name the actor", match))
	}
	plain := allowed.ReplaceAllString(text, "")
	for _, word := range instead {
		if match := word.pattern.FindString(plain); match != "" {
			faults = append(faults, fmt.Sprintf("says %q: say %s", match, word.say))
		}
	}
	if words := len(strings.Fields(text)); words > maxWords {
		faults = append(faults, fmt.Sprintf("has %d words, at most %d", words, maxWords))
	}
	return faults
}

// isRewritten reports whether a file has to pass.
func isRewritten(file string) bool {
	return !slices.Contains(notYetRewritten, file) && !slices.Contains(notYetRewritten, path.Dir(file))
}

// TestProseIsPlain reads every comment, message, page text and doc, and refuses the sentences that make a
// reader stop (docs/adr/0013-plain-words.md).
func TestProseIsPlain(t *testing.T) {
	t.Parallel()
	left := map[string]int{}
	for _, s := range sentencesOf(t) {
		for _, fault := range faultsOf(s.text) {
			if isRewritten(s.file) {
				t.Errorf("%s:%d: %s: %s", s.file, s.line, fault, s.text)
				continue
			}
			left[s.file]++
			left[path.Dir(s.file)]++
		}
	}
	for _, place := range notYetRewritten {
		if left[place] == 0 {
			t.Logf("%s is plain: take it off notYetRewritten", place)
		}
	}
}

func TestFaultsOfSentences(t *testing.T) {
	t.Parallel()
	for text, faults := range map[string]int{
		"Whom an admin disables is out of clusters behind the proxy.":   1,
		"What it says while the server is away is what it knew last.":   1,
		"Where that is off, Nobody asks.":                               2,
		"Of that nothing is kept.":                                      1,
		"It sends the request on the goroutine of who asks.":            1,
		"A guest was revoked by hand.":                                  2,
		"What does the proxy keep?":                                     0,
		"When an admin disables a user, the proxy closes their shells.": 0,
		"The policy forbids inline scripts.":                            0,
		strings.Repeat("word ", maxWords+1):                             1,
	} {
		if got := faultsOf(text); len(got) != faults {
			t.Errorf("%q: %q, want %d", text, got, faults)
		}
	}
}

func TestSentencesAreFound(t *testing.T) {
	t.Parallel()
	markdown := "# Who may\n\nOne. Two (e.g. this)\nruns on. `What` is code.\n\n```\nWhat is code\n```\n| Who | [What it\ncosts](x) |\n- Item\n  goes on\n"
	template := `{{if .X}}<p>{{t "One <a>link</a>. Two." | link .Y}}</p>{{end}}<td data-label="Last used">{{.Name}} is here</td>`
	goCode := "package x\n\n// F does it.\n// It is slow.\n//\n//\tWhat is code\nfunc F() { g(\"One \" + two + \" three %d.\") }\n"
	for _, try := range []struct {
		got  func() ([]paragraph, error)
		want []string
	}{
		{func() ([]paragraph, error) { return markdownParagraphs(markdown), nil }, []string{"Who may", "One.", "Two (e.g. this) runs on.", "code is code.", "Who", "Item goes on"}},
		{func() ([]paragraph, error) { return templateParagraphs(template), nil }, []string{"Last used", "One link.", "Two.", "sample is here"}},
		{func() ([]paragraph, error) { return goParagraphs("x.go", []byte(goCode)) }, []string{"F does it.", "It is slow.", "One sample three 3."}},
	} {
		paragraphs, err := try.got()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range paragraphs {
			got = append(got, split(p.text)...)
		}
		for _, want := range try.want {
			if !slices.Contains(got, want) {
				t.Errorf("%q is not among %q", want, got)
			}
		}
		if slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "What is code") }) {
			t.Errorf("code is taken for prose: %q", got)
		}
	}
}
