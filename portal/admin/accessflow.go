package admin

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/chart"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/accessmap"
)

// flow draws an access map.
type flow struct {
	h *Handler
	*accessmap.Map
	// size is how many elements a column has at most.
	size int
	// counted says that the numbers of users are known.
	counted bool
	// filter is what the map is filtered by, and user whose ways it shows.
	filter url.Values
	user   *store.User
	// table is where the picture leads when a part of it can't be narrowed any more.
	table string
}

// draw makes the picture.
func (f *flow) draw(title string) chart.Flow {
	picture := f.Picture(f.size)
	who, rules, use := chart.Column{Title: "Groups and users"}, chart.Column{Title: "Access rules"}, chart.Column{Title: "Clusters"}
	out := chart.Flow{Title: title, Edges: make([][]chart.Edge, 2)} //nolint:mnd // between three columns
	for i := range f.Rules {
		rules.Nodes = append(rules.Nodes, f.ruleNode(&f.Rules[i]))
	}
	for i, b := range picture.Subjects {
		who.Nodes = append(who.Nodes, f.subjectBundle(b))
		for _, e := range b.Rules {
			out.Edges[0] = append(out.Edges[0], chart.Edge{From: i, To: e.To, Weight: f.weight(e.Users), Path: f.whySubject(b, e), Hover: f.hover(who.Nodes[i].Label, f.Rules[e.To].ID, e), Mark: chart.Mark(e.Mark)})
		}
	}
	for i, b := range picture.Clusters {
		use.Nodes = append(use.Nodes, f.clusterBundle(b))
		for _, e := range b.Rules {
			out.Edges[1] = append(out.Edges[1], chart.Edge{From: e.To, To: i, Weight: f.weight(e.Users), Path: f.whyCluster(b, e), Mark: chart.Mark(e.Mark)})
		}
	}
	out.Columns = []chart.Column{who, rules, use}
	return out
}

// weight is how thick a curve for a number of users is.
func (f *flow) weight(users int) int {
	const some, many = 10, 100
	switch {
	case !f.counted || users < some:
		return 1
	case users < many:
		return 2
	}
	return 3
}

// hover says what a curve between a subject and a rule stands for.
func (f *flow) hover(label, rule string, e accessmap.Edge) string {
	if !f.counted {
		return ""
	}
	return label + " → " + rule + ": " + plural(e.Users, "person", "people")
}

// users writes a number of users, if it is known.
func (f *flow) users(n int) string {
	if !f.counted {
		return ""
	}
	return chart.Count(int64(n))
}

// narrow is the address of the map filtered by one more thing.
func (f *flow) narrow(values ...string) string {
	filter := url.Values{}
	for _, name := range []string{"user", "environment", "rule"} {
		if f.filter.Get(name) != "" {
			filter.Set(name, f.filter.Get(name))
		}
	}
	for i := 0; i+1 < len(values); i += 2 {
		filter.Set(values[i], values[i+1])
	}
	return f.h.mapPath(filter)
}

func (h *Handler) mapPath(filter url.Values) string {
	return h.Site.Path("/admin/access-map?" + filter.Encode())
}

func (f *flow) ruleNode(rule *accessmap.Rule) chart.Node {
	node := chart.Node{Icon: "rule", Label: rule.Description, Path: f.h.entryPath(settings.Rules, rule.ID), Note: f.users(rule.Users), Mark: chart.Mark(rule.Mark), Hover: rule.ID}
	if rule.Description == "" {
		node.Label, node.Hover = rule.ID, ""
	} else if len(rule.Description) > longLabel {
		node.Hover = rule.Description + " (" + rule.ID + ")"
	}
	if len(rule.ConnectorIDs) > 0 {
		node.Hover = strings.TrimPrefix(node.Hover+", only through "+strings.Join(rule.ConnectorIDs, " or "), ", ")
	}
	if len(rule.Clusters) == 0 {
		node.Idle, node.Hover = true, "This rule opens no cluster"
	}
	return node
}

// longLabel is from what length on a label may not fit into its node.
const longLabel = 24

