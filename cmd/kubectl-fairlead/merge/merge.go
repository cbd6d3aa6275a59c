// Package merge updates a kubeconfig file: it adds, updates and removes one context per
// cluster of a Fairlead account, and leaves every other byte of the file unchanged. It works
// on text; the caller reads, locks and writes the file.
package merge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
)

// Account is an account at a Fairlead server. The user entries in a kubeconfig name it.
type Account struct {
	Server string
	// Profile distinguishes several accounts at one server; empty is the default account.
	Profile string
}

// Desired is the desired state of a kubeconfig for one account.
type Desired struct {
	Account Account
	// Command is the command of new and updated exec sections.
	Command  string
	Clusters []apitypes.Cluster
	// InOtherFiles are ids of clusters that another file of the user has entries for. They
	// are not added.
	InOtherFiles []string
	// UsedNames are names of entries in other files. New entries don't use them.
	UsedNames []string
	// AddedBefore are ids of clusters that an earlier run added. If their entries are missing
	// now, the user deleted them, and they are not added again. Nil adds all.
	AddedBefore []string
	// CurrentCluster is the id of the cluster whose context becomes the current one. Empty
	// keeps the current context, or sets the first one if there is none.
	CurrentCluster string
}

// Kind is the kind of a change.
type Kind string

// The kinds of changes.
const (
	Added   Kind = "added"
	Updated Kind = "updated"
	Renamed Kind = "renamed"
	Removed Kind = "removed"
)

// Change describes a change of one context.
type Change struct {
	Kind    Kind
	Context string
	// PreviousName is the old name of a renamed context.
	PreviousName string
	// Cluster is the cluster's id.
	Cluster string
}

// Result is the updated file and a description of the changes.
type Result struct {
	Text    []byte
	Changes []Change
	// Contexts has the context name of each cluster id.
	Contexts map[string]string
	// Current is the name of the current context.
	Current string
}

// The lists of a kubeconfig.
const (
	clusters = "clusters"
	contexts = "contexts"
	users    = "users"
)

// Merge returns the file with the desired contexts. It returns an error if the file is not a
// valid kubeconfig, or can't be changed without touching other entries.
func Merge(text []byte, desired Desired) (Result, error) {
	f, err := parseFile(text)
	if err != nil {
		return Result{}, err
	}
	m := merger{file: f, desired: desired, result: Result{Contexts: map[string]string{}}}
	m.updateExisting()
	if err := m.addMissing(); err != nil {
		return Result{}, err
	}
	m.setCurrent()
	if !f.isChanged() {
		m.result.Text = text
		return m.result, nil
	}
	m.result.Text, err = f.text()
	return m.result, err
}

// Contents describes a kubeconfig.
type Contents struct {
	// Entries are the user entries that call kubectl-fairlead, in their order.
	Entries []Entry
	// Names are the names of all entries of all lists.
	Names []string
	// Current is the current context, or empty.
	Current string
}

// Entry is a user entry that calls kubectl-fairlead.
type Entry struct {
	Account Account
	// Cluster is the cluster's id.
	Cluster string
	// Contexts are the names of the contexts that use the entry.
	Contexts []string
}

// Clusters returns the ids of the clusters that have entries of an account.
func (c Contents) Clusters(account Account) []string {
	var ids []string
	for _, e := range c.Entries {
		if e.Account == account {
			ids = append(ids, e.Cluster)
		}
	}
	return ids
}

// Read reads a kubeconfig. It returns an error if the text is not a valid kubeconfig.
func Read(text []byte) (Contents, error) {
	f, err := parseFile(text)
	if err != nil {
		return Contents{}, err
	}
	m := merger{file: f}
	c := Contents{Current: f.current()}
	for _, list := range []string{clusters, contexts, users} {
		for _, e := range f.lists[list].entries {
			c.Names = append(c.Names, e.name())
		}
	}
	for _, user := range f.lists[users].entries {
		id, account := user.pluginCall()
		if id == "" {
			continue
		}
		entry := Entry{Account: account, Cluster: id}
		for _, context := range m.contextsOf(user) {
			entry.Contexts = append(entry.Contexts, context.name())
		}
		c.Entries = append(c.Entries, entry)
	}
	return c, nil
}

type merger struct {
	file    *file
	desired Desired
	result  Result
}

func (m *merger) record(c Change) { m.result.Changes = append(m.result.Changes, c) }

// updateExisting updates the account's entries, and removes those of clusters that the user
// may no longer use.
func (m *merger) updateExisting() {
	for _, user := range slices.Clone(m.file.lists[users].entries) {
		id, account := user.pluginCall()
		if id == "" || account != m.desired.Account {
			continue
		}
		i := slices.IndexFunc(m.desired.Clusters, func(c apitypes.Cluster) bool { return c.ID == id })
		if i < 0 {
			m.remove(user, id)
			continue
		}
		m.update(user, m.desired.Clusters[i])
	}
}

// contextsOf returns the contexts that use a user entry.
func (m *merger) contextsOf(user *entry) []*entry {
	var list []*entry
	for _, e := range m.file.lists[contexts].entries {
		if e.text("context", "user") == user.name() {
			list = append(list, e)
		}
	}
	return list
}

// remove removes a user entry, its contexts, and their clusters unless another context uses
// them.
func (m *merger) remove(user *entry, id string) {
	list := m.contextsOf(user)
	m.file.remove(users, user)
	for _, context := range list {
		m.file.remove(contexts, context)
		m.record(Change{Kind: Removed, Context: context.name(), Cluster: id})
		name := context.text("context", "cluster")
		if !slices.ContainsFunc(m.file.lists[contexts].entries, func(e *entry) bool { return e.text("context", "cluster") == name }) {
			m.file.remove(clusters, m.file.find(clusters, name))
		}
	}
}

