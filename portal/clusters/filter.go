package clusters

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// searchFrom is from how many clusters on there is a search box.
	searchFrom = 8
	// pageSize is how many clusters a page lists. A page stays below 50 KB.
	pageSize = 40
	// maxChoices is how many labels, or environments, are offered: the most frequent ones.
	maxChoices = 40
)

// Filter is what the user searches for, and the choices that narrow the list.
type Filter struct {
	// Query is the words of the search box. Env is an environment and Label a label such as
	// "team=checkout"; empty for any.
	Query, Env, Label string
	// All removes Env and Label. Environments has a choice for each environment, Labels for each
	// label.
	All                  Choice
	Environments, Labels []Choice

	page int
	home string
}

// Choice is a link that narrows the list, with the number of clusters that it leaves.
type Choice struct {
	Name, URL string
	Count     int
	Here      bool
}

// Active reports whether the list may be shorter than that of all clusters.
func (f Filter) Active() bool { return f.Query+f.Env+f.Label != "" }

// newFilter reads a filter from a query. Its choices count the rows that match everything else that
// was asked for.
func newFilter(query url.Values, rows []Row, home string) Filter {
	f := Filter{Query: strings.TrimSpace(query.Get("q")), Env: query.Get("env"), Label: query.Get("label"), home: home}
	f.page, _ = strconv.Atoi(query.Get("page")) // anything else is the first page
	environments, names, all := map[string]int{}, map[string]int{}, 0
	for _, row := range rows {
		if !f.contains(row) {
			continue
		}
		all++
		if f.hasLabel(row) && row.Environment != "" {
			environments[row.Environment]++
		}
		if f.hasEnvironment(row) {
			for _, label := range row.Labels {
				names[label]++
			}
		}
	}
	f.All = Choice{URL: f.url("", "", 0), Count: all, Here: f.Env == "" && f.Label == ""}
	f.Environments = choices(environments, func(name string) Choice {
		if name == f.Env {
			return Choice{URL: f.url("", f.Label, 0), Here: true}
		}
		return Choice{URL: f.url(name, f.Label, 0)}
	})
	f.Labels = choices(names, func(name string) Choice {
		if name == f.Label {
			return Choice{URL: f.url(f.Env, "", 0), Here: true}
		}
		return Choice{URL: f.url(f.Env, name, 0)}
	})
	return f
}

// choices returns a choice for each name. A name that narrows nothing down is left out, unless it
// is the one that is chosen.
func choices(counts map[string]int, choice func(name string) Choice) []Choice {
	var list []Choice
	for name, count := range counts {
		c := choice(name)
		c.Name, c.Count = name, count
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Choice) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	list = list[:min(len(list), maxChoices)]
	slices.SortFunc(list, func(a, b Choice) int { return cmp.Compare(a.Name, b.Name) })
	if len(list) == 1 && !list[0].Here {
		return nil
	}
	return list
}

// url returns the address of a list with the same words.
func (f Filter) url(env, label string, page int) string {
	q := url.Values{}
	for _, field := range []struct{ name, value string }{{"q", f.Query}, {"env", env}, {"label", label}} {
		if field.value != "" {
			q.Set(field.name, field.value)
		}
	}
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	}
	if len(q) == 0 {
		return f.home
	}
	return f.home + "?" + q.Encode()
}

func (f Filter) pageURL(page int) string { return f.url(f.Env, f.Label, page) }

func (f Filter) matches(row Row) bool {
	return f.contains(row) && f.hasEnvironment(row) && f.hasLabel(row)
}

func (f Filter) hasEnvironment(row Row) bool { return f.Env == "" || row.Environment == f.Env }

func (f Filter) hasLabel(row Row) bool { return f.Label == "" || slices.Contains(row.Labels, f.Label) }

// contains reports whether every word of the query is somewhere in the row.
func (f Filter) contains(row Row) bool {
	text := strings.ToLower(row.ID + " " + row.Name + " " + row.Description + " " + row.Environment + " " + strings.Join(row.Labels, " "))
	for word := range strings.FieldsSeq(strings.ToLower(f.Query)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
