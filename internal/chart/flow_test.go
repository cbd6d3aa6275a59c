package chart_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/chart"
	"github.com/fairlead-auth/fairlead/internal/chart/charttest"
)

// TestAFlowShowsItsNodesAndEdges draws random flows and reads them back.
func TestAFlowShowsItsNodesAndEdges(t *testing.T) {
	t.Parallel()
	marks := []chart.Mark{"", chart.Added, chart.Removed}
	for range 50 {
		flow := chart.Flow{Title: "Access map", Edges: make([][]chart.Edge, 2)}
		want := charttest.Flow{Title: "Access map"}
		for c := range 3 {
			column := chart.Column{Title: fmt.Sprint("Column ", c)}
			for n := range 1 + rand.N(6) {
				node := chart.Node{Icon: "group", Label: fmt.Sprint("node ", c, n), Note: "5 people", Gain: "+3", Path: fmt.Sprint("/n/", c, n), Mark: marks[rand.N(3)]}
				column.Nodes = append(column.Nodes, node)
				want.Nodes = append(want.Nodes, charttest.Node{Number: len(want.Nodes), Column: column.Title, Label: node.Label, Note: node.Note, Gain: node.Gain, Path: node.Path, Mark: string(node.Mark)})
			}
			flow.Columns = append(flow.Columns, column)
		}
		first := 0
		for gap := range 2 {
			left, right := len(flow.Columns[gap].Nodes), len(flow.Columns[gap+1].Nodes)
			for from := range left {
				edge := chart.Edge{From: from, To: rand.N(right), Weight: rand.N(4), Path: fmt.Sprint("/e/", gap, from), Hover: "why", Mark: marks[rand.N(3)]}
				flow.Edges[gap] = append(flow.Edges[gap], edge)
				want.Edges = append(want.Edges, charttest.Edge{From: first + from, To: first + left + edge.To, Path: edge.Path, Mark: string(edge.Mark)})
			}
			first += left
		}
		got, err := charttest.Flows(string(flow.Draw()))
		if err != nil || len(got) != 1 {
			t.Fatalf("%d flows, error %v", len(got), err)
		}
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Fatalf("flow (-want +got):\n%s", diff)
		}
	}
}

func TestAFlowEscapesItsTexts(t *testing.T) {
	t.Parallel()
	node := chart.Node{Icon: hostile, Label: hostile, Note: hostile, Gain: hostile, Loss: hostile, Path: "javascript:alert(1)", Hover: hostile, Mark: hostile}
	flow := chart.Flow{Title: hostile, Columns: []chart.Column{{hostile, []chart.Node{node}}, {hostile, []chart.Node{node}}}, Edges: [][]chart.Edge{{
		{Path: "//evil.test", Hover: hostile, Mark: hostile}, {From: 9, Hover: "no such node"}, {To: -1, Hover: "no such node"},
	}}}
	text := string(flow.Draw())
	if strings.Contains(text, "<script") || strings.Contains(text, "javascript:") || strings.Contains(text, ` style="`) || strings.Contains(text, "evil.test") || strings.Contains(text, "no such node") {
		t.Errorf("not escaped: %s", text)
	}
	if _, err := charttest.Flows(text); err != nil {
		t.Error(err)
	}
}
