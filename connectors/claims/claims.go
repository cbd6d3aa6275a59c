// Package claims reads the claims of an OpenID Connect ID token or of a userinfo
// response as real providers write them: booleans as text, groups as objects,
// claims inside other claims. It decides nothing about who may sign in.
package claims

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Set is a decoded JSON object. Numbers are json.Number, so that a long id
// keeps all its digits.
type Set map[string]any

// Decode reads a JSON object.
func Decode(text []byte) (Set, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var set Set
	if err := decoder.Decode(&set); err != nil {
		return nil, fmt.Errorf("decoding claims: %w", err)
	}
	return set, nil
}

// Find returns the claim at a path: its name, names joined by dots
// ("realm_access.roles"), or a JSON pointer (RFC 6901, "/realm_access/roles").
// A claim whose own name has dots in it ("https://example.com/groups") comes first.
func (s Set) Find(path string) (value any, found bool) {
	if path == "" {
		return nil, false
	}
	if value, found := s[path]; found {
		return value, true
	}
	if pointer, ok := strings.CutPrefix(path, "/"); ok {
		return s.walk(strings.Split(pointer, "/"), strings.NewReplacer("~1", "/", "~0", "~"))
	}
	return findDotted(s, path)
}

func (s Set) walk(names []string, unescape *strings.Replacer) (value any, found bool) {
	value = map[string]any(s)
	for _, name := range names {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[unescape.Replace(name)]; !ok {
			return nil, false
		}
	}
	return value, true
}

// findDotted tries every dot as the border between two names, the first first.
func findDotted(object map[string]any, path string) (value any, found bool) {
	for i, r := range path {
		if r != '.' {
			continue
		}
		if inner, ok := object[path[:i]].(map[string]any); ok {
			if value, ok := inner[path[i+1:]]; ok {
				return value, true
			}
			if value, ok := findDotted(inner, path[i+1:]); ok {
				return value, true
			}
		}
	}
	return nil, false
}

// Text returns a claim as text: a string or a number. A claim that is absent,
// null or of another kind is the empty text.
func (s Set) Text(path string) string {
	value, _ := s.Find(path)
	text, _ := scalar(value)
	return text
}

func scalar(value any) (text string, ok bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// Attributes returns the claims as text, those of objects under names with dots.
func (s Set) Attributes() map[string][]string {
	all := map[string][]string{}
	addAttributes(all, "", s)
	return all
}

func addAttributes(all map[string][]string, prefix string, object map[string]any) {
	for name, value := range object {
		switch v := value.(type) {
		case map[string]any:
			addAttributes(all, prefix+name+".", v)
		case []any:
			all[prefix+name] = texts(v)
		default:
			all[prefix+name] = texts([]any{v})
		}
	}
}

// texts returns each value as text: strings as they are, others as JSON.
func texts(values []any) []string {
	list := make([]string, 0, len(values))
	for _, value := range values {
		text, ok := value.(string)
		if encoded, err := json.Marshal(value); !ok && err == nil {
			text = string(encoded)
		}
		list = append(list, text)
	}
	return list
}

// Bool returns a claim as a boolean: true and false, "true" and "false" in any
// case, 1 and 0 as a number or text. Said is false when the claim is absent or
// anything else.
func (s Set) Bool(path string) (value, said bool) {
	found, _ := s.Find(path)
	if b, ok := found.(bool); ok {
		return b, true
	}
	text, _ := scalar(found)
	switch strings.ToLower(text) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}
