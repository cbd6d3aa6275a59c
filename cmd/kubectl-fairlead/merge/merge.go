// Package merge puts a context for each of a person's clusters into a kubeconfig and
// leaves every other byte of it alone: other people's entries, comments, order. It is
// pure text; which file that is, and its lock, is the caller's.
package merge

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

// Wanted is what a kubeconfig should hold of one server.
type Wanted struct {
	// Server is the address that own entries name: by it they are found.
	Server string
	// Profile tells several accounts at it apart; empty is the usual one.
	Profile string
	// Command is what they call.
	Command  string
	Clusters []apitypes.Cluster
	// Elsewhere are ids of clusters that another file of the person's has entries for,
	// Taken names that are in use there.
	Elsewhere, Taken []string
	// Known are ids of clusters that were added before: those that are not there any more the
	// person has removed, and they stay away. Nil adds all.
	Known []string
	// Use makes the context of this cluster the current one. Without it the current context
	// stays, unless there is none.
	Use string
}

// Kind says what happened to a context.
type Kind string

// The kinds of changes.
const (
	Added   Kind = "added"
	Updated Kind = "updated"
	Renamed Kind = "renamed"
	Removed Kind = "removed"
)

// Change is what happened to one context.
type Change struct {
	Kind Kind
	// Context is its name, Before the name that it had.
	Context, Before string
	// Cluster is its id.
	Cluster string
}

// Result is the new text, and what is different.
type Result struct {
	Text    []byte
	Changes []Change
	// Contexts are the names of the own contexts, by cluster.
	Contexts map[string]string
	// Current is the current context.
	Current string
}

// The lists of a kubeconfig.
const (
	clusters = "clusters"
	contexts = "contexts"
	users    = "users"
)

// Merge returns the file with what is wanted. The error says what is wrong with the file.
func Merge(text []byte, want Wanted) (Result, error) {
	f, err := read(text)
	if err != nil {
		return Result{}, err
	}
	m := merger{file: f, want: want, result: Result{Contexts: map[string]string{}}}
	m.keepOrRemove()
	if err := m.add(); err != nil {
		return Result{}, err
	}
	m.use()
	if !f.isChanged() {
		m.result.Text = text
		return m.result, nil
	}
	m.result.Text, err = f.text()
	return m.result, err
}

// Own returns the ids of the clusters that a file has own entries for, and all names in it.
func Own(text []byte, server, profile string) (ids, names []string, err error) {
	f, err := read(text)
	if err != nil {
		return nil, nil, err
	}
	for _, list := range []string{clusters, contexts, users} {
		for _, e := range f.lists[list].entries {
			names = append(names, e.name())
			if id, own := e.own(server, profile); list == users && own {
				ids = append(ids, id)
			}
		}
	}
	return ids, names, nil
}

type merger struct {
	file   *file
	want   Wanted
	result Result
}

func (m *merger) changed(c Change) { m.result.Changes = append(m.result.Changes, c) }

// keepOrRemove brings own entries up to date, and drops those of clusters that the person
// may not use any more.
func (m *merger) keepOrRemove() {
	for _, user := range slices.Clone(m.file.lists[users].entries) {
		id, own := user.own(m.want.Server, m.want.Profile)
		if !own {
			continue
		}
		i := slices.IndexFunc(m.want.Clusters, func(c apitypes.Cluster) bool { return c.ID == id })
		if i < 0 {
			m.remove(user, id)
			continue
		}
		m.update(user, m.want.Clusters[i])
	}
}

// using are the contexts of a user entry.
func (m *merger) using(user *entry) []*entry {
	var list []*entry
	for _, e := range m.file.lists[contexts].entries {
		if e.text("context", "user") == user.name() {
			list = append(list, e)
		}
	}
	return list
}

func (m *merger) remove(user *entry, id string) {
	list := m.using(user)
	m.file.remove(users, user)
	for _, context := range list {
		m.file.remove(contexts, context)
		m.changed(Change{Kind: Removed, Context: context.name(), Cluster: id})
		name := context.text("context", "cluster")
		if !slices.ContainsFunc(m.file.lists[contexts].entries, func(e *entry) bool { return e.text("context", "cluster") == name }) {
			m.file.remove(clusters, m.file.find(clusters, name))
		}
	}
}

// update writes what the server says now. What the person changed (the name of a context, its
// namespace, further settings of the cluster) stays.
func (m *merger) update(user *entry, c apitypes.Cluster) {
	list := m.using(user)
	if len(list) == 0 { // the person deleted the context
		if slices.Contains(m.want.Known, c.ID) {
			return
		}
		list = []*entry{m.again(user, c)}
	}
	exec := m.user()(c)
	different := user.setExec(exec)
	for _, context := range list {
		name := context.text("context", "cluster")
		cluster := m.file.find(clusters, name)
		if cluster == nil {
			cluster = m.file.insert(clusters, clusterEntry(name, c))
			different = true
		}
		different = cluster.setCluster(c) || different
	}
	// A context of the user's own name was never renamed by a person: it follows the server.
	follows := list[0].name() == user.name() && user.name() != m.name(c) && len(list) == 1 && !m.taken(m.name(c))
	if follows {
		m.rename(user, list[0], c)
	} else if different {
		m.changed(Change{Kind: Updated, Context: list[0].name(), Cluster: c.ID})
	}
	m.result.Contexts[c.ID] = list[0].name()
}