// subjectLabel is how a subject is written.
func subjectLabel(s access.Subject) string {
	switch s.Kind {
	case access.SubjectEveryone:
		return "Everyone"
	case access.SubjectDomain:
		return "@" + s.Name
	case access.SubjectUser, access.SubjectGroup:
	}
	return s.Name
}

// subjectFilter is the parameter of the map for a subject.
func subjectFilter(s access.Subject) (name, value string) {
	if s.Kind == access.SubjectEveryone {
		return "everyone", "yes"
	}
	return string(s.Kind), s.Name
}

// subjectPath narrows the map to a subject, and leads to the people from there.
func (f *flow) subjectPath(s *accessmap.Subject) string {
	name, value := subjectFilter(s.Subject)
	if f.filter.Get(name) != value && (s.Kind != access.SubjectUser || s.Users > 0) {
		if s.Kind == access.SubjectUser {
			return f.h.mapPath(url.Values{name: {value}})
		}
		return f.narrow(name, value)
	}
	people := url.Values{}
	switch s.Kind {
	case access.SubjectGroup:
		people.Set("group", s.Name)
	case access.SubjectEveryone:
	case access.SubjectUser, access.SubjectDomain:
		people.Set("q", subjectLabel(s.Subject))
	}
	return f.h.Site.Path("/admin/people?" + people.Encode())
}

func (f *flow) subjectBundle(b accessmap.Bundle) chart.Node {
	first := &f.Subjects[b.Members[0]]
	if len(b.Members) == 1 {
		node := chart.Node{Icon: string(first.Kind), Label: subjectLabel(first.Subject), Note: f.users(first.Users), Path: f.subjectPath(first), Mark: chart.Mark(first.Mark)}
		if len(node.Label) > longLabel {
			node.Hover = node.Label
		}
		if f.counted && first.Users == 0 {
			node.Idle, node.Hover = true, strings.TrimPrefix(node.Hover+": no user has signed in with it yet", ": ")
		}
		return node
	}
	var names []string
	kinds := map[access.SubjectKind]int{}
	for _, i := range b.Members {
		names = append(names, subjectLabel(f.Subjects[i].Subject))
		kinds[f.Subjects[i].Kind]++
	}
	node := chart.Node{Icon: "group", Label: plural(len(names), "group or user", "groups and users"), Hover: someOf(names), Path: f.more(b), Mark: chart.Mark(commonMark(b.Rules))}
	switch len(names) {
	case kinds[access.SubjectUser]:
		node.Icon, node.Label = "user", plural(len(names), "user", "users")
	case kinds[access.SubjectGroup]:
		node.Label = plural(len(names), "group", "groups")
	case kinds[access.SubjectDomain]:
		node.Icon, node.Label = "domain", plural(len(names), "domain", "domains")
	}
	if b.Rest {
		node.Label += " more"
	}
	return node
}

// commonMark is the mark that all edges have.
func commonMark(edges []accessmap.Edge) accessmap.Mark {
	for _, e := range edges {
		if e.Mark != edges[0].Mark {
			return accessmap.Same
		}
	}
	return edges[0].Mark
}

// someOf lists names for a hover text.
func someOf(names []string) string {
	const shown = 8
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:shown], ", ") + " and " + strconv.Itoa(len(names)-shown) + " more"
}

// more is where the node of several elements leads: to the rule alone, or to the table.
func (f *flow) more(b accessmap.Bundle) string {
	if rule := f.Rules[b.Rules[0].To].ID; len(b.Rules) == 1 && f.filter.Get("rule") != rule && b.Rules[0].Mark == accessmap.Same && f.table != "" {
		return f.narrow("rule", rule)
	}
	return f.table
}

func (f *flow) clusterBundle(b accessmap.Bundle) chart.Node {
	first := &f.Clusters[b.Members[0]]
	node := chart.Node{Icon: "cluster", Label: first.ID, Note: f.users(first.Users), Mark: chart.Mark(first.Mark), Gain: signed("+", first.Gained), Loss: signed("−", first.Lost)}
	if len(b.Members) == 1 {
		node.Path = f.clusterPath(first.ID)
		if first.Name != "" && first.Name != first.ID {
			node.Hover = first.Name + " (" + first.ID + ")"
		} else if len(first.ID) > longLabel {
			node.Hover = first.ID
		}
		return node
	}
	var names []string
	for _, i := range b.Members {
		names = append(names, f.Clusters[i].ID)
		if f.Clusters[i].Users != first.Users {
			node.Note = ""
		}
		if f.Clusters[i].Gained != first.Gained || f.Clusters[i].Lost != first.Lost {
			node.Gain, node.Loss = "", ""
		}
	}
	node.Label, node.Hover, node.Path, node.Mark = f.clustersLabel(b), someOf(names), f.moreClusters(b), chart.Mark(commonMark(b.Rules))
	return node
}

