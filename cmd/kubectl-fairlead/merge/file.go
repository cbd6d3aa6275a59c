package merge

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

// file is a kubeconfig, as text and as what it says.
type file struct {
	raw   []byte
	lines []int // where each begins
	root  *yaml.Node
	lists map[string]*list
	// wanted is the current context that it should have, when that is another one.
	wanted *string
}

// list is one of the three lists.
type list struct {
	key, value *yaml.Node // nil when the file has no such list
	entries    []*entry
	added      []*entry
}

// entry is one of a list.
type entry struct {
	node    *yaml.Node
	index   int // in the text; -1 when it is new
	changed bool
	removed bool
}

// header begins a file that was empty.
const header = "apiVersion: v1\nkind: Config\n"

func read(text []byte) (*file, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte(header)
	}
	f := &file{raw: text, lists: map[string]*list{}, lines: []int{0}}
	for i, c := range text {
		if c == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	var err error
	if f.root, err = parse(text); err != nil {
		return nil, err
	}
	for _, name := range []string{clusters, contexts, users} {
		l, err := f.list(name)
		if err != nil {
			return nil, err
		}
		f.lists[name] = l
	}
	return f, nil
}

// parse returns the mapping that the only document is.
func parse(text []byte) (*yaml.Node, error) {
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, faulty("%w", err)
	}
	if decoder.Decode(&yaml.Node{}) == nil {
		return nil, faulty("it holds several documents")
	}
	if doc.Kind == 0 || doc.Content[0].Tag == "!!null" { // only remarks
		return &yaml.Node{Kind: yaml.MappingNode}, nil
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		return nil, faulty("it is not a mapping")
	}
	return doc.Content[0], nil
}

func (f *file) list(name string) (*list, error) {
	l := &list{}
	l.key, l.value = pair(f.root, name)
	if l.value == nil || l.value.Tag == "!!null" {
		return l, nil
	}
	if l.value.Kind != yaml.SequenceNode {
		return nil, faulty("%s is not a list", name)
	}
	for i, node := range l.value.Content {
		if node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		l.entries = append(l.entries, &entry{node: node, index: i})
	}
	return l, nil
}

func (f *file) find(list, name string) *entry {
	for _, e := range f.lists[list].entries {
		if e.name() == name {
			return e
		}
	}
	return nil
}

func (f *file) insert(list string, e *entry) *entry {
	l := f.lists[list]
	e.index = -1
	l.entries = append(l.entries, e)
	l.added = append([]*entry{e}, l.added...)
	return e
}

func (f *file) remove(list string, e *entry) {
	if e == nil {
		return
	}
	l := f.lists[list]
	e.removed = true
	l.entries = slices.DeleteFunc(slices.Clone(l.entries), func(other *entry) bool { return other == e })
}

func (f *file) current() string {
	if f.wanted != nil {
		return *f.wanted
	}
	if _, value := pair(f.root, "current-context"); value != nil && value.Tag != "!!null" {
		return value.Value
	}
	return ""
}

func (f *file) setCurrent(name string) { f.wanted = &name }

// pair returns the key and the value of a name.
func pair(node *yaml.Node, name string) (key, value *yaml.Node) {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

// at goes down a path of names.
func at(node *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		if _, node = pair(node, name); node == nil {
			return nil
		}
	}
	return node
}

func (e *entry) name() string { return e.text("name") }

func (e *entry) text(path ...string) string {
	if node := at(e.node, path...); node != nil && node.Kind == yaml.ScalarNode {
		return node.Value
	}
	return ""
}

// set writes a text, if it is another than before.
func (e *entry) set(value string, path ...string) bool {
	if node := at(e.node, path...); node != nil && node.Kind == yaml.ScalarNode && node.Value == value {
		return false
	}
	e.put(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}, path...)
	return true
}

// put replaces what is at a path, and makes the way there.
func (e *entry) put(value *yaml.Node, path ...string) {
	e.changed = true
	node := e.node
	for i, name := range path {
		key, next := pair(node, name)
		last := i == len(path)-1
		switch {
		case last && key != nil:
			value.HeadComment, value.LineComment, value.FootComment = next.HeadComment, next.LineComment, next.FootComment
			*next = *value
			return
		case last:
			node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, value)
			return
		case key == nil:
			next = &yaml.Node{Kind: yaml.MappingNode}
			node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, next)
		case next.Kind != yaml.MappingNode: // null, for instance
			*next = yaml.Node{Kind: yaml.MappingNode}
		}
		node = next
	}
}

// drop removes what is at a path.
func (e *entry) drop(within []string, name string) bool {
	node := at(e.node, within...)
	if key, _ := pair(node, name); key == nil {
		return false
	}
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			node.Content = slices.Delete(node.Content, i, i+2)
			break
		}
	}
	e.changed = true
	return true
}

// setCluster writes where the API server is, and whom to trust for it.
func (e *entry) setCluster(c apitypes.Cluster) bool {
	different := e.set(c.Server, "cluster", "server")
	if c.CA == "" {
		return e.drop([]string{"cluster"}, "certificate-authority-data") || different
	}
	return e.set(base64.StdEncoding.EncodeToString([]byte(c.CA)), "cluster", "certificate-authority-data") || different
}

// setExec writes how to get a credential. Further settings, such as env, stay.
func (e *entry) setExec(exec kubeconfig.Exec) bool {
	different := e.set(exec.APIVersion, "user", "exec", "apiVersion")
	different = e.set(exec.Command, "user", "exec", "command") || different
	different = e.set(exec.InteractiveMode, "user", "exec", "interactiveMode") || different
	different = e.set(exec.InstallHint, "user", "exec", "installHint") || different
	var args []string
	if node := at(e.node, "user", "exec", "args"); node != nil {
		for _, arg := range node.Content {
			args = append(args, arg.Value)
		}
	}
	for _, arg := range exec.Args {
		if !slices.Contains(args, arg) {
			var node yaml.Node
			_ = node.Encode(exec.Args) // texts can be encoded
			e.put(&node, "user", "exec", "args")
			return true
		}
	}
	return different
}
