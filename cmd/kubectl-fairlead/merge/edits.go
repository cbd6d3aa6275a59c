package merge

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// edit replaces the bytes [from, to) of the text. With append, it adds lines at the end.
type edit struct {
	from, to int
	text     string
	append   bool
}

// text returns the changed file. It renders only changed entries.
func (f *file) text() ([]byte, error) {
	if f.root.Style&yaml.FlowStyle != 0 {
		return f.renderAll()
	}
	var edits []edit
	for _, name := range []string{clusters, contexts, users} {
		l := f.lists[name]
		if l.value != nil && l.value.Style&yaml.FlowStyle != 0 && len(l.value.Content) > 0 {
			return f.renderAll()
		}
		more, err := f.edits(name, l)
		if err != nil {
			return nil, err
		}
		edits = append(edits, more...)
	}
	edits = append(edits, f.currentEdit()...)
	out := f.apply(edits)
	return out, f.verify(out)
}

func (f *file) isChanged() bool {
	for _, l := range f.lists {
		if len(l.added) > 0 {
			return true
		}
		for _, e := range l.entries {
			if e.changed {
				return true
			}
		}
		if l.value != nil && len(l.entries) != len(l.value.Content) {
			return true
		}
	}
	return f.newCurrent != nil
}

// renderAll renders the complete file. Files in flow style (JSON) need it, because their
// entries have no lines of their own.
func (f *file) renderAll() ([]byte, error) {
	for _, name := range []string{clusters, contexts, users} {
		l := f.lists[name]
		content := []*yaml.Node{}
		for _, e := range l.entries {
			content = append(content, e.node)
		}
		root := &entry{node: f.root}
		if l.value == nil || l.value.Kind != yaml.SequenceNode {
			root.setNode(&yaml.Node{Kind: yaml.SequenceNode, Content: content}, name)
			continue
		}
		l.value.Content = content
	}
	if f.newCurrent != nil {
		(&entry{node: f.root}).set(*f.newCurrent, "current-context")
	}
	return encode(f.root)
}

func encode(node any) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(node), encoder.Close()); err != nil {
		return nil, errInvalid("%w", err)
	}
	return out.Bytes(), nil
}

// edits returns the edits of one list.
func (f *file) edits(name string, l *list) ([]edit, error) {
	var out []edit
	added, err := f.render(l.added, f.indent(l))
	if err != nil {
		return nil, err
	}
	if added != "" {
		out = append(out, f.insertion(name, l, added))
	}
	if l.value == nil {
		return out, nil
	}
	for i, node := range l.value.Content {
		e := l.entryAt(i)
		if e != nil && !e.changed {
			continue
		}
		from, to := f.span(l, i, node)
		text := ""
		if e != nil {
			if text, err = f.render([]*entry{e}, f.indent(l)); err != nil {
				return nil, err
			}
		}
		out = append(out, edit{from: from, to: to, text: text})
	}
	return out, nil // kubectl reads a key without entries (null) as an empty list
}

// entryAt returns the entry at an index of the text, or nil if it was removed.
func (l *list) entryAt(index int) *entry {
	for _, e := range l.entries {
		if e.index == index {
			return e
		}
	}
	return nil
}

// indent is the number of blanks before the dashes of a list.
func (f *file) indent(l *list) int {
	if l.value != nil && l.value.Kind == yaml.SequenceNode && len(l.value.Content) > 0 {
		return l.value.Column - 1
	}
	return 0
}

func (f *file) render(list []*entry, indent int) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	nodes := &yaml.Node{Kind: yaml.SequenceNode}
	for _, e := range list {
		nodes.Content = append(nodes.Content, e.node)
	}
	text, err := encode(nodes)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if line != "\n" {
			out.WriteString(strings.Repeat(" ", indent))
		}
		out.WriteString(line)
	}
	return strings.ReplaceAll(out.String(), "\n", f.lineBreak()), nil
}

// insertion inserts new entries at the top of their list.
func (f *file) insertion(name string, l *list, text string) edit {
	switch {
	case l.key == nil:
		return f.appended(name + ":" + f.lineBreak() + text)
	case l.value.Kind == yaml.SequenceNode && len(l.value.Content) > 0:
		at := f.lineEnd(l.key.Line)
		return edit{from: at, to: at, text: text}
	}
	from, to, comment := f.afterKey(l.key, l.value) // "[]", or nothing
	return edit{from: from, to: to, text: comment + f.lineBreak() + text}
}

func (f *file) appended(text string) edit {
	return edit{from: len(f.raw), to: len(f.raw), text: text, append: true}
}

