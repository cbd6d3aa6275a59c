package accessmap

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Bundle is elements of a map that a picture shows as one: the same rules lead to all of them.
type Bundle struct {
	// Members are indices in Map.Subjects or Map.Clusters.
	Members []int
	// Rules lead to the rules, with the highest number of users of the members.
	Rules []Edge
	// Rest says that the bundle holds all that found no other place: each rule leads to some of
	// its members, not to all.
	Rest bool
}

// Picture is the ends of a map, bundled so that a page can show them.
type Picture struct{ Subjects, Clusters []Bundle }

// edgesEach is how many edges there may be for each element of a full column.
const edgesEach = 3

// Picture bundles subjects and clusters where a column would have more than size elements, or
// too many edges.
func (m *Map) Picture(size int) Picture {
	subjects, clusters := side{}, side{}
	for i := range m.Subjects {
		subjects = append(subjects, Bundle{Members: []int{i}})
	}
	for i := range m.Clusters {
		clusters = append(clusters, Bundle{Members: []int{i}})
	}
	for r, rule := range m.Rules {
		for _, e := range rule.Subjects {
			subjects[e.To].Rules = append(subjects[e.To].Rules, Edge{To: r, Users: e.Users, Mark: e.Mark})
		}
		for _, e := range rule.Clusters {
			clusters[e.To].Rules = append(clusters[e.To].Rules, Edge{To: r, Users: rule.Users, Mark: e.Mark})
		}
	}
	return Picture{
		Subjects: subjects.fit(size, func(i int) string { return string(m.Subjects[i].Kind) }, func(i int) string { return m.Subjects[i].Name }),
		Clusters: clusters.fit(size, func(i int) string {
			c := &m.Clusters[i]
			return fmt.Sprint(c.Environment, "\n", c.Gained, c.Lost)
		}, func(i int) string { return m.Clusters[i].ID }),
	}
}

// side is the bundles of one column.
type side []Bundle

// fit bundles the elements if there are too many: first those with the same rules and the same
// key, then those with the same rules, then all that are left. It puts them near their rules, and
// in the order of their names.
func (s side) fit(size int, key, name func(i int) string) []Bundle {
	fits := func(list []Bundle) bool { return len(list) <= size && edges(list) <= size*edgesEach }
	list := []Bundle(s)
	if !fits(list) {
		list = s.bundle(key)
	}
	if !fits(list) {
		list = s.bundle(func(int) string { return "" })
	}
	if !fits(list) {
		list = rest(list, size)
	}
	slices.SortStableFunc(list, func(x, y Bundle) int {
		return cmp.Or(cmp.Compare(boolInt(x.Rest), boolInt(y.Rest)), cmp.Compare(centre(x), centre(y)), cmp.Compare(name(x.Members[0]), name(y.Members[0])))
	})
	return list
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// centre is the middle of a bundle's rules. In this order fewer curves cross.
func centre(b Bundle) float64 {
	sum := 0
	for _, e := range b.Rules {
		sum += e.To
	}
	return float64(sum) / float64(max(len(b.Rules), 1))
}

func edges(list []Bundle) int {
	n := 0
	for _, b := range list {
		n += len(b.Rules)
	}
	return n
}

// bundle joins the elements with the same rules and the same key.
func (s side) bundle(key func(i int) string) []Bundle {
	var list []Bundle
	known := map[string]int{}
	for _, b := range s {
		var text strings.Builder
		for _, e := range b.Rules {
			fmt.Fprint(&text, e.To, e.Mark, " ")
		}
		text.WriteString(key(b.Members[0]))
		at, there := known[text.String()]
		if !there {
			known[text.String()] = len(list)
			list = append(list, Bundle{Members: slices.Clone(b.Members), Rules: slices.Clone(b.Rules)})
			continue
		}
		list[at].join(b)
	}
	return list
}

// join adds the members and the edges of another bundle.
func (b *Bundle) join(other Bundle) {
	b.Members = append(b.Members, other.Members...)
	for _, e := range other.Rules {
		at := slices.IndexFunc(b.Rules, func(mine Edge) bool { return mine.To == e.To && mine.Mark == e.Mark })
		if at < 0 {
			b.Rules = append(b.Rules, e)
			continue
		}
		b.Rules[at].Users = max(b.Rules[at].Users, e.Users)
	}
}

// rest keeps the bundles with the most members and joins the others, until the list fits.
func rest(list []Bundle, size int) []Bundle {
	slices.SortStableFunc(list, func(x, y Bundle) int { return cmp.Compare(len(y.Members), len(x.Members)) })
	for keep := size - 1; ; keep-- {
		last := Bundle{Rest: true}
		for _, b := range list[min(keep, len(list)):] {
			last.join(b)
		}
		if fitted := append(slices.Clone(list[:min(keep, len(list))]), last); keep == 0 || edges(fitted) <= size*edgesEach {
			return fitted
		}
	}
}
