// Package templates holds the HTML of every page. A Page ties a template to the
// type of its data. What a page shows is decided by the handlers.
package templates

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

//go:embed layout login portal admin
var files embed.FS

// Files returns the templates, for tests that look at their text.
func Files() fs.FS { return files }

// Frame is what every page shares.
type Frame struct {
	// Title is the heading's text in the window's title.
	Title string
	// Brand is the name of the installation.
	Brand string
	// Logo and Style are the addresses of the installation's own; empty for Fairlead's.
	Logo, Style string
	// Path makes a link to a page of ours from a path such as "/clusters".
	Path func(string) string
	// Asset makes the address of a file of package static.
	Asset func(string) string
	// RequestID is shown where something went wrong.
	RequestID string
	// Person is who is signed in, or nil.
	Person *Person
	// Demo says that this is the demo, with accounts that everybody knows.
	Demo bool
	// Version is the build.
	Version string
	// Refresh asks the browser to load the page again after so many seconds, or
	// not at all when it is zero. It works without scripts.
	Refresh int
	// Nav is the navigation beside the page, Notes what is shown above it.
	Nav   []Link
	Notes []string
}

// Person is the signed-in person in the page's head.
type Person struct {
	Name, Detail string
	// Admin shows the way to the admin pages.
	Admin bool
}

// Link is an entry of the navigation beside a page.
type Link struct {
	Label, Path string
	// Here marks the page that is shown; Mark says how much needs attention.
	Here bool
	Mark int
}

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

// Set is the parsed templates.
type Set struct{ pages map[string]*template.Template }

// Load parses everything. It fails on the first template that doesn't parse.
func Load() (*Set, error) {
	base, err := template.New("").Funcs(funcs()).ParseFS(files, "layout/*.html")
	if err != nil {
		return nil, fmt.Errorf("parsing layout: %w", err)
	}
	set := &Set{pages: map[string]*template.Template{}}
	names, err := fs.Glob(files, "*/*.html")
	if err != nil {
		return nil, fmt.Errorf("listing templates: %w", err)
	}
	for _, file := range names {
		if strings.HasPrefix(file, "layout/") {
			continue
		}
		page, err := template.Must(base.Clone()).ParseFS(files, file)
		if err != nil {
			return nil, fmt.Errorf("parsing %s: %w", file, err)
		}
		set.pages[strings.TrimSuffix(file, path.Ext(file))] = page
	}
	return set, nil
}

// Names lists the pages.
func (s *Set) Names() []string {
	var names []string
	for name := range s.pages {
		names = append(names, name)
	}
	return names
}

// Template returns the parsed template of a page, for tests.
func (s *Set) Template(name string) *template.Template { return s.pages[name].Lookup("base") }

// Render writes a page.
func Render[T any](w io.Writer, s *Set, p Page[T], view View[T]) error {
	page, known := s.pages[p.name]
	if !known {
		return fmt.Errorf("page %s does not exist", p.name)
	}
	if err := page.ExecuteTemplate(w, "base", view); err != nil {
		return fmt.Errorf("rendering %s: %w", p.name, err)
	}
	return nil
}

func funcs() template.FuncMap {
	return template.FuncMap{
		"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"day":     func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"human":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
		"span":    Span,
		"icon":    icon,
		"millis":  func(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) },
	}
}

// Span says a length of time in words: "10 minutes", "12 hours", "7 days".
func Span(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if d < unit.size || (d%unit.size != 0 && d < 3*unit.size) {
			continue
		}
		n := int(d / unit.size)
		if n == 1 {
			return "1 " + unit.name
		}
		return fmt.Sprintf("%d %ss", n, unit.name)
	}
	return "moments"
}
