// Package templates has the HTML of every page. A Page ties a template to the type of its data. The handlers fill in
// the data.
package templates

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/fairlead-auth/fairlead/internal/i18n"
)

//go:embed layout login portal admin
var files embed.FS

// Files returns the templates, for tests that look at their text.
func Files() fs.FS { return files }

// Frame is what every page shares.
type Frame struct {
	// Language is the language of the page. Languages are the ones to choose from. Here is the path of this page; empty
	// if it can't be shown again.
	Language  *i18n.Language
	Languages []*i18n.Language
	Here      string
	// Title is the title of the window.
	Title i18n.Text
	// Brand is the name of the installation.
	Brand string
	// Logo and Style are the addresses of the installation's own; empty for Fairlead's.
	Logo, Style string
	// LogoWidth is the width of the logo in pixels, 24 pixels high.
	LogoWidth int
	// Path makes a link to a page of ours from a path such as "/clusters".
	Path func(string) string
	// Asset makes the address of a file of package static.
	Asset func(string) string
	// RequestID is shown on error pages.
	RequestID string
	// Person is the signed-in user, or nil.
	Person *Person
	// Demo marks the demo, whose passwords are public.
	Demo bool
	// Version is the version of the server.
	Version string
	// Refresh asks the browser to load the page again after so many seconds, or
	// not at all when it is zero. It works without scripts.
	Refresh int
	// Area is the entry of the top bar that the page belongs to: "clusters", "account", "help",
	// "admin", or empty.
	Area string
	// Nav is the navigation beside the page, Notes are banners above it.
	Nav   []NavGroup
	Notes []string
	// Crumbs are the pages above this one, the page itself last and without a path.
	Crumbs []Link
	// Toast reports the result of the last act, or is nil.
	Toast *Toast
}

// Person is the signed-in person in the top bar: the display name, and the user name that clusters see.
type Person struct {
	Name, Detail string
	// Admin shows the search box and the link to the admin pages.
	Admin bool
}

// Initials returns up to two letters for the account menu.
func (p *Person) Initials() string {
	words := strings.FieldsFunc(p.Name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	var letters []rune
	for _, word := range words {
		if len(letters) < 2 && word != "" {
			letters = append(letters, unicode.ToUpper([]rune(word)[0]))
		}
	}
	return string(letters)
}

// NavGroup is a titled part of the navigation beside a page. The first group has no title.
type NavGroup struct {
	Title string
	Links []Link
}

// Link is an entry of the navigation or of the breadcrumbs.
type Link struct {
	Label, Path string
	// Here marks the page that is shown.
	Here bool
	// Count is how many entries there are, such as "4,812"; empty when unknown.
	Count string
	// Waiting is how many entries need attention. It is shown instead of Count.
	Waiting int
}

// Toast is a short message about what has just been done. UndoPath takes a POST that undoes it;
// empty when it can't be undone here.
type Toast struct{ Text, UndoPath string }

// View is the data of a template: the frame and the page's own data.
type View[T any] struct {
	Frame
	Data T
}

// Page is a template with data of type T.
type Page[T any] struct{ name string }

// Define names a page: "login/choose" is login/choose.html.
func Define[T any](name string) Page[T] { return Page[T]{name: name} }

// Name returns the page's name.
func (p Page[T]) Name() string { return p.name }

// Translated reports whether the page is in every language. The pages for admins are not.
func (p Page[T]) Translated() bool { return translated(p.name) }

func translated(name string) bool { return !strings.HasPrefix(name, adminFolder) }

const adminFolder = "admin/"

// Set is the parsed templates, of each language.
type Set struct {
	languages *i18n.Languages
	pages     map[*i18n.Language]map[string]*template.Template
}

// Load parses everything. It fails on the first template that doesn't parse.
func Load(languages *i18n.Languages) (*Set, error) {
	base, err := template.New("").Funcs(funcs(languages.English)).ParseFS(files, "layout/*.html")
	if err != nil {
		return nil, fmt.Errorf("parsing layout: %w", err)
	}
	names, err := fs.Glob(files, "*/*.html")
	if err != nil {
		return nil, fmt.Errorf("listing templates: %w", err)
	}
	set := &Set{languages: languages, pages: map[*i18n.Language]map[string]*template.Template{}}
	for _, language := range languages.All() {
		set.pages[language] = map[string]*template.Template{}
	}
	for _, file := range names {
		if strings.HasPrefix(file, "layout/") {
			continue
		}
		page, err := template.Must(base.Clone()).ParseFS(files, file)
		if err != nil {
			return nil, fmt.Errorf("parsing %s: %w", file, err)
		}
		name := strings.TrimSuffix(file, path.Ext(file))
		for language, pages := range set.pages {
			pages[name] = template.Must(page.Clone()).Funcs(funcs(language))
		}
	}
	return set, nil
}

// Names lists the pages.
func (s *Set) Names() []string {
	var names []string
	for name := range s.pages[s.languages.English] {
		names = append(names, name)
	}
	return names
}

// Template returns the parsed template of a page, for tests.
func (s *Set) Template(name string) *template.Template {
	return s.pages[s.languages.English][name].Lookup("base")
}

// Render writes a page, in English when it has no other language.
func Render[T any](w io.Writer, s *Set, p Page[T], view View[T]) error {
	if view.Language == nil || !p.Translated() {
		view.Language = s.languages.English
	}
	page, known := s.pages[view.Language][p.name]
	if !known {
		return fmt.Errorf("page %s does not exist", p.name)
	}
	if err := page.ExecuteTemplate(w, "base", view); err != nil {
		return fmt.Errorf("rendering %s: %w", p.name, err)
	}
	return nil
}

// funcs are what templates can use. The ones of the first half speak the page's language.
func funcs(language *i18n.Language) template.FuncMap {
	return template.FuncMap{
		// t says a text of ours, which may hold marks; link gives its first <a> an address.
		"t":    language.HTML,
		"link": i18n.Link,
		// say says what a handler has to say.
		"say":  language.Say,
		"span": func(d time.Duration) string { return language.Say(i18n.Span(d)) },

		// when marks up a time. The script shows it in the reader's time zone;
		"when":    when,
		"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"day":     func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"human":   human,
		"icon":    icon,
		"shape":   shape,
		"env":     environment,
		"millis":  func(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) },
	}
}

// human writes a time so that it reads the same in every language.
func human(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// when returns a <time> element with the UTC time as text and title. The script replaces the text
// by a relative or local time.
func when(t time.Time) template.HTML {
	utc := t.UTC()
	return template.HTML(`<time datetime="` + utc.Format(time.RFC3339) + `" title="` + utc.Format("2006-01-02 15:04:05 UTC") + `">` + human(t) + `</time>`) //nolint:gosec // a time has no markup
}

// environment returns a badge for a cluster's environment, in the color that an admin has chosen
// or the one usual for the word; empty for no environment.
func environment(word, color string) template.HTML {
	if word == "" {
		return ""
	}
	if !slices.Contains([]string{"green", "blue", "purple", "amber", "red"}, color) {
		color = usualColor(strings.ToLower(word))
	}
	return template.HTML(`<span class="tag env ` + color + `">` + template.HTMLEscapeString(word) + `</span>`) //nolint:gosec // the word is escaped, the color is one of a list
}

func usualColor(word string) string {
	for _, usual := range []struct{ prefix, color string }{
		{"prod", "red"}, {"live", "red"}, {"stag", "amber"}, {"pre", "amber"}, {"dev", "green"}, {"test", "green"}, {"sandbox", "green"},
	} {
		if strings.HasPrefix(word, usual.prefix) {
			return usual.color
		}
	}
	return ""
}
