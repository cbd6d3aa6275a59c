// Package form describes forms as lists of fields. It draws a form, parses a submitted form into a document, masks
// secrets and compares documents. The package that declares the fields defines what their values mean.
package form

import (
	"strconv"
	"strings"
)

// Kind is the type of a field.
type Kind string

// The kinds.
const (
	Text Kind = "text"
	// Long is a text of several lines.
	Long Kind = "long"
	// Secret is a text that is written and never shown.
	Secret Kind = "secret"
	// List is a list of texts, one a line.
	List   Kind = "list"
	Bool   Kind = "bool"
	Number Kind = "number"
	// PEM is one or more certificates.
	PEM Kind = "pem"
	// Date is a day such as 2027-05-31.
	Date Kind = "date"
	// Select is one of Options.
	Select Kind = "select"
	// Pairs maps a key to a text, "key=value" on each line.
	Pairs Kind = "pairs"
	// Claims maps a key to several texts, "key=value" on each line.
	Claims Kind = "claims"
	// Rows is a list of documents with their own Fields.
	Rows Kind = "rows"
)

// Option is a choice of a Select.
type Option struct{ Value, Label string }

// Field is one input of a form.
type Field struct {
	// Key is the path in the document, such as "userSearch.baseDN".
	Key string
	// Label is the label, in the provider's own word if there is one.
	Label string
	// Help is a sentence that says what to enter and where to find it.
	Help string
	// Placeholder is an example.
	Placeholder string
	Kind        Kind
	Required    bool
	// Advanced fields are collapsed.
	Advanced bool
	// Default is the value of an empty field, such as "10m". A form counts the collapsed fields with another value.
	Default string
	// Section is the heading above the field. Empty continues the previous section.
	Section string
	// Options are the choices of a Select.
	Options []Option
	// Fields are the fields of each of the Rows.
	Fields []Field
	// EmptyWord is what an admin enters for an empty text where an empty input means the default, such as "none".
	// Empty forbids the difference.
	EmptyWord string
	// Destination says that secrets are sent to this address. A new destination clears the stored secrets, so that
	// they are never sent to another host.
	Destination bool
	// Multiline says that a Secret has several lines, as a private key has. It is shown while it is typed.
	Multiline bool
	// Fixed fields cannot be changed after creation.
	Fixed bool
	// Danger describes the risk of switching the field on. The form then asks the user to type "yes".
	Danger string
}

// Problem is a fault of a field.
type Problem struct {
	// Field is the key, such as "bindPassword" or "orgs[0].name".
	Field string
	// Message says what is wrong and what to enter instead.
	Message string
}

// Doc is a JSON object.
type Doc map[string]any

// Get returns the value at a path such as "userSearch.baseDN", or nil.
func (d Doc) Get(path string) any {
	var at any = map[string]any(d)
	for key := range strings.SplitSeq(path, ".") {
		object, ok := asObject(at)
		if !ok {
			return nil
		}
		at = object[key]
	}
	return at
}

// Set sets the value at a path. Nil removes it.
func (d Doc) Set(path string, value any) {
	keys := strings.Split(path, ".")
	at := map[string]any(d)
	for _, key := range keys[:len(keys)-1] {
		next, ok := asObject(at[key])
		if !ok {
			if value == nil {
				return
			}
			next = map[string]any{}
		}
		at[key] = next
		at = next
	}
	if last := keys[len(keys)-1]; value == nil {
		delete(at, last)
	} else {
		at[last] = value
	}
}

// Text returns the value at a path as a string.
func (d Doc) Text(path string) string { return text(d.Get(path)) }

// Clone returns a deep copy.
func (d Doc) Clone() Doc {
	copied, _ := clone(map[string]any(d)).(map[string]any)
	return copied
}

func clone(v any) any {
	if object, ok := asObject(v); ok {
		out := make(map[string]any, len(object))
		for key, value := range object {
			out[key] = clone(value)
		}
		return out
	}
	if list, ok := v.([]any); ok {
		out := make([]any, len(list))
		for i, value := range list {
			out[i] = clone(value)
		}
		return out
	}
	return v
}

func asObject(v any) (map[string]any, bool) {
	switch object := v.(type) {
	case map[string]any:
		return object, object != nil
	case Doc:
		return object, object != nil
	}
	return nil, false
}

func asList(v any) []any {
	switch list := v.(type) {
	case []any:
		return list
	case []string:
		out := make([]any, len(list))
		for i, s := range list {
			out[i] = s
		}
		return out
	}
	return nil
}

func text(v any) string {
	switch value := v.(type) {
	case string:
		return value
	case bool:
		return strconv.FormatBool(value)
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	case int:
		return strconv.Itoa(value)
	}
	return ""
}

// Prefixed returns the fields with a prefix before their keys, so that a connector's fields fit into a larger
// document.
func Prefixed(prefix string, fields []Field) []Field {
	out := make([]Field, len(fields))
	for i, f := range fields {
		f.Key = prefix + f.Key
		out[i] = f
	}
	return out
}

// Compact removes empty texts, lists and objects, and false values. It keeps the values for which empty and missing
// differ: a missing "enabled" means true, a missing prefix means the default, and a label may have no value.
func (d Doc) Compact() Doc {
	out := Doc{}
	for key, value := range d {
		if object, ok := asObject(value); ok && key != "labels" {
			value = map[string]any(Doc(object).Compact())
		}
		switch key {
		case "enabled", "userPrefix", "groupPrefix":
			if value != nil {
				out[key] = value
			}
		default:
			if renderEntry(key, value) != "" {
				out[key] = value
			}
		}
	}
	return out
}
