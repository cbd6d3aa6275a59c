// Package strictyaml reads configuration files: every fault is reported with
// its line and path, and a key that is not known is a fault. It leaves to its
// callers what the values must be.
package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fault is one thing that is wrong.
type Fault struct {
	File    string
	Line    int
	Path    string
	Message string
}

// String is the line that a person reads: FILE:LINE: PATH: MESSAGE.
func (f Fault) String() string {
	parts := []string{f.File + ":" + strconv.Itoa(f.Line)}
	if f.Path != "" {
		parts = append(parts, f.Path)
	}
	return strings.Join(append(parts, f.Message), ": ")
}

// FaultErrors is every fault of a file. It is an error when there is one.
type FaultErrors []Fault

// Error lists them, one a line.
func (f FaultErrors) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// Document is a file that was read. FaultErrors may be added while it is checked.
type Document struct {
	file   string
	lines  map[string]int
	faults FaultErrors
	// visited bounds the work: aliases can make a small file endless.
	visited int
}

// maxNodes is how many values a file may have, aliases followed.
const maxNodes = 200_000

// Decode reads text into a pointer to a struct with yaml tags. Whatever is wrong
// is in the document's faults; into is filled only when nothing is.
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

// Sub decodes a node that was left as it is (a field of type yaml.Node) into a
// struct, with the same strictness. It reports whether that went well.
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

// Add adds a fault at a path. The line is that of the path, or of what is
// nearest above it.
func (d *Document) Add(path, format string, args ...any) {
	d.faults = append(d.faults, Fault{File: d.file, Line: d.Line(path), Path: path, Message: fmt.Sprintf(format, args...)})
}

// Line returns the line of a path, or of the nearest one above it.
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

// exhausted stops a walk that aliases would make endless.
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
		d.Add(path, "want %s", describe(t))
	}
}

func (d *Document) scalar(node *yaml.Node, t reflect.Type, path string) {
	value := reflect.New(t)
	if err := node.Decode(value.Interface()); err != nil {
		if fault, ok := errors.AsType[*ValueError](err); ok {
			d.Add(path, "%s", fault.Message)
			return
		}
		d.Add(path, "want %s, got %q", describe(t), node.Value)
	}
}

// ValueError is what an UnmarshalText returns to say in its own words what it
// wants.
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
			d.Add(at, "is there twice")
		case !known:
			d.lines[at] = key.Line
			d.Add(at, "is not a known key%s", nearest(key.Value, fields))
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

func nearest(key string, fields map[string]reflect.Type) string {
	best, distance := "", len(key)/2+1
	for name := range fields {
		if n := edits(strings.ToLower(key), strings.ToLower(name)); n < distance || n == distance && name < best {
			best, distance = name, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
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
