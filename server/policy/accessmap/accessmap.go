// Package accessmap builds the map of access: the subjects that access rules name, the rules,
// and the clusters that they open, with the number of users at each place.
//
// It decides nothing itself. Package access says whom a rule covers and which clusters it
// opens, for the map as for every token.
package accessmap

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// Mark says how a part of a map changes.
type Mark string

// The marks. A map of what there is now has none.
const (
	Same    Mark = ""
	Added   Mark = "added"
	Removed Mark = "removed"
)

// Map is rules in their order with the subjects and the clusters that they connect.
type Map struct {
	Subjects []Subject
	Rules    []Rule
	Clusters []Cluster
}

// Subject is a subject with the number of users whom it includes.
type Subject struct {
	access.Subject
	Users int
	Mark  Mark
}

// Rule is an access rule. Rules that make admins open no cluster and are not on a map.
type Rule struct {
	ID, Description string
	// ConnectorIDs are the connectors that its users must come through; empty for any.
	ConnectorIDs []string
	// All says that it opens every cluster. Labels are those by which it selects clusters;
	// nil if it names clusters too.
	All    bool
	Labels map[string]string
	// Users is how many users it covers.
	Users int
	Mark  Mark
	// Subjects and Clusters lead to the subjects and clusters of the map. Users of an edge to a
	// subject is how many users the rule covers by it.
	Subjects, Clusters []Edge
}

// Edge leads from a rule to the element with index To.
type Edge struct {
	To    int
	Users int
	Mark  Mark
}

// Cluster is a cluster with the number of users who may use it, by whatever rule.
type Cluster struct {
	ID, Name, Environment, Color string
	Users                        int
	Mark                         Mark
	// Gained and Lost are how many users a change adds and removes.
	Gained, Lost int
}

// Filter selects a part of a map. Empty fields select all.
type Filter struct {
	// Text has words that each rule must have, in itself or in what it connects.
	Text string
	// Subject selects the rules that name it.
	Subject access.Subject
	// User selects the ways by which a user may use clusters.
	User *store.User
	// Rule and Cluster are ids.
	Rule, Cluster, Environment string
}

// Builder counts users and builds maps.
type Builder struct {
	rules    []store.AccessRule
	clusters []store.Cluster
	// named and opens are the subjects and the indices of the clusters of each rule.
	named    [][]access.Subject
	opens    [][]int
	coverage *access.Coverage
	subjects map[access.Subject]int
	byway    []map[access.Subject]int
	profiles map[string]*profile
}

// profile is the users whom the same rules cover.
type profile struct {
	rules []int
	users int
}

// NewBuilder prepares a map of rules and clusters. AddUser counts the users one by one.
func NewBuilder(rules []store.AccessRule, clusters []store.Cluster) *Builder {
	b := &Builder{clusters: clusters, subjects: map[access.Subject]int{}, profiles: map[string]*profile{}}
	b.rules = slices.DeleteFunc(slices.Clone(rules), func(rule store.AccessRule) bool { return rule.Admin })
	b.coverage = access.NewCoverage(b.rules)
	for i := range b.rules {
		b.named = append(b.named, access.Subjects(&b.rules[i]))
		b.byway = append(b.byway, map[access.Subject]int{})
		for _, s := range b.named[i] {
			b.subjects[s] = 0
		}
		var opens []int
		for k := range clusters {
			if access.Opens(&b.rules[i], &clusters[k]) {
				opens = append(opens, k)
			}
		}
		b.opens = append(b.opens, opens)
	}
	return b
}

// AddUser counts a user. Blocked users don't count.
func (b *Builder) AddUser(u *store.User) {
	if u.Blocked() {
		return
	}
	for _, s := range access.SubjectsOf(u) {
		if _, named := b.subjects[s]; named {
			b.subjects[s]++
		}
	}
	rules := b.coverage.Covering(u)
	if len(rules) == 0 {
		return
	}
	var key strings.Builder
	for _, i := range rules {
		b.coverage.Users[i]++
		for _, s := range access.Covering(&b.rules[i], u) {
			b.byway[i][s]++
		}
		key.WriteString(strconv.Itoa(i) + " ")
	}
	p := b.profiles[key.String()]
	if p == nil {
		p = &profile{rules: rules}
		b.profiles[key.String()] = p
	}
	p.users++
}

// Build returns the part of the map that a filter selects.
func (b *Builder) Build(f Filter) *Map {
	m := &Map{}
	if f.User != nil && f.User.Blocked() {
		return m
	}
	place, users := newPlaces(), b.clusterUsers()
	for i := range b.rules {
		named, opens, selected := b.selected(i, f)
		if !selected {
			continue
		}
		rule := b.rule(i)
		for _, s := range named {
			rule.Subjects = append(rule.Subjects, Edge{To: place.subject(m, Subject{Subject: s, Users: b.subjects[s]}), Users: b.byway[i][s]})
		}
		for _, k := range opens {
			c := &b.clusters[k]
			rule.Clusters = append(rule.Clusters, Edge{To: place.cluster(m, Cluster{ID: c.ID, Name: c.Name, Environment: c.Environment, Color: c.Color, Users: users[k]})})
		}
		m.Rules = append(m.Rules, rule)
	}
	return m
}