// again makes a context anew for a user entry that has none.
func (m *merger) again(user *entry, c apitypes.Cluster) *entry {
	name := user.name()
	for n := 2; m.file.find(contexts, name) != nil; n++ {
		name = user.name() + "-" + strconv.Itoa(n)
	}
	e := &entry{node: &yaml.Node{Kind: yaml.MappingNode}}
	e.set(name, "name")
	e.set(user.name(), "context", "cluster")
	e.set(user.name(), "context", "user")
	if c.Namespace != "" {
		e.set(c.Namespace, "context", "namespace")
	}
	m.changed(Change{Kind: Added, Context: name, Cluster: c.ID})
	return m.file.insert(contexts, e)
}

func (m *merger) rename(user, context *entry, c apitypes.Cluster) {
	before := context.name()
	c.Context = m.name(c)
	cluster := m.file.find(clusters, context.text("context", "cluster"))
	if cluster.name() == before {
		cluster.set(c.Context, "name")
		context.set(c.Context, "context", "cluster")
	}
	user.set(c.Context, "name")
	context.set(c.Context, "context", "user")
	context.set(c.Context, "name")
	if m.file.current() == before {
		m.file.setCurrent(c.Context)
	}
	m.changed(Change{Kind: Renamed, Context: c.Context, Before: before, Cluster: c.ID})
}

// user makes what own user entries call.
func (m *merger) user() kubeconfig.ExecFunc {
	return kubeconfig.WithPlugin(m.want.Command, m.want.Server, m.want.Profile)
}

// name is the name of a cluster's context.
func (m *merger) name(c apitypes.Cluster) string {
	if m.want.Profile == "" {
		return c.Context
	}
	return c.Context + "@" + m.want.Profile
}

func (m *merger) taken(name string) bool {
	if slices.Contains(m.want.Taken, name) {
		return true
	}
	for _, list := range []string{clusters, contexts, users} {
		if m.file.find(list, name) != nil {
			return true
		}
	}
	return false
}

func (m *merger) add() error {
	for _, c := range slices.Backward(m.want.Clusters) { // each goes to the top
		if m.result.Contexts[c.ID] != "" || slices.Contains(m.want.Elsewhere, c.ID) || slices.Contains(m.want.Known, c.ID) {
			continue
		}
		name := m.name(c)
		base := name
		for n := 2; m.taken(name); n++ {
			name = base + "-" + strconv.Itoa(n)
		}
		as := c
		as.Context = name
		fresh, err := entries(as, m.user())
		if err != nil {
			return err
		}
		for list, e := range fresh {
			m.file.insert(list, e)
		}
		m.result.Contexts[c.ID] = name
		m.changed(Change{Kind: Added, Context: name, Cluster: c.ID})
	}
	slices.SortStableFunc(m.result.Changes, func(a, b Change) int { return strings.Compare(a.Context, b.Context) })
	return nil
}

// use sets the current context when that is asked for, or when there is none.
func (m *merger) use() {
	name := m.result.Contexts[m.want.Use]
	if name == "" && m.file.current() == "" && len(m.want.Clusters) > 0 {
		name = m.result.Contexts[m.want.Clusters[0].ID]
	}
	if name != "" && name != m.file.current() {
		m.file.setCurrent(name)
	}
	m.result.Current = m.file.current()
}

// entries are those of a new cluster, by list.
func entries(c apitypes.Cluster, as kubeconfig.ExecFunc) (map[string]*entry, error) {
	text, err := kubeconfig.Render([]apitypes.Cluster{c}, as)
	if err != nil {
		return nil, err
	}
	fresh, err := read(text)
	if err != nil {
		return nil, err
	}
	out := map[string]*entry{}
	for name, list := range fresh.lists {
		out[name] = list.entries[0]
	}
	return out, nil
}

func clusterEntry(name string, c apitypes.Cluster) *entry {
	e := &entry{node: &yaml.Node{Kind: yaml.MappingNode}}
	e.set(name, "name")
	e.setCluster(c)
	return e
}

// own returns the id of the cluster that a user entry is for, if it calls our plugin for the
// server.
func (e *entry) own(server, profile string) (id string, own bool) {
	command := strings.TrimSuffix(filepath.Base(strings.ReplaceAll(e.text("user", "exec", "command"), `\`, "/")), ".exe")
	args := at(e.node, "user", "exec", "args")
	if command != kubeconfig.Plugin || args == nil {
		return "", false
	}
	account := ""
	for _, arg := range args.Content {
		name, value, _ := strings.Cut(arg.Value, "=")
		switch name {
		case "--server":
			own = value == server
		case "--cluster":
			id = value
		case "--profile":
			account = value
		}
	}
	return id, own && id != "" && account == profile
}

// faulty says what is wrong with a file.
func faulty(format string, args ...any) error {
	return fmt.Errorf("the kubeconfig is not one that kubectl could read: "+format, args...)
}
