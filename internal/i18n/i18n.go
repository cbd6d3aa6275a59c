// Package i18n says what people read in their language. Its messages are English, where
// they are used; a catalogue has each of them in another language. It leaves to the pages
// what is said, and to package server/base/web which language somebody reads.
package i18n

import (
	"fmt"
	"html/template"
	"time"

	"golang.org/x/text/language"
)

// Text is something to say, in English and with arguments, until it is known in which
// language. Its zero value says nothing.
type Text struct {
	format string
	args   []any
}

// T makes a text. The format is in the catalogue; arguments are of the kinds that fmt knows,
// texts, and lengths of time, which are said in words.
func T(format string, args ...any) Text { return Text{format: format, args: args} }

// Verbatim makes a text that is the same in every language, such as a name.
func Verbatim(s string) Text { return Text{format: "%s", args: []any{s}} }

// String says it in English.
func (t Text) String() string { return (&Language{}).Say(t) }

// IsZero reports whether there is nothing to say.
func (t Text) IsZero() bool { return t.format == "" }

// Language is a language that pages are in. Its zero value is that of the sources: English.
type Language struct {
	tag language.Tag
	// name is what its speakers call it.
	name  string
	texts map[string]message
	// change, when set, makes every text of ours recognizable.
	change func(string) string
}

// Tag returns the language's BCP 47 tag, such as "de".
func (l *Language) Tag() string { return l.tag.String() }

// Name returns what its speakers call it.
func (l *Language) Name() string { return l.name }

// Say says a text. It is plain: whoever shows it escapes it.
func (l *Language) Say(t Text) string {
	return l.fill(l.format(t), t.args, func(s string) string { return s })
}

// HTML says a format that may hold marks, such as <code>. Only templates have these. What
// stands in arguments is escaped, unless it is template.HTML.
func (l *Language) HTML(format string, args ...any) template.HTML {
	return template.HTML(l.fill(l.format(Text{format, args}), args, template.HTMLEscapeString)) //nolint:gosec // the format is a template's, what is in it is escaped
}

// fill puts arguments into a format, those that aren't numbers quoted.
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

// format is what is said, before the arguments are in it.
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

// Span says a length of time in words: "10 minutes", "12 hours", "7 days".
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
