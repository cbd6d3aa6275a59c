package clusters

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func filterRows() []Row {
	return []Row{
		{ID: "prod-eu", Name: "Production Europe", Environment: "production", Labels: []string{"region=eu", "team=checkout"}},
		{ID: "prod-us", Name: "Production US", Environment: "production", Labels: []string{"region=us", "team=checkout"}},
		{ID: "staging", Name: "Staging", Environment: "staging", Description: "Release candidates", Labels: []string{"region=eu"}},
		{ID: "lab", Name: "Lab"},
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"":                                      "prod-eu prod-us staging lab",
		"q=production":                          "prod-eu prod-us",
		"q=PROD+team%3Dcheckout+us":             "prod-us",
		"q=release":                             "staging",
		"env=production":                        "prod-eu prod-us",
		"label=region%3Deu":                     "prod-eu staging",
		"env=production&label=region%3Deu":      "prod-eu",
		"q=nothing":                             "",
		"env=%3Cscript%3E":                      "",
		"page=99":                               "prod-eu prod-us staging lab",
		"page=-1&q=lab":                         "lab",
		"label=region%3Deu&label=region%3Dus":   "prod-eu staging", // one label at a time
		"q=" + url.QueryEscape("  staging \t "): "staging",
	} {
		if got := strings.Join(listed(t, query), " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// listed returns the ids of the first page for a query.
func listed(t *testing.T, query string) []string {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	data := HomeData{Filter: newFilter(values, filterRows(), "/")}
	data.addRows(filterRows())
	var ids []string
	for _, row := range data.Rows {
		ids = append(ids, row.ID)
	}
	return ids
}

// TestChoices counts what each choice leaves, and keeps the other parts of the filter in its link.
func TestChoices(t *testing.T) {
	t.Parallel()
	f := newFilter(url.Values{"q": {"staging"}, "env": {"production"}}, filterRows(), "/sso/")
	if f.All.URL != "/sso/?q=staging" || f.All.Count != 1 || f.All.Here {
		t.Errorf("%+v", f.All)
	}
	f = newFilter(url.Values{"env": {"production"}}, filterRows(), "/")
	if got := fmt.Sprint(f.Environments); got != "[{production / 2 true} {staging /?env=staging 1 false}]" {
		t.Errorf("%s", got)
	}
	if got := fmt.Sprint(f.Labels); got != "[{region=eu /?env=production&label=region%3Deu 1 false} {region=us /?env=production&label=region%3Dus 1 false} {team=checkout /?env=production&label=team%3Dcheckout 2 false}]" {
		t.Errorf("%s", got)
	}
	if f.Active() != true || newFilter(nil, filterRows(), "/").Active() {
		t.Error("a filter is active when it has a query, an environment or a label")
	}
	// One choice is none.
	if f := newFilter(nil, filterRows()[:2], "/"); len(f.Environments) != 0 {
		t.Errorf("%+v", f.Environments)
	}
	// The most frequent labels are offered, in order of their names.
	var many []Row
	for i := range 100 {
		many = append(many, Row{ID: fmt.Sprint(i), Labels: []string{fmt.Sprintf("n=%d", i), "all=yes"}})
	}
	labels := newFilter(nil, many, "/").Labels
	if len(labels) != maxChoices || labels[0].Name != "all=yes" || !slices.IsSortedFunc(labels, func(a, b Choice) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("%d labels, first %+v", len(labels), labels[0])
	}
}

func TestPagesOfClusters(t *testing.T) {
	t.Parallel()
	var rows []Row
	for i := range 2*pageSize + 1 {
		rows = append(rows, Row{ID: fmt.Sprint(i), Name: "cluster", Environment: []string{"a", "b"}[i%2]})
	}
	for query, want := range map[string]string{
		"":             "page 1 of 3, 40 rows, prev=, next=/?page=2",
		"page=2":       "page 2 of 3, 40 rows, prev=/, next=/?page=3",
		"page=3&q=clu": "page 3 of 3, 1 rows, prev=/?page=2&q=clu, next=",
		"page=7":       "page 3 of 3, 1 rows, prev=/?page=2, next=",
		"env=a&page=2": "page 2 of 2, 1 rows, prev=/?env=a, next=",
		"q=none":       "page 1 of 1, 0 rows, prev=, next=",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		data := HomeData{Filter: newFilter(values, rows, "/")}
		data.addRows(rows)
		if got := fmt.Sprintf("page %d of %d, %d rows, prev=%s, next=%s", data.Page, data.Pages, len(data.Rows), data.Prev, data.Next); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
