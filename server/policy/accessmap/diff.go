package accessmap

import (
	"slices"

	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// Difference is what a change of rules and clusters does to the map.
type Difference struct{ before, after *Builder }

// NewDifference compares two rulesets. It looks at the rules whose subjects or clusters differ.
// AddUser counts the users one by one.
func NewDifference(from, to access.Ruleset) *Difference {
	before, after := NewBuilder(from.Rules, from.Clusters), NewBuilder(to.Rules, to.Clusters)
	differ := map[string]bool{}
	for _, b := range []*Builder{before, after} {
		for i := range b.rules {
			id := b.rules[i].ID
			differ[id] = !before.connects(id).same(after.connects(id))
		}
	}
	chosen := func(rules []store.AccessRule) []store.AccessRule {
		return slices.DeleteFunc(slices.Clone(rules), func(rule store.AccessRule) bool { return !differ[rule.ID] })
	}
	return &Difference{NewBuilder(chosen(from.Rules), from.Clusters), NewBuilder(chosen(to.Rules), to.Clusters)}
}

// connection is what a rule connects.
type connection struct {
	exists     bool
	subjects   []access.Subject
	connectors []string
	clusters   []string
}

func (b *Builder) connects(id string) connection {
	i := slices.IndexFunc(b.rules, func(rule store.AccessRule) bool { return rule.ID == id })
	if i < 0 {
		return connection{}
	}
	c := connection{exists: true, subjects: b.named[i], connectors: b.rules[i].ConnectorIDs}
	for _, k := range b.opens[i] {
		c.clusters = append(c.clusters, b.clusters[k].ID)
	}
	return c
}

func (c connection) same(other connection) bool {
	return c.exists == other.exists && slices.Equal(c.subjects, other.subjects) && slices.Equal(c.connectors, other.connectors) && slices.Equal(c.clusters, other.clusters)
}

// Empty reports that the map stays the same.
func (d *Difference) Empty() bool { return len(d.before.rules)+len(d.after.rules) == 0 }

// AddUser counts a user. Disabled users don't count.
func (d *Difference) AddUser(u *store.User) {
	d.before.AddUser(u)
	d.after.AddUser(u)
}

// Build returns the rules that change, with everything that they connect before or after.
// Gained and lost are how many users gain and lose each cluster, by id.
func (d *Difference) Build(gained, lost map[string]int) *Map {
	before, after := d.before.Build(Filter{}), d.after.Build(Filter{})
	m := overlay(before, after)
	for i := range m.Clusters {
		c := &m.Clusters[i]
		c.Gained, c.Lost = gained[c.ID], lost[c.ID]
	}
	return m
}

// overlay draws two maps as one and marks what only one of them has.
func overlay(before, after *Map) *Map {
	m, place := &Map{}, newPlaces()
	for _, rule := range after.Rules {
		rule.Mark = Added
		rule.Subjects = merge(nil, rule.Subjects, Added, func(to int) int { return place.subject(m, after.Subjects[to]) })
		rule.Clusters = merge(nil, rule.Clusters, Added, func(to int) int { return place.cluster(m, after.Clusters[to]) })
		m.Rules = append(m.Rules, rule)
	}
	for _, old := range before.Rules {
		at := slices.IndexFunc(m.Rules, func(rule Rule) bool { return rule.ID == old.ID })
		if at < 0 {
			at = len(m.Rules)
			m.Rules = append(m.Rules, Rule{ID: old.ID, Description: old.Description, ConnectorIDs: old.ConnectorIDs, Users: old.Users, Mark: Removed})
		} else {
			m.Rules[at].Mark = Same
		}
		rule := &m.Rules[at]
		rule.Subjects = merge(rule.Subjects, old.Subjects, Removed, func(to int) int { return place.subject(m, before.Subjects[to]) })
		rule.Clusters = merge(rule.Clusters, old.Clusters, Removed, func(to int) int { return place.cluster(m, before.Clusters[to]) })
	}
	m.markEnds()
	return m
}

// merge adds more edges, with a mark. An edge that is there already stays the same.
func merge(edges, more []Edge, mark Mark, place func(to int) int) []Edge {
	known := map[int]int{}
	for i, e := range edges {
		known[e.To] = i
	}
	for _, e := range more {
		e.To, e.Mark = place(e.To), mark
		if at, there := known[e.To]; there {
			edges[at].Mark = Same
			continue
		}
		edges = append(edges, e)
	}
	return edges
}

// markEnds marks the subjects and clusters all of whose edges have the same mark.
func (m *Map) markEnds() {
	subjects, clusters := map[int][]Mark{}, map[int][]Mark{}
	for _, rule := range m.Rules {
		for _, e := range rule.Subjects {
			subjects[e.To] = append(subjects[e.To], e.Mark)
		}
		for _, e := range rule.Clusters {
			clusters[e.To] = append(clusters[e.To], e.Mark)
		}
	}
	for i := range m.Subjects {
		m.Subjects[i].Mark = common(subjects[i])
	}
	for i := range m.Clusters {
		m.Clusters[i].Mark = common(clusters[i])
	}
}

func common(marks []Mark) Mark {
	if len(marks) == 0 || slices.ContainsFunc(marks, func(mark Mark) bool { return mark != marks[0] }) {
		return Same
	}
	return marks[0]
}
