// Package form is a list of fields and what follows from it: a form is drawn
// from it, a document is read from one that was sent, secrets are masked, and
// two documents are compared. What the values mean is up to who declares the
// fields.
package form

import (
	"strconv"
	"strings"
)

// Kind says how a field is drawn and what it holds.
type Kind string

// The kinds of field.
const (
	Text Kind = "text"
	// Long is a text of several lines.
	Long Kind = "long"
	// Secret is written and never shown.
	Secret Kind = "secret"
	// List is a list of texts, one a line.
	List   Kind = "list"
	Bool   Kind = "bool"
	Number Kind = "number"
	// PEM is a certificate, or several.
	PEM Kind = "pem"
	// Date is a day such as 2027-05-31, on which something ends.
	Date Kind = "date"
	// Select is one of Options.
	Select Kind = "select"
	// Pairs maps a key to a text, "key=value" on each line.
	Pairs Kind = "pairs"
	// Claims maps a key to several texts, "key=value" on each line.
	Claims Kind = "claims"
	// Rows is a list of small documents with Fields of their own.
	Rows Kind = "rows"
)

// Option is a choice of a Select.
type Option struct{ Value, Label string }

// Field is one setting.
type Field struct {
	// Key is the path in the document, such as "userSearch.baseDN".
	Key string
	// Label is the word for it, where there is one the provider's own.
	Label string
	// Help is a sentence: what to put here, and where to find it.
	Help string
	// Placeholder is an example.
	Placeholder string
	Kind        Kind
	Required    bool
	// Advanced fields are folded away.
	Advanced bool
	// Default is the value that an empty field stands for, such as "10m". A form counts
	// the folded fields whose value differs from it.
	Default string
	// Section is the heading above; empty continues the one before.
	Section string
	// Options are the choices of a Select.
	Options []Option
	// Fields are those of each of the Rows.
	Fields []Field
	// Destination says where secrets go. Another destination clears them: a stored
	// secret must never be sent to a new place.
	Destination bool
	// Fixed fields can't be changed after creation.
	Fixed bool
	// Danger is what switching it on means; the form asks for a typed "yes".
	Danger string
}

// Problem is a fault in a field.
type Problem struct {
	// Field is the key, such as "bindPassword" or "orgs[0].name".
	Field string
	// Message says what is wrong and what to write instead.
	Message string
}

// Doc is a document: what JSON calls an object.
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

// Set puts a value at a path. A nil value removes what is there.
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

// Text returns the text at a path, or what stands for it.
func (d Doc) Text(path string) string { return text(d.Get(path)) }

// Clone returns a copy that shares nothing.
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

// Prefixed returns fields below a path: what a connector declares becomes part of
// a larger document.
func Prefixed(prefix string, fields []Field) []Field {
	out := make([]Field, len(fields))
	for i, f := range fields {
		f.Key = prefix + f.Key
		out[i] = f
	}
	return out
}

// Compact removes what says nothing: empty texts, lists and objects, and false,
// but for "enabled", whose absence means yes.
func (d Doc) Compact() Doc {
	out := Doc{}
	for key, value := range d {
		if object, ok := asObject(value); ok {
			value = map[string]any(Doc(object).Compact())
		}
		if render(value) != "" || key == "enabled" {
			out[key] = value
		}
	}
	return out
}