// signed writes a number of users who gain or lose; nothing for none.
func signed(sign string, users int) string {
	if users == 0 {
		return ""
	}
	return sign + chart.Count(int64(users))
}

// moreClusters is where the node of several clusters leads: to the rule alone, then to their
// environment, then to the table.
func (f *flow) moreClusters(b accessmap.Bundle) string {
	environment := f.environment(b)
	if environment != "" && f.filter.Get("environment") == "" && len(b.Rules) == 1 && f.filter.Get("rule") == f.Rules[b.Rules[0].To].ID {
		return f.narrow("environment", environment)
	}
	return f.more(b)
}

// clusterPath narrows the map to a cluster, and leads to its page from there.
func (f *flow) clusterPath(id string) string {
	if f.filter.Get("cluster") != id {
		return f.narrow("cluster", id)
	}
	return f.h.entryPath(settings.Clusters, id)
}

// environment is the environment of all clusters of a bundle, or nothing.
func (f *flow) environment(b accessmap.Bundle) string {
	word := f.Clusters[b.Members[0]].Environment
	if slices.ContainsFunc(b.Members, func(i int) bool { return f.Clusters[i].Environment != word }) {
		return ""
	}
	return word
}

// clustersLabel names several clusters: by the labels that select exactly them, by their
// environment, or by their number.
func (f *flow) clustersLabel(b accessmap.Bundle) string {
	number := plural(len(b.Members), "cluster", "clusters")
	if b.Rest {
		return number + " more"
	}
	for _, e := range b.Rules {
		rule := &f.Rules[e.To]
		switch {
		case len(rule.Clusters) != len(b.Members) || f.filter.Get("cluster") != "":
		case rule.All && f.filter.Get("environment") == "":
			return "All " + number
		case len(rule.Labels) > 0:
			return strings.Join(pairs(rule.Labels), ", ") + " (" + number + ")"
		}
	}
	if word := f.environment(b); word != "" && f.filter.Get("environment") == "" {
		return number + ", " + word
	}
	return number
}

// whySubject is the page that says why a subject has access by a rule.
func (f *flow) whySubject(b accessmap.Bundle, e accessmap.Edge) string {
	s := &f.Subjects[b.Members[0]]
	why := url.Values{}
	switch {
	case len(b.Members) > 1 || e.Mark != accessmap.Same:
	case f.user != nil:
		why.Set("user", f.user.KubeName)
	case s.Kind == access.SubjectGroup:
		why.Set("groups", s.Name)
	case s.Kind == access.SubjectUser && s.Users > 0:
		why.Set("user", s.Name)
	}
	if len(why) == 0 {
		return f.rulePath(e)
	}
	if f.filter.Get("cluster") != "" {
		why.Set("cluster", f.filter.Get("cluster"))
	}
	return f.h.Site.Path("/admin/simulator?" + why.Encode())
}

// whyCluster is the page that says why a rule opens a cluster.
func (f *flow) whyCluster(b accessmap.Bundle, e accessmap.Edge) string {
	if f.user != nil && len(b.Members) == 1 {
		return f.why(f.Clusters[b.Members[0]].ID)
	}
	return f.rulePath(e)
}

// why is the page that says why the user of the map may use a cluster.
func (f *flow) why(cluster string) string {
	return f.h.Site.Path("/admin/simulator?" + url.Values{"user": {f.user.KubeName}, "cluster": {cluster}}.Encode())
}

// rulePath is the page of the rule of an edge; a new rule has none.
func (f *flow) rulePath(e accessmap.Edge) string {
	if f.Rules[e.To].Mark == accessmap.Added {
		return ""
	}
	return f.h.entryPath(settings.Rules, f.Rules[e.To].ID)
}
