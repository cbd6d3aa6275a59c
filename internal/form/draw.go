package form

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Section is some fields under a heading, ready to be drawn.
type Section struct {
	Title  string
	Inputs []Input
	// Advanced are folded away, unless Open: one of them has a problem. Differ counts those
	// whose value is not the default.
	Advanced []Input
	Open     bool
	Differ   int
}

// Input is a field with its value.
type Input struct {
	Field
	// Name is the field's name in the form; ID is that of the element.
	Name, ID string
	// Value is the text to show. It is empty for a secret.
	Value string
	// On is the value of a Bool.
	On bool
	// Kept says that a secret is stored. Sealed is a secret that was typed and not yet saved,
	// encrypted: the form sends it back, so that it need not be typed again.
	Kept   bool
	Sealed string
	// Problem is a fault; Warning is what may be a mistake, and can be saved.
	Problem, Warning string
	// Choices are Options with the one that is chosen.
	Choices []Choice
	// Lines are the rows of Rows, with an empty one to add.
	Lines [][]Input
	// Locked inputs can't be changed.
	Locked bool
}

// Choice is an option of a select.
type Choice struct {
	Option
	Chosen bool
}

// Drawing is what a form is drawn from.
type Drawing struct {
	Fields []Field
	// Doc is what is shown; Stored is what is kept, for secrets.
	Doc, Stored Doc
	Problems    []Problem
	// Locked draws everything locked; Edit locks what is fixed after creation.
	Locked, Edit bool
}

// Sections returns the form's parts in order.
func (d Drawing) Sections() []Section {
	var list []Section
	for _, f := range d.Fields {
		if len(list) == 0 || f.Section != "" && f.Section != list[len(list)-1].Title {
			list = append(list, Section{Title: f.Section})
		}
		section := &list[len(list)-1]
		input := d.input(f, f.Key, d.Doc.Get(f.Key))
		if !f.Advanced {
			section.Inputs = append(section.Inputs, input)
			continue
		}
		section.Advanced = append(section.Advanced, input)
		section.Open = section.Open || input.Problem != ""
		if value := d.Doc.Get(f.Key); !Equal(value, nil) && !Equal(value, f.Default) {
			section.Differ++
		}
	}
	return list
}

func (d Drawing) input(f Field, name string, value any) Input {
	in := Input{
		Field: f, Name: name, ID: "f-" + strings.NewReplacer(".", "-", "[", "-", "]", "").Replace(name),
		Problem: d.problem(name, f.Kind == Rows), Locked: d.Locked || d.Edit && f.Fixed,
	}
	switch f.Kind {
	case Secret:
		in.Kept = d.Stored.Get(name) != nil
	case Bool:
		in.On = value == true
	case List:
		in.Value = joined(asList(value))
	case Pairs, Claims:
		in.Value = pairs(value)
	case Select:
		for _, o := range f.Options {
			in.Choices = append(in.Choices, Choice{o, o.Value == text(value)})
		}
		in.Value = text(value)
	case Rows:
		in.Lines = d.rows(f, name, asList(value))
	case Text, Long, Number, PEM, Date:
		in.Value = text(value)
	}
	return in
}

// rows draws each row, and an empty one: without a script there is no other way
// to add one.
func (d Drawing) rows(f Field, name string, values []any) [][]Input {
	if !d.Locked {
		values = append(slices.Clone(values), map[string]any{})
	}
	lines := make([][]Input, len(values))
	for i, value := range values {
		object, _ := asObject(value)
		for _, sub := range f.Fields {
			path := fmt.Sprintf("%s[%d].%s", name, i, sub.Key)
			if i > 0 {
				sub.Help = ""
			}
			lines[i] = append(lines[i], d.input(sub, path, Doc(object).Get(sub.Key)))
		}
	}
	return lines
}

// problem finds that of a field, also one that is about an element of its list.
// Rows leave those to their own inputs.
func (d Drawing) problem(name string, rows bool) string {
	for _, p := range d.Problems {
		if p.Field == name || !rows && strings.HasPrefix(p.Field, name+"[") || !rows && strings.HasPrefix(p.Field, name+".") {
			return p.Message
		}
	}
	return ""
}

func joined(list []any) string {
	var lines []string
	for _, v := range list {
		lines = append(lines, text(v))
	}
	return strings.Join(lines, "\n")
}

func pairs(value any) string {
	object, _ := asObject(value)
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if list := asList(object[key]); list != nil {
			for _, v := range list {
				lines = append(lines, key+"="+text(v))
			}
			continue
		}
		lines = append(lines, key+"="+text(object[key]))
	}
	return strings.Join(lines, "\n")
}

// Masked is what stands for a secret.
const Masked = "(secret)"

// Mask returns the document without its secrets: fit to be shown.
func Mask(fields []Field, doc Doc) Doc {
	out := doc.Clone()
	for _, f := range fields {
		if f.Kind == Secret && out.Get(f.Key) != nil {
			out.Set(f.Key, Masked)
		}
	}
	return out
}

// Change is a field that two documents have different.
type Change struct{ Label, Before, After string }

// Diff compares two documents field by field, for people. A secret is only said
// to have changed.
func Diff(fields []Field, before, after Doc) []Change {
	var list []Change
	for _, f := range fields {
		a, b := before.Get(f.Key), after.Get(f.Key)
		if Equal(a, b) {
			continue
		}
		if f.Kind == Secret {
			list = append(list, Change{f.Label, hidden(a, ""), hidden(b, ", new")})
			continue
		}
		list = append(list, Change{f.Label, show(f, a), show(f, b)})
	}
	return list
}

func hidden(v any, more string) string {
	if v == nil {
		return ""
	}
	return "set" + more
}

func show(f Field, v any) string {
	switch f.Kind {
	case List:
		return joined(asList(v))
	case Pairs, Claims:
		return pairs(v)
	case Bool:
		if v == true {
			return "yes"
		}
		return "no"
	case Rows:
		var lines []string
		for _, row := range asList(v) {
			object, _ := asObject(row)
			var parts []string
			for _, sub := range f.Fields {
				if s := strings.ReplaceAll(show(sub, object[sub.Key]), "\n", ", "); s != "" {
					parts = append(parts, s)
				}
			}
			lines = append(lines, strings.Join(parts, ": "))
		}
		return strings.Join(lines, "\n")
	case Text, Long, Secret, Number, PEM, Date, Select:
	}
	return text(v)
}
