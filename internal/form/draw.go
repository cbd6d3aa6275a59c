package form

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Section is a group of inputs under a heading.
type Section struct {
	Title  string
	Inputs []Input
	// Advanced inputs are collapsed, unless Open reports that one of them has a problem. Differ counts those whose
	// value is not the default.
	Advanced []Input
	Open     bool
	Differ   int
}

// Input is a field with its value.
type Input struct {
	Field
	// Name is the name of the input. ID is the id of the element.
	Name, ID string
	// Value is the text to show. It is empty for a secret.
	Value string
	// On is the value of a Bool.
	On bool
	// Kept reports that a secret is stored. Sealed is an encrypted secret that the user has typed and not saved
	// yet. The form sends it back, so that the user need not type it again.
	Kept   bool
	Sealed string
	// Problem is a fault. Warning is a possible mistake that does not prevent saving.
	Problem, Warning string
	// Choices are the Options, one of them selected.
	Choices []Choice
	// Lines are the rows of Rows, with an empty one to fill in.
	Lines [][]Input
	// Locked inputs cannot be changed.
	Locked bool
}

// Choice is an option of a select.
type Choice struct {
	Option
	Chosen bool
}

// Drawing holds what Sections needs.
type Drawing struct {
	Fields []Field
	// Doc holds the values to show. Stored is the saved document, which tells which secrets exist.
	Doc, Stored Doc
	Problems    []Problem
	// Locked locks all inputs. Edit locks the inputs that are fixed after creation.
	Locked, Edit bool
}

// Sections returns the sections of the form in order.
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
		if value == "" {
			in.Value = f.EmptyWord
		}
	}
	return in
}

// rows returns the existing rows and an empty one, because a browser without JavaScript cannot add a row.
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

// problem finds the problem of a field or of an element of its list. Elements of Rows show their own problems.
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

// Masked replaces a secret.
const Masked = "(secret)"

// Mask returns the document with its secrets replaced by Masked.
func Mask(fields []Field, doc Doc) Doc {
	out := doc.Clone()
	for _, f := range fields {
		if f.Kind == Secret && out.Get(f.Key) != nil {
			out.Set(f.Key, Masked)
		}
	}
	return out
}

// Change is a field that differs between two documents.
type Change struct{ Label, Before, After string }

// Diff compares two documents field by field. For a secret it only says that it has changed.
func Diff(fields []Field, before, after Doc) []Change {
	var list []Change
	for _, f := range fields {
		a, b := before.Get(f.Key), after.Get(f.Key)
		if same(f, a, b) {
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

// same reports whether a field has one value in two documents. Labels without a value and empty texts with a word of
// their own count.
func same(f Field, a, b any) bool {
	if f.Kind == Pairs || f.Kind == Claims || f.EmptyWord != "" {
		return show(f, a) == show(f, b)
	}
	return Equal(a, b)
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
		if v == "" {
			return f.EmptyWord
		}
	}
	return text(v)
}
