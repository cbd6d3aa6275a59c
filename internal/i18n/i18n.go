// Package i18n translates texts for users. Go code and templates contain the texts in English, and a catalogue maps
// them to each other language. Package server/base/web chooses the language of a request.
package i18n

import (
	"fmt"
	"html/template"
	"time"

	"golang.org/x/text/language"
)

// Text is a text in English with its arguments, to be translated when the language is known. Its zero value is
// empty.
type Text struct {
	format string
	args   []any
}

// T returns a text. The catalogue contains the format. Arguments may be values that fmt formats, texts, and
// durations, which become words.
func T(format string, args ...any) Text { return Text{format: format, args: args} }

// Verbatim returns a text that is the same in every language, such as a name.
func Verbatim(s string) Text { return Text{format: "%s", args: []any{s}} }

// String returns the text in English.
func (t Text) String() string { return (&Language{}).Say(t) }

// IsZero reports whether the text is empty.
func (t Text) IsZero() bool { return t.format == "" }

// Language is a language of the pages. Its zero value is English.
type Language struct {
	tag language.Tag
	// name is the name of the language in the language itself.
	name  string
	texts map[string]message
	// change, when set, modifies every translated text so that it is recognizable.
	change func(string) string
}

// Tag returns the language's BCP 47 tag, such as "de".
func (l *Language) Tag() string { return l.tag.String() }

// Name returns the name of the language in the language itself.
func (l *Language) Name() string { return l.name }

// Say translates a text. The result is plain text, which the caller must escape in HTML.
func (l *Language) Say(t Text) string {
	return l.fill(l.format(t), t.args, func(s string) string { return s })
}

// HTML translates a format that may contain markup, such as <code>. Only templates contain such formats. It escapes
// the arguments, except template.HTML.
func (l *Language) HTML(format string, args ...any) template.HTML {
	return template.HTML(l.fill(l.format(Text{format, args}), args, template.HTMLEscapeString)) //nolint:gosec // the format comes from a template, and the arguments are escaped
}

// fill inserts the arguments into a format and quotes those that are not numbers.
func (l *Language) fill(format string, args []any, quote func(string) string) string {
	if len(args) == 0 {
		return format
	}
	said := make([]any, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case Text:
			said[i] = quote(l.Say(v))
		case time.Duration:
			said[i] = quote(l.Say(Span(v)))
		case template.HTML:
			said[i] = string(v)
		case int, int64, float64:
			said[i] = v
		default:
			said[i] = quote(fmt.Sprint(arg))
		}
	}
	return fmt.Sprintf(format, said...)
}

// format returns the translated format.
func (l *Language) format(t Text) string {
	format := t.format
	if m, known := l.texts[format]; known {
		format = m.of(l.tag, t.args)
	}
	if l.change != nil {
		format = l.change(format)
	}
	return format
}

// Span formats a duration in words: "10 minutes", "12 hours", "7 days".
func Span(d time.Duration) Text {
	for _, unit := range []struct {
		size      time.Duration
		one, many string
	}{
		{24 * time.Hour, "1 day", "%d days"},
		{time.Hour, "1 hour", "%d hours"},
		{time.Minute, "1 minute", "%d minutes"},
		{time.Second, "1 second", "%d seconds"},
	} {
		if d < unit.size || (d%unit.size != 0 && d < 3*unit.size) {
			continue
		}
		if n := int(d / unit.size); n > 1 {
			return T(unit.many, n)
		}
		return T(unit.one)
	}
	return T("moments")
}
