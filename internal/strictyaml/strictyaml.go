// Package strictyaml decodes YAML configuration files into structs. Unknown and
// duplicate keys are faults, and every fault has its line and its path. Callers
// check the values themselves and report them with Document.Add.
package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/suggest"
)

// Fault is one mistake in a file.
type Fault struct {
	File    string
	Line    int
	Path    string
	Message string
}

// String formats the fault as FILE:LINE: PATH: MESSAGE.
func (f Fault) String() string {
	parts := []string{f.File + ":" + strconv.Itoa(f.Line)}
	if f.Path != "" {
		parts = append(parts, f.Path)
	}
	return strings.Join(append(parts, f.Message), ": ")
}

// FaultErrors are all faults of a file, as one error.
type FaultErrors []Fault

// Error lists the faults, one per line.
func (f FaultErrors) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// Document is a decoded file. Callers add faults while they check its values.
type Document struct {
	file   string
	lines  map[string]int
	faults FaultErrors
	// visited counts values: aliases can make a small file refer to itself without end.
	visited int
}

// maxNodes is the largest number of values in a file, with aliases followed.
const maxNodes = 200_000

// Decode decodes text into a pointer to a struct with yaml tags. The document holds
// every fault; into is filled only when there is none.
func Decode(file string, text []byte, into any) *Document {
	d := &Document{file: file, lines: map[string]int{}}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		d.syntax(err)
		return d
	}
	if len(root.Content) == 0 {
		d.faults = append(d.faults, Fault{File: file, Line: 1, Message: "is empty"})
		return d
	}
	d.walk(root.Content[0], reflect.TypeOf(into).Elem(), "")
	if len(d.faults) == 0 {
		if err := root.Decode(into); err != nil {
			d.syntax(err)
		}
	}
	return d
}

var linePattern = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

func (d *Document) syntax(err error) {
	messages := []string{err.Error()}
	if typed, ok := errors.AsType[*yaml.TypeError](err); ok {
		messages = typed.Errors
	}
	for _, m := range messages {
		fault := Fault{File: d.file, Line: 1, Message: strings.TrimPrefix(m, "yaml: ")}
		if found := linePattern.FindStringSubmatch(m); found != nil {
			fault.Line, _ = strconv.Atoi(found[1])
			fault.Message = found[2]
		}
		d.faults = append(d.faults, fault)
	}
}

// Sub decodes a node that Decode left undecoded (a field of type yaml.Node) into a
// struct, with the same rules. It reports whether it found no fault.
func (d *Document) Sub(node *yaml.Node, path string, into any) bool {
	if node.Kind == 0 {
		return true
	}
	before := len(d.faults)
	d.walk(node, reflect.TypeOf(into).Elem(), path)
	if len(d.faults) > before {
		return false
	}
	if err := node.Decode(into); err != nil {
		d.syntax(err)
		return false
	}
	return true
}

// Add adds a fault at a path. Its line is that of the path, or of the nearest
// parent in the file.
func (d *Document) Add(path, format string, args ...any) {
	d.faults = append(d.faults, Fault{File: d.file, Line: d.Line(path), Path: path, Message: fmt.Sprintf(format, args...)})
}

// Line returns the line of a path, or of its nearest parent in the file.
func (d *Document) Line(path string) int {
	for {
		if line, known := d.lines[path]; known {
			return line
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return max(d.lines[""], 1)
		}
		path = path[:cut]
	}
}

// Err returns the faults in the order of their lines, or nil.
func (d *Document) Err() error {
	if len(d.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(d.faults, func(a, b Fault) int { return a.Line - b.Line })
	return d.faults
}

// Faults returns the faults so far.
func (d *Document) Faults() []Fault { return d.faults }

// walk notes lines and finds unknown keys and values of the wrong kind.
func (d *Document) walk(node *yaml.Node, t reflect.Type, path string) {
	if d.exhausted(path) {
		return
	}
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if _, known := d.lines[path]; !known {
		d.lines[path] = node.Line
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[yaml.Node]() {
		return
	}
	if node.Kind == yaml.ScalarNode || isText(t) {
		d.scalar(node, t, path)
		return
	}
	d.collection(node, t, path)
}

// exhausted ends the walk after maxNodes values: aliases can refer to themselves.
func (d *Document) exhausted(path string) bool {
	d.visited++
	if d.visited == maxNodes {
		d.Add(path, "is too large, or its aliases refer to themselves")
	}
	return d.visited >= maxNodes
}

func (d *Document) collection(node *yaml.Node, t reflect.Type, path string) {
	switch {
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		d.structure(node, t, path)
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(node.Content); i += 2 {
			d.walk(node.Content[i+1], t.Elem(), join(path, node.Content[i].Value))
		}
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, item := range node.Content {
			d.walk(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		d.Add(path, "must be %s", describe(t))
	}
}

func (d *Document) scalar(node *yaml.Node, t reflect.Type, path string) {
	value := reflect.New(t)
	if err := node.Decode(value.Interface()); err != nil {
		if fault, ok := errors.AsType[*ValueError](err); ok {
			d.Add(path, "%s", fault.Message)
			return
		}
		d.Add(path, "must be %s, got %q", describe(t), node.Value)
	}
}

// ValueError is an error of UnmarshalText whose message becomes the fault's message.
type ValueError struct{ Message string }

// Error returns the message.
func (e *ValueError) Error() string { return e.Message }

func (d *Document) structure(node *yaml.Node, t reflect.Type, path string) {
	fields := fieldsOf(t)
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		at := join(path, key.Value)
		field, known := fields[key.Value]
		switch {
		case seen[key.Value]:
			d.lines[at] = key.Line
			d.Add(at, "is set twice")
		case !known:
			d.lines[at] = key.Line
			d.Add(at, "is not a known key%s", didYouMean(key.Value, fields))
		default:
			d.lines[at] = key.Line
			d.walk(value, field, at)
		}
		seen[key.Value] = true
	}
}

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}

func didYouMean(key string, fields map[string]reflect.Type) string {
	best := suggest.Closest(key, slices.Collect(maps.Keys(fields)))
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func describe(t reflect.Type) string {
	if isText(t) {
		return "text"
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "keys with values"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	default:
		return "text"
	}
}
