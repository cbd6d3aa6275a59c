package form

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxRows bounds the rows of a submitted form.
const maxRows = 200

// Parse converts a submitted form to a document. It trims texts and leaves out empty ones. Invalid numbers and
// pairs without "=" are problems; callers validate everything else.
func Parse(fields []Field, sent url.Values) (Doc, []Problem) {
	p := &parser{sent: sent}
	doc := Doc{}
	for _, f := range fields {
		doc.Set(f.Key, p.value(f, f.Key))
	}
	return doc, p.problems
}

type parser struct {
	sent     url.Values
	problems []Problem
}

func (p *parser) value(f Field, name string) any {
	given := strings.TrimSpace(strings.ReplaceAll(p.sent.Get(name), "\r\n", "\n"))
	switch f.Kind {
	case Bool:
		return p.bool(f, name)
	case Rows:
		return p.rows(f, name)
	case List:
		return orNil(Lines(given))
	case Pairs, Claims:
		return p.pairs(f, given, name)
	case Number:
		return p.number(given, name)
	case Text, Long, Secret, PEM, Date, Select:
	}
	switch given {
	case "":
		return nil
	case f.EmptyWord:
		return ""
	}
	return given
}

func (p *parser) bool(f Field, name string) any {
	if p.sent.Get(name) == "" {
		return nil
	}
	if f.Danger != "" && !strings.EqualFold(strings.TrimSpace(p.sent.Get(name+".confirm")), "yes") {
		p.problems = append(p.problems, Problem{name, "is dangerous: type yes beside it to switch it on"})
	}
	return true
}

func (p *parser) number(given, name string) any {
	if given == "" {
		return nil
	}
	n, err := strconv.Atoi(given)
	if err != nil {
		p.problems = append(p.problems, Problem{name, fmt.Sprintf("must be a whole number, not %q", given)})
		return nil
	}
	return n
}

func (p *parser) pairs(f Field, given, name string) any {
	object := map[string]any{}
	for _, line := range Lines(given) {
		text, _ := line.(string)
		key, value, found := strings.Cut(text, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !found || key == "" {
			p.problems = append(p.problems, Problem{name, fmt.Sprintf("must have key=value on each line, not %q", text)})
			continue
		}
		if f.Kind == Pairs {
			object[key] = value
			continue
		}
		object[key] = append(asList(object[key]), value)
	}
	if len(object) == 0 {
		return nil
	}
	return object
}

func (p *parser) rows(f Field, name string) any {
	var list []any
	for i := range maxRows {
		if !p.sent.Has(fmt.Sprintf("%s[%d].%s", name, i, f.Fields[0].Key)) {
			break
		}
		row := Doc{}
		for _, sub := range f.Fields {
			row.Set(sub.Key, p.value(sub, fmt.Sprintf("%s[%d].%s", name, i, sub.Key)))
		}
		if len(row) > 0 {
			list = append(list, map[string]any(row))
		}
	}
	return orNil(list)
}

func orNil(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

// Lines returns the non-empty lines of a text.
func Lines(given string) []any {
	var list []any
	for line := range strings.Lines(given) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// Merge copies the stored secrets that the user has not entered again. Masked stands for the stored secret too. If a
// destination has changed it copies none, and these secrets become problems.
func Merge(fields []Field, doc, stored Doc) []Problem {
	moved := ""
	for _, f := range fields {
		if stored != nil && f.Destination && !Equal(doc.Get(f.Key), stored.Get(f.Key)) {
			moved = f.Label
		}
	}
	var problems []Problem
	for _, f := range fields {
		if f.Kind != Secret {
			continue
		}
		old, given := stored.Get(f.Key), doc.Get(f.Key)
		masked := given == Masked
		switch {
		case given != nil && !masked:
		case old == nil && masked:
			problems = append(problems, Problem{f.Key, "is " + Masked + ", which stands for the stored value, and nothing is stored: enter the value itself, or leave it out"})
		case old == nil:
		case moved == "":
			doc.Set(f.Key, old)
		default:
			problems = append(problems, Problem{f.Key, "has been cleared because “" + moved + "” is another now: type it again, so that it is not sent to a place you did not mean"})
		}
	}
	return problems
}

// EmptyEntries returns a problem for each list with an empty text. A form can't show such an entry.
func EmptyEntries(fields []Field, doc Doc) []Problem {
	var problems []Problem
	for _, f := range fields {
		if f.Kind == List && slices.Contains(asList(doc.Get(f.Key)), any("")) {
			problems = append(problems, Problem{f.Key, "must have no empty entry: remove it"})
		}
	}
	return problems
}

// Equal compares two values. Missing, an empty text, an empty list, zero and false are equal, because a form cannot
// distinguish them.
func Equal(a, b any) bool {
	return render(a) == render(b)
}

// renderEntry renders an entry of an object. Labels count without a value too.
func renderEntry(key string, v any) string {
	if key == "labels" {
		return pairs(v)
	}
	return render(v)
}

// render returns a text that is equal for equal values, and empty for what is equal to a missing value.
func render(v any) string {
	if object, ok := asObject(v); ok {
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if part := renderEntry(key, object[key]); part != "" {
				parts = append(parts, strconv.Quote(key)+":"+part)
			}
		}
		if len(parts) == 0 {
			return ""
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	if list := asList(v); list != nil {
		var parts []string
		for _, value := range list {
			parts = append(parts, render(value))
		}
		if len(parts) == 0 {
			return ""
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	if s := text(v); s != "" && v != false && v != 0 && v != 0.0 {
		return strconv.Quote(s)
	}
	return ""
}
