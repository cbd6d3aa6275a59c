package i18n

import (
	"embed"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed *.yaml
var files embed.FS

// Languages are the languages of the pages.
type Languages struct {
	// English is the language of the source code.
	English, German *Language
	// Pseudo is accented English, in which texts missing from the catalogues are easy to see. A browser gets it
	// with the language en-XA.
	Pseudo *Language

	matcher language.Matcher
}

// Load reads the embedded catalogues. An error is a defect of the build.
func Load() (*Languages, error) {
	german, err := load("de")
	if err != nil {
		return nil, err
	}
	l := &Languages{
		English: &Language{tag: language.English, name: "English"},
		German:  &Language{tag: language.German, name: "Deutsch", texts: german},
		Pseudo:  &Language{tag: language.MustParse("en-XA"), name: "Pseudo", change: pseudo},
	}
	// The matcher also maps regional languages: a browser that asks for Austrian German gets German. Only browsers
	// that ask for Pseudo get it.
	l.matcher = language.NewMatcher([]language.Tag{l.English.tag, l.German.tag})
	return l, nil
}

// Choice lists the languages that users can choose.
func (l *Languages) Choice() []*Language { return []*Language{l.English, l.German} }

// All lists the languages of the pages.
func (l *Languages) All() []*Language { return append(l.Choice(), l.Pseudo) }

// Find returns the language with a tag, or nil.
func (l *Languages) Find(tag string) *Language {
	for _, one := range l.All() {
		if one.Tag() == tag {
			return one
		}
	}
	return nil
}

// maxWish bounds the header, in bytes.
const maxWish = 512

// Accepted returns the language for an Accept-Language header (RFC 9110, section 12.5.4). It returns English if no
// requested language is available.
func (l *Languages) Accepted(header http.Header) *Language {
	wish := header.Get("Accept-Language")
	if strings.HasPrefix(wish, l.Pseudo.Tag()) {
		return l.Pseudo
	}
	if len(wish) > maxWish {
		return l.English
	}
	tags, _, err := language.ParseAcceptLanguage(wish)
	if err != nil {
		return l.English
	}
	_, at, sure := l.matcher.Match(tags...)
	if sure == language.No {
		return l.English
	}
	return l.Choice()[at]
}

// message is a translation, with one form for each plural category of the language. The first argument, a number,
// selects the form.
type message struct{ forms map[plural.Form]string }

// UnmarshalYAML reads a text, or a text for each plural category (CLDR's names).
func (m *message) UnmarshalYAML(node *yaml.Node) error {
	m.forms = map[plural.Form]string{}
	if node.Kind == yaml.ScalarNode {
		m.forms[plural.Other] = node.Value
		return nil
	}
	var named map[string]string
	if err := node.Decode(&named); err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	forms := map[string]plural.Form{"zero": plural.Zero, "one": plural.One, "two": plural.Two, "few": plural.Few, "many": plural.Many, "other": plural.Other}
	for name, text := range named {
		form, known := forms[name]
		if !known {
			return fmt.Errorf("line %d: %s is no plural form", node.Line, name)
		}
		m.forms[form] = text
	}
	return nil
}

func (m message) of(tag language.Tag, args []any) string {
	if len(m.forms) > 1 && len(args) > 0 {
		if n, ok := args[0].(int); ok {
			if text, has := m.forms[plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)]; has {
				return text
			}
		}
	}
	return m.forms[plural.Other]
}

// Texts lists the English texts of the catalogue.
func (l *Language) Texts() []string { return slices.Sorted(maps.Keys(l.texts)) }

// load reads a catalogue, which maps English texts to another language.
func load(tag string) (map[string]message, error) {
	text, err := files.ReadFile(tag + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("reading catalogue: %w", err)
	}
	var texts map[string]message
	if err := yaml.Unmarshal(text, &texts); err != nil {
		return nil, fmt.Errorf("reading catalogue %s: %w", tag, err)
	}
	return texts, nil
}
