package admin

import (
	"github.com/fairlead-auth/fairlead/internal/chart"
	ops "github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/policy/access"
	"github.com/fairlead-auth/fairlead/server/policy/accessmap"
)

// Difference is what a change does to the access map, as a picture and as a table.
type Difference struct {
	Picture chart.Flow
	Rows    []DifferenceRow
	// MoreRows and MoreRules are how many differ and are not shown.
	MoreRows, MoreRules int
}

// DifferenceRow is a subject that a rule gains or loses, or a cluster that users gain or lose.
type DifferenceRow struct {
	Mark       chart.Mark
	Kind, Name string
	// Gained and Lost are how many users gain and lose the cluster; Users are some of them.
	Gained, Lost int
	Users        []string
}

// How many rows the table has at most, and how many users a row names.
const (
	differenceRows  = 40
	differenceUsers = 5
)

// difference draws what a change does to the access map; nil if the map stays the same.
func (h *Handler) difference(p *ops.Preview) *Difference {
	if p == nil || p.Map == nil {
		return nil
	}
	f := &flow{h: h, Map: p.Map, size: partialColumn, counted: true}
	d := &Difference{Picture: f.draw("Difference on the access map"), Rows: changedSubjects(p.Map), MoreRules: p.MapRules - len(p.Map.Rules)}
	f.unlink(&d.Picture)
	for i := range p.Map.Clusters {
		c := &p.Map.Clusters[i]
		if c.Gained+c.Lost > 0 || c.Mark != accessmap.Same {
			d.Rows = append(d.Rows, DifferenceRow{Mark: chart.Mark(c.Mark), Kind: "Cluster", Name: c.ID, Gained: c.Gained, Lost: c.Lost, Users: p.Names[c.ID][:min(differenceUsers, len(p.Names[c.ID]))]})
		}
	}
	d.MoreRows = max(0, len(d.Rows)-differenceRows)
	d.Rows = d.Rows[:len(d.Rows)-d.MoreRows]
	return d
}

// unlink removes the links of a picture that stands beside an unsaved form, and the numbers that
// only the whole map has.
func (f *flow) unlink(picture *chart.Flow) {
	for c := range picture.Columns {
		for n := range picture.Columns[c].Nodes {
			node := &picture.Columns[c].Nodes[n]
			node.Path = ""
			if node.Icon == "cluster" {
				node.Note = "" // how many users it has by rules that stay the same was not counted
			}
		}
	}
	for c := range picture.Edges {
		for e := range picture.Edges[c] {
			picture.Edges[c][e].Path = ""
		}
	}
}

// changedSubjects are the subjects that rules gain or lose.
func changedSubjects(m *accessmap.Map) []DifferenceRow {
	words := map[access.SubjectKind]string{access.SubjectEveryone: "Everyone", access.SubjectUser: "User", access.SubjectGroup: "Group", access.SubjectDomain: "Domain"}
	var rows []DifferenceRow
	for i := range m.Rules {
		for _, e := range m.Rules[i].Subjects {
			if e.Mark != accessmap.Same {
				s := m.Subjects[e.To].Subject
				rows = append(rows, DifferenceRow{Mark: chart.Mark(e.Mark), Kind: words[s.Kind], Name: subjectLabel(s)})
			}
		}
	}
	return rows
}
