package claims

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrOverage means that the provider left the groups out of the token because
// there are too many of them (Microsoft Entra ID: "_claim_names", "hasgroups").
var ErrOverage = errors.New("the provider left the groups out because the user has too many")

// KindError means that a claim is of a kind that holds no groups.
type KindError struct {
	// Path is where the claim is.
	Path string
	// Kind says what it is, such as "a boolean".
	Kind string
}

// Error implements error.
func (e *KindError) Error() string {
	return fmt.Sprintf("the claim %q is %s, not a list of groups", e.Path, e.Kind)
}

// nameKeys are the keys under which an object in a list names its group, in the
// order in which they are tried.
var nameKeys = [...]string{"name", "displayName", "display_name", "value", "path", "slug", "id"}

// Groups returns the groups in a claim, sorted, each once. The claim is a list
// of strings, numbers or objects with a name, one string, one such object, or an
// object of objects whose keys are the groups (ZITADEL). An absent claim and null are no groups. Anything else
// is a KindError, and groups that the provider left out are ErrOverage: neither
// is ever taken for "no groups".
func (s Set) Groups(path string) ([]string, error) {
	value, found := s.Find(path)
	if !found && s.overage(path) {
		return nil, ErrOverage
	}
	groups, err := groupsIn(value, path)
	if err != nil {
		return nil, err
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

func groupsIn(value any, path string) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		if v == "" {
			return nil, nil
		}
		return []string{v}, nil
	case []any:
		return groupsInList(v, path)
	case map[string]any:
		return groupsInObject(v, path)
	}
	return nil, &KindError{Path: path, Kind: kindOf(value)}
}

// groupsInObject returns the keys of an object of objects, which is how ZITADEL writes roles, or the one group that the
// object names. Keys of other values are no groups: the values may be false.
func groupsInObject(object map[string]any, path string) ([]string, error) {
	names := make([]string, 0, len(object))
	for name, value := range object {
		if _, isObject := value.(map[string]any); isObject {
			names = append(names, name)
		}
	}
	if len(names) == len(object) {
		return names, nil
	}
	if name, ok := nameOf(object); ok && len(names) == 0 {
		return []string{name}, nil
	}
	return nil, &KindError{Path: path, Kind: kindOf(object)}
}

func groupsInList(list []any, path string) ([]string, error) {
	names := make([]string, 0, len(list))
	for _, item := range list {
		name, ok := scalar(item)
		if object, isObject := item.(map[string]any); isObject {
			name, ok = nameOf(object)
		}
		if !ok {
			return nil, &KindError{Path: path, Kind: "a list with " + kindOf(item) + " in it"}
		}
		names = append(names, name)
	}
	return names, nil
}

func nameOf(object map[string]any) (name string, ok bool) {
	for _, key := range nameKeys {
		if name, ok = scalar(object[key]); ok && name != "" {
			return name, true
		}
	}
	return "", false
}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a text"
	case []any:
		return "a list"
	case map[string]any:
		return "an object without a name"
	}
	return "a number"
}

// overage reports whether the provider says that it left the claim out. Entra's
// "hasgroups" is about the claim "groups".
func (s Set) overage(path string) bool {
	name := strings.TrimPrefix(path, "/")
	if names, ok := s["_claim_names"].(map[string]any); ok {
		if _, left := names[name]; left {
			return true
		}
	}
	left, _ := s.Bool("hasgroups")
	return left && name == "groups"
}