// lineBreak is the line ending of the file.
func (f *file) lineBreak() string {
	if bytes.Contains(f.raw, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// offset returns the offset of a column of a line. Columns count characters, which are bytes
// here: before a key there are only blanks.
func (f *file) offset(line, column int) int {
	return min(f.lineStarts[min(line, len(f.lineStarts))-1]+column-1, len(f.raw))
}

// lineEnd returns the offset at which the next line begins.
func (f *file) lineEnd(line int) int {
	if line >= len(f.lineStarts) {
		return len(f.raw)
	}
	return f.lineStarts[line]
}

// span returns the offsets of an entry in the text, with its dash, without the comments after
// it.
func (f *file) span(l *list, i int, node *yaml.Node) (from, to int) {
	first := f.dashLine(l, node)
	last := f.lineAfter(l)
	if i+1 < len(l.value.Content) {
		last = f.dashLine(l, l.value.Content[i+1])
	}
	for last-1 > first && isBlankOrComment(f.line(last-1)) {
		last--
	}
	return f.lineStarts[first-1], f.lineEnd(last - 1)
}

// dashLine returns the line with an entry's dash: the line of its first key, or one before.
func (f *file) dashLine(l *list, node *yaml.Node) int {
	line := node.Line
	for ; line > l.key.Line+1; line-- {
		text := f.line(line)
		if len(text) >= l.value.Column && text[l.value.Column-1] == '-' && strings.TrimSpace(text[:l.value.Column-1]) == "" {
			break
		}
	}
	return line
}

// lineAfter returns the line of the key that follows a list, or the line after the last one.
func (f *file) lineAfter(l *list) int {
	next := len(f.lineStarts) + 1
	if len(f.raw) > 0 && f.raw[len(f.raw)-1] == '\n' {
		next = len(f.lineStarts)
	}
	for i := 0; i < len(f.root.Content); i += 2 {
		if line := f.root.Content[i].Line; line > l.key.Line {
			next = min(next, line)
		}
	}
	return next
}

func (f *file) line(n int) string {
	return string(f.raw[f.lineStarts[n-1]:f.lineEnd(n)])
}

func isBlankOrComment(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#' || line == "---" || line == "..."
}

// currentEdit replaces the name of the current context and keeps the comment on its line.
func (f *file) currentEdit() []edit {
	if f.newCurrent == nil {
		return nil
	}
	text, err := encode(*f.newCurrent)
	if err != nil {
		return nil
	}
	name := strings.TrimSuffix(string(text), "\n")
	key, value := pair(f.root, "current-context")
	if key == nil {
		return []edit{f.appended("current-context: " + name + f.lineBreak())}
	}
	from, to, rest := f.afterKey(key, value)
	return []edit{{from: from, to: to, text: " " + name + rest + f.lineBreak()}}
}

// afterKey returns the offsets of the text after a key and its colon, for a value of one line,
// and the comment at the end of that line.
func (f *file) afterKey(key, value *yaml.Node) (from, to int, comment string) {
	from = f.offset(key.Line, key.Column)
	for from < len(f.raw) && f.raw[from] != ':' {
		from++
	}
	from++
	to = f.lineEnd(max(key.Line, value.Line))
	if comment = key.LineComment + value.LineComment; comment != "" {
		comment = " " + comment
	}
	return from, to, comment
}

func (f *file) apply(edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int {
		if a.append == b.append {
			return a.from - b.from
		}
		return map[bool]int{true: 1, false: -1}[a.append]
	})
	var out bytes.Buffer
	done := 0
	for _, e := range edits {
		out.Write(f.raw[done:max(e.from, done)])
		if n := out.Len(); e.append && n > 0 && out.Bytes()[n-1] != '\n' {
			out.WriteString(f.lineBreak())
		}
		out.WriteString(e.text)
		done = max(done, e.to)
	}
	out.Write(f.raw[done:])
	return out.Bytes()
}

// errNotEditable means that the file can't be changed line by line.
var errNotEditable = errors.New("the file can't be changed without touching other entries, because of its YAML style. Move the other entries to a file of their own, or name another file with --kubeconfig")

// verify compares the new text with the desired entries, so that a wrong edit is never written.
func (f *file) verify(text []byte) error {
	parsed, err := parseFile(text)
	if err != nil {
		return errNotEditable
	}
	for name, l := range f.lists {
		if len(parsed.lists[name].entries) != len(l.entries) {
			return errNotEditable
		}
		for _, e := range l.entries {
			same := parsed.find(name, e.name())
			if same == nil || !equal(e.node, same.node) {
				return errNotEditable
			}
		}
	}
	if parsed.current() != f.current() {
		return errNotEditable
	}
	return nil
}

// equal compares the values of nodes, and ignores their style.
func equal(a, b *yaml.Node) bool {
	if a.Kind == yaml.AliasNode {
		a = a.Alias
	}
	if b.Kind == yaml.AliasNode {
		b = b.Alias
	}
	return a.Kind == b.Kind && a.Value == b.Value && slices.EqualFunc(a.Content, b.Content, equal)
}
