package merge

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

// file is a kubeconfig: its text, and the YAML nodes in it.
type file struct {
	raw        []byte
	lineStarts []int // offsets in raw
	root       *yaml.Node
	lists      map[string]*list
	// newCurrent is the new current context, or nil to keep the old one.
	newCurrent *string
}

// list is one of the three lists of a kubeconfig: clusters, contexts or users.
type list struct {
	key, value *yaml.Node // nil if the file has no such list
	entries    []*entry
	added      []*entry
}

// entry is an entry of a list.
type entry struct {
	node    *yaml.Node
	index   int // in the text; -1 for a new entry
	changed bool
	removed bool
}

// header is the beginning of a new file.
const header = "apiVersion: v1\nkind: Config\n"

func parseFile(text []byte) (*file, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte(header)
	}
	f := &file{raw: text, lists: map[string]*list{}, lineStarts: []int{0}}
	for i, c := range text {
		if c == '\n' {
			f.lineStarts = append(f.lineStarts, i+1)
		}
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, errInvalid(`it is in UTF-16, as ">" of Windows PowerShell writes it, and kubectl can't read it. Convert it to UTF-8: (Get-Content FILE) | Set-Content -Encoding utf8 FILE`)
	}
	var err error
	if f.root, err = parseMapping(text); err != nil {
		return nil, err
	}
	if _, kind := pair(f.root, "kind"); kind != nil && kind.Value != "" && kind.Value != "Config" {
		return nil, errInvalid("it holds an object of kind %s, and a kubeconfig has the kind Config. Check the path in KUBECONFIG", kind.Value)
	}
	for _, name := range []string{clusters, contexts, users} {
		l, err := f.parseList(name)
		if err != nil {
			return nil, err
		}
		f.lists[name] = l
	}
	return f, nil
}

// parseMapping parses a text with one YAML document, which must be a mapping.
func parseMapping(text []byte) (*yaml.Node, error) {
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, errInvalid("%w", err)
	}
	if decoder.Decode(&yaml.Node{}) == nil {
		return nil, errInvalid("it holds several YAML documents")
	}
	if doc.Kind == 0 || doc.Content[0].Tag == "!!null" { // only comments
		return &yaml.Node{Kind: yaml.MappingNode}, nil
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		return nil, errInvalid("it is not a YAML mapping")
	}
	return doc.Content[0], nil
}

func (f *file) parseList(name string) (*list, error) {
	l := &list{}
	l.key, l.value = pair(f.root, name)
	if l.value == nil || l.value.Tag == "!!null" {
		return l, nil
	}
	if l.value.Kind != yaml.SequenceNode {
		return nil, errInvalid("%s is not a list", name)
	}
	for i, node := range l.value.Content {
		if node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		e := &entry{node: node, index: i}
		if value := lookup(node, "name"); value != nil && value.Kind == yaml.ScalarNode && value.Tag != "!!str" && value.Tag != "!!null" {
			return nil, errInvalid("the name %s in the list %s is not a text, and kubectl can't read it. Put it in quotes: name: %q", value.Value, name, value.Value)
		}
		l.entries = append(l.entries, e)
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
	if f.newCurrent != nil {
		return *f.newCurrent
	}
	if _, value := pair(f.root, "current-context"); value != nil && value.Tag != "!!null" {
		return value.Value
	}
	return ""
}

func (f *file) setCurrent(name string) { f.newCurrent = &name }

// pair returns the key and value nodes of a key in a mapping, or nil.
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

// lookup returns the node at a path of keys, or nil.
func lookup(node *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		if _, node = pair(node, name); node == nil {
			return nil
		}
	}
	return node
}

func (e *entry) name() string { return e.text("name") }

func (e *entry) text(path ...string) string {
	if node := lookup(e.node, path...); node != nil && node.Kind == yaml.ScalarNode {
		return node.Value
	}
	return ""
}

// set sets the text at a path, and reports whether it was another before.
func (e *entry) set(value string, path ...string) bool {
	if node := lookup(e.node, path...); node != nil && node.Kind == yaml.ScalarNode && node.Value == value {
		return false
	}
	e.setNode(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}, path...)
	return true
}

// setNode replaces the node at a path, and creates missing parents.
func (e *entry) setNode(value *yaml.Node, path ...string) {
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

// removeKey removes a key below a path, and reports whether it was there.
func (e *entry) removeKey(parent []string, name string) bool {
	node := lookup(e.node, parent...)
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

// setCluster sets the server's address and certificate authorities, and reports whether they
// changed.
func (e *entry) setCluster(c apitypes.Cluster) bool {
	changed := e.set(c.Server, "cluster", "server")
	if c.CA == "" {
		return e.removeKey([]string{"cluster"}, "certificate-authority-data") || changed
	}
	return e.set(base64.StdEncoding.EncodeToString([]byte(c.CA)), "cluster", "certificate-authority-data") || changed
}

// setExec sets the exec section, and reports whether it changed. Other settings in it, such as
// env, stay.
func (e *entry) setExec(exec kubeconfig.Exec) bool {
	changed := e.set(exec.APIVersion, "user", "exec", "apiVersion")
	changed = e.set(exec.Command, "user", "exec", "command") || changed
	changed = e.set(exec.InteractiveMode, "user", "exec", "interactiveMode") || changed
	changed = e.set(exec.InstallHint, "user", "exec", "installHint") || changed
	var args []string
	if node := lookup(e.node, "user", "exec", "args"); node != nil {
		for _, arg := range node.Content {
			args = append(args, arg.Value)
		}
	}
	for _, arg := range exec.Args {
		if !slices.Contains(args, arg) {
			var node yaml.Node
			_ = node.Encode(exec.Args) // a []string can always be encoded
			e.setNode(&node, "user", "exec", "args")
			return true
		}
	}
	return changed
}

// pluginCall returns the cluster and the account that a user entry calls kubectl-fairlead for.
// The id is empty for other user entries.
func (e *entry) pluginCall() (clusterID string, account Account) {
	command := strings.TrimSuffix(filepath.Base(strings.ReplaceAll(e.text("user", "exec", "command"), `\`, "/")), ".exe")
	args := lookup(e.node, "user", "exec", "args")
	if command != kubeconfig.Plugin || args == nil {
		return "", Account{}
	}
	for _, arg := range args.Content {
		name, value, _ := strings.Cut(arg.Value, "=")
		switch name {
		case "--server":
			account.Server = value
		case "--cluster":
			clusterID = value
		case "--profile":
			account.Profile = value
		}
	}
	if account.Server == "" {
		return "", Account{}
	}
	return clusterID, account
}
