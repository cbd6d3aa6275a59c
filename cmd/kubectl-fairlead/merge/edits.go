package merge

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// edit replaces bytes of the text. Append adds lines at its end instead.
type edit struct {
	from, to int
	text     string
	append   bool
}

// text returns the file with all changes. Only changed entries are written anew.
func (f *file) text() ([]byte, error) {
	if f.root.Style&yaml.FlowStyle != 0 {
		return f.whole()
	}
	var edits []edit
	for _, name := range []string{clusters, contexts, users} {
		l := f.lists[name]
		if l.value != nil && l.value.Style&yaml.FlowStyle != 0 && len(l.value.Content) > 0 {
			return f.whole()
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
	return f.wanted != nil
}

// whole writes a file in flow style (JSON) anew, since an entry of it has no lines of its
// own.
func (f *file) whole() ([]byte, error) {
	for _, name := range []string{clusters, contexts, users} {
		l := f.lists[name]
		content := []*yaml.Node{}
		for _, e := range l.entries {
			content = append(content, e.node)
		}
		root := &entry{node: f.root}
		if l.value == nil || l.value.Kind != yaml.SequenceNode {
			root.put(&yaml.Node{Kind: yaml.SequenceNode, Content: content}, name)
			continue
		}
		l.value.Content = content
	}
	if f.wanted != nil {
		(&entry{node: f.root}).set(*f.wanted, "current-context")
	}
	return encode(f.root)
}

func encode(node any) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(node), encoder.Close()); err != nil {
		return nil, faulty("%w", err)
	}
	return out.Bytes(), nil
}

// edits are those of one list.
func (f *file) edits(name string, l *list) ([]edit, error) {
	var out []edit
	added, err := f.render(l.added, f.dash(l))
	if err != nil {
		return nil, err
	}
	if added != "" {
		out = append(out, f.addition(name, l, added))
	}
	if l.value == nil {
		return out, nil
	}
	for i, node := range l.value.Content {
		e := l.at(i)
		if e != nil && !e.changed {
			continue
		}
		from, to := f.span(l, i, node)
		text := ""
		if e != nil {
			if text, err = f.render([]*entry{e}, f.dash(l)); err != nil {
				return nil, err
			}
		}
		out = append(out, edit{from: from, to: to, text: text})
	}
	return out, nil // a key that is left without entries is null, which kubectl takes for none
}

// at returns the entry that the text has at a place, unless it is removed.
func (l *list) at(index int) *entry {
	for _, e := range l.entries {
		if e.index == index {
			return e
		}
	}
	return nil
}

// dash is how far the entries of a list are indented.
func (f *file) dash(l *list) int {
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

// addition puts new entries before the others of their list.
func (f *file) addition(name string, l *list, text string) edit {
	switch {
	case l.key == nil:
		return f.atEnd(name + ":" + f.lineBreak() + text)
	case l.value.Kind == yaml.SequenceNode && len(l.value.Content) > 0:
		at := f.lineEnd(l.key.Line)
		return edit{from: at, to: at, text: text}
	}
	from, to, comment := f.afterKey(l.key, l.value) // "[]", or nothing
	return edit{from: from, to: to, text: comment + f.lineBreak() + text}
}

func (f *file) atEnd(text string) edit {
	return edit{from: len(f.raw), to: len(f.raw), text: text, append: true}
}

// lineBreak is how the file ends its lines.
func (f *file) lineBreak() string {
	if bytes.Contains(f.raw, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// offset is where a column of a line is. Columns count characters; before a key there are
// only blanks.
func (f *file) offset(line, column int) int {
	return min(f.lines[min(line, len(f.lines))-1]+column-1, len(f.raw))
}

// lineEnd is where the line after this one begins.
func (f *file) lineEnd(line int) int {
	if line >= len(f.lines) {
		return len(f.raw)
	}
	return f.lines[line]
}

// span is where an entry is in the text, with its dash, without the comments after it.
func (f *file) span(l *list, i int, node *yaml.Node) (from, to int) {
	first := f.dashLine(l, node)
	last := f.after(l) // the line of what follows
	if i+1 < len(l.value.Content) {
		last = f.dashLine(l, l.value.Content[i+1])
	}
	for last-1 > first && isRemark(f.line(last-1)) {
		last--
	}
	return f.lines[first-1], f.lineEnd(last - 1)
}

// dashLine is the line with an entry's dash: that of its first key, or one before.
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

// after is the line of the key that follows a list, or one after the last.
func (f *file) after(l *list) int {
	next := len(f.lines) + 1
	if len(f.raw) > 0 && f.raw[len(f.raw)-1] == '\n' {
		next = len(f.lines)
	}
	for i := 0; i < len(f.root.Content); i += 2 {
		if line := f.root.Content[i].Line; line > l.key.Line {
			next = min(next, line)
		}
	}
	return next
}

func (f *file) line(n int) string {
	return string(f.raw[f.lines[n-1]:f.lineEnd(n)])
}

func isRemark(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#' || line == "---" || line == "..."
}

// currentEdit replaces the name of the current context, and nothing else on its line.
func (f *file) currentEdit() []edit {
	if f.wanted == nil {
		return nil
	}
	text, err := encode(*f.wanted)
	if err != nil {
		return nil
	}
	name := strings.TrimSuffix(string(text), "\n")
	key, value := pair(f.root, "current-context")
	if key == nil {
		return []edit{f.atEnd("current-context: " + name + f.lineBreak())}
	}
	from, to, rest := f.afterKey(key, value)
	return []edit{{from: from, to: to, text: " " + name + rest + f.lineBreak()}}
}

// afterKey is what stands after a key and its colon on its line, where the value is of one
// line, and the comment at its end.
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

// errLost says that a file is too odd to be changed line by line.
var errLost = errors.New("this kubeconfig is written in a way that can't be changed without touching other entries; move them to a file of their own, or name another file with --kubeconfig")

// verify makes sure that the new text says what is wanted, and nothing else.
func (f *file) verify(text []byte) error {
	fresh, err := read(text)
	if err != nil {
		return errLost
	}
	for name, l := range f.lists {
		if len(fresh.lists[name].entries) != len(l.entries) {
			return errLost
		}
		for _, e := range l.entries {
			same := fresh.find(name, e.name())
			if same == nil || !equal(e.node, same.node) {
				return errLost
			}
		}
	}
	if fresh.current() != f.current() {
		return errLost
	}
	return nil
}

// equal compares what nodes say.
func equal(a, b *yaml.Node) bool {
	if a.Kind == yaml.AliasNode {
		a = a.Alias
	}
	if b.Kind == yaml.AliasNode {
		b = b.Alias
	}
	return a.Kind == b.Kind && a.Value == b.Value && slices.EqualFunc(a.Content, b.Content, equal)
}