// update writes the server's current settings of a cluster. It keeps what the user changed:
// the name of a context, its namespace, and other settings of the cluster.
func (m *merger) update(user *entry, c apitypes.Cluster) {
	list := m.contextsOf(user)
	if len(list) == 0 { // the user deleted the context
		if slices.Contains(m.desired.AddedBefore, c.ID) {
			return
		}
		list = []*entry{m.recreateContext(user, c)}
	}
	changed := user.setExec(m.execFunc()(c))
	for _, context := range list {
		name := context.text("context", "cluster")
		cluster := m.file.find(clusters, name)
		if cluster == nil {
			cluster = m.file.insert(clusters, newClusterEntry(name, c))
			changed = true
		}
		changed = cluster.setCluster(c) || changed
	}
	// A context with the name of its user entry was not renamed by the user, so that its name
	// follows the server.
	name := m.contextName(c)
	if list[0].name() == user.name() && user.name() != name && len(list) == 1 && !m.nameTaken(name) {
		m.rename(user, list[0], c)
	} else if changed {
		m.record(Change{Kind: Updated, Context: list[0].name(), Cluster: c.ID})
	}
	m.result.Contexts[c.ID] = list[0].name()
}

// recreateContext adds a context for a user entry that has none.
func (m *merger) recreateContext(user *entry, c apitypes.Cluster) *entry {
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
	m.record(Change{Kind: Added, Context: name, Cluster: c.ID})
	return m.file.insert(contexts, e)
}

func (m *merger) rename(user, context *entry, c apitypes.Cluster) {
	previous := context.name()
	name := m.contextName(c)
	cluster := m.file.find(clusters, context.text("context", "cluster"))
	if cluster.name() == previous {
		cluster.set(name, "name")
		context.set(name, "context", "cluster")
	}
	user.set(name, "name")
	context.set(name, "context", "user")
	context.set(name, "name")
	if m.file.current() == previous {
		m.file.setCurrent(name)
	}
	m.record(Change{Kind: Renamed, Context: name, PreviousName: previous, Cluster: c.ID})
}

// execFunc returns the exec sections of the account's user entries.
func (m *merger) execFunc() kubeconfig.ExecFunc {
	return kubeconfig.WithPlugin(m.desired.Command, m.desired.Account.Server, m.desired.Account.Profile)
}

// contextName is the name of a new context for a cluster.
func (m *merger) contextName(c apitypes.Cluster) string {
	if m.desired.Account.Profile == "" {
		return c.Context
	}
	return c.Context + "@" + m.desired.Account.Profile
}

func (m *merger) nameTaken(name string) bool {
	if slices.Contains(m.desired.UsedNames, name) {
		return true
	}
	for _, list := range []string{clusters, contexts, users} {
		if m.file.find(list, name) != nil {
			return true
		}
	}
	return false
}

// addMissing adds entries for clusters that have none.
func (m *merger) addMissing() error {
	for _, c := range slices.Backward(m.desired.Clusters) { // each is inserted at the top
		if m.result.Contexts[c.ID] != "" || slices.Contains(m.desired.InOtherFiles, c.ID) || slices.Contains(m.desired.AddedBefore, c.ID) {
			continue
		}
		base := m.contextName(c)
		name := base
		for n := 2; m.nameTaken(name); n++ {
			name = base + "-" + strconv.Itoa(n)
		}
		named := c
		named.Context = name
		added, err := newEntries(named, m.execFunc())
		if err != nil {
			return err
		}
		for list, e := range added {
			m.file.insert(list, e)
		}
		m.result.Contexts[c.ID] = name
		m.record(Change{Kind: Added, Context: name, Cluster: c.ID})
	}
	slices.SortStableFunc(m.result.Changes, func(a, b Change) int { return strings.Compare(a.Context, b.Context) })
	return nil
}

// setCurrent sets the current context if the caller chose one, or if there is none.
func (m *merger) setCurrent() {
	name := m.result.Contexts[m.desired.CurrentCluster]
	if name == "" && m.file.current() == "" && len(m.desired.Clusters) > 0 {
		name = m.result.Contexts[m.desired.Clusters[0].ID]
	}
	if name != "" && name != m.file.current() {
		m.file.setCurrent(name)
	}
	m.result.Current = m.file.current()
}

// newEntries returns the three entries of a new cluster, by list.
func newEntries(c apitypes.Cluster, execFor kubeconfig.ExecFunc) (map[string]*entry, error) {
	text, err := kubeconfig.Render([]apitypes.Cluster{c}, execFor)
	if err != nil {
		return nil, err
	}
	rendered, err := parseFile(text)
	if err != nil {
		return nil, err
	}
	out := map[string]*entry{}
	for name, list := range rendered.lists {
		out[name] = list.entries[0]
	}
	return out, nil
}

func newClusterEntry(name string, c apitypes.Cluster) *entry {
	e := &entry{node: &yaml.Node{Kind: yaml.MappingNode}}
	e.set(name, "name")
	e.setCluster(c)
	return e
}

// errInvalid returns an error for a file that is not a valid kubeconfig.
func errInvalid(format string, args ...any) error {
	return fmt.Errorf("the file is not a valid kubeconfig: "+format, args...)
}