func (b *Builder) rule(i int) Rule {
	stored := &b.rules[i]
	rule := Rule{
		ID: stored.ID, Description: stored.Description, ConnectorIDs: stored.ConnectorIDs, Users: b.coverage.Users[i], All: slices.Contains(stored.ClusterIDs, "*"),
	}
	if len(stored.ClusterIDs) == 0 {
		rule.Labels = stored.ClusterLabels
	}
	return rule
}

// selected returns the subjects and clusters of a rule that a filter selects, and whether it
// selects the rule at all.
func (b *Builder) selected(i int, f Filter) (named []access.Subject, opens []int, selected bool) {
	rule := &b.rules[i]
	if f.Rule != "" && rule.ID != f.Rule {
		return nil, nil, false
	}
	named = b.named[i]
	if f.User != nil {
		named = access.Covering(rule, f.User)
	}
	if f.Subject.Kind != "" {
		named = slices.DeleteFunc(slices.Clone(named), func(s access.Subject) bool { return s != f.Subject })
	}
	opens = b.opens[i]
	if f.Cluster != "" || f.Environment != "" {
		opens = slices.DeleteFunc(slices.Clone(opens), func(k int) bool {
			c := &b.clusters[k]
			return f.Cluster != "" && c.ID != f.Cluster || f.Environment != "" && c.Environment != f.Environment
		})
		if len(opens) == 0 {
			return nil, nil, false
		}
	}
	return named, opens, len(named) > 0 && b.hasWords(i, named, opens, f.Text)
}

// hasWords reports whether each word is in the rule, or in what it connects.
func (b *Builder) hasWords(i int, named []access.Subject, opens []int, words string) bool {
	wanted := strings.Fields(strings.ToLower(words))
	if len(wanted) == 0 {
		return true
	}
	text := []string{b.rules[i].ID, b.rules[i].Description}
	for _, s := range named {
		text = append(text, string(s.Kind), s.Name)
	}
	for _, k := range opens {
		c := &b.clusters[k]
		text = append(text, c.ID, c.Name, c.Environment)
	}
	all := strings.ToLower(strings.Join(text, "\n"))
	return !slices.ContainsFunc(wanted, func(word string) bool { return !strings.Contains(all, word) })
}

// clusterUsers returns how many users may use each cluster.
func (b *Builder) clusterUsers() []int {
	users, last := make([]int, len(b.clusters)), make([]*profile, len(b.clusters))
	for _, p := range b.profiles {
		for _, i := range p.rules {
			for _, k := range b.opens[i] {
				if last[k] != p {
					last[k] = p
					users[k] += p.users
				}
			}
		}
	}
	return users
}

// Rules returns how many rules the whole map has.
func (b *Builder) Rules() int { return len(b.rules) }

// Cluster returns how many users may use a cluster.
func (b *Builder) Cluster(id string) (users int) {
	at := slices.IndexFunc(b.clusters, func(c store.Cluster) bool { return c.ID == id })
	if at < 0 {
		return 0
	}
	return b.clusterUsers()[at]
}

// places finds the elements of a map that is being built.
type places struct {
	subjects map[access.Subject]int
	clusters map[string]int
}

func newPlaces() *places {
	return &places{subjects: map[access.Subject]int{}, clusters: map[string]int{}}
}

func (p *places) subject(m *Map, s Subject) int {
	at, known := p.subjects[s.Subject]
	if !known {
		at = len(m.Subjects)
		p.subjects[s.Subject] = at
		m.Subjects = append(m.Subjects, s)
	}
	return at
}

func (p *places) cluster(m *Map, c Cluster) int {
	at, known := p.clusters[c.ID]
	if !known {
		at = len(m.Clusters)
		p.clusters[c.ID] = at
		m.Clusters = append(m.Clusters, c)
	}
	return at
}

// Page returns limit rules of a map from the one with index offset on, with what they connect.
func (m *Map) Page(offset, limit int) *Map {
	from := min(max(offset, 0), len(m.Rules))
	part, place := &Map{}, newPlaces()
	for _, rule := range m.Rules[from:min(from+limit, len(m.Rules))] {
		rule.Subjects, rule.Clusters = slices.Clone(rule.Subjects), slices.Clone(rule.Clusters)
		for i := range rule.Subjects {
			rule.Subjects[i].To = place.subject(part, m.Subjects[rule.Subjects[i].To])
		}
		for i := range rule.Clusters {
			rule.Clusters[i].To = place.cluster(part, m.Clusters[rule.Clusters[i].To])
		}
		part.Rules = append(part.Rules, rule)
	}
	return part
}
