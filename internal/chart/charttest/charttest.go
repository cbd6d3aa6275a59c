// Package charttest reads charts back from a page, for tests that compare them with the data.
package charttest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Line is a line as it was drawn.
type Line struct {
	ID, Title, Text string
	Values, Usual   []float64
	// Rows are the rows of the table, without its heading.
	Rows [][]string
	// Hovers are the texts of the points, in the order of time.
	Hovers []string
	// Times are when the rows begin, as RFC 3339.
	Times []string
}

// Square is a square of a grid as it was drawn.
type Square struct{ Name, State, Path, Hover string }

// element is a part of a page.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

func (e *element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e *element) all(match func(*element) bool) []*element {
	var found []*element
	if match(e) {
		found = append(found, e)
	}
	for i := range e.Children {
		found = append(found, e.Children[i].all(match)...)
	}
	return found
}

func (e *element) text() string {
	text := e.Text
	for i := range e.Children {
		text += e.Children[i].text()
	}
	return strings.TrimSpace(text)
}

func named(name string) func(*element) bool {
	return func(e *element) bool { return e.XMLName.Local == name }
}

func classed(class string) func(*element) bool {
	return func(e *element) bool { return slices.Contains(strings.Fields(e.attr("class")), class) }
}

// parts returns the parts of a page between two texts, both included. Charts are XML even where
// the page around them is not.
func parts(page, begin, end string) ([]element, error) {
	var list []element
	for {
		_, rest, found := strings.Cut(page, begin)
		if !found {
			return list, nil
		}
		body, after, found := strings.Cut(rest, end)
		if !found {
			return nil, fmt.Errorf("%s has no %s", begin, end)
		}
		var e element
		decoder := xml.NewDecoder(bytes.NewReader([]byte(begin + body + end)))
		decoder.Strict = true
		if err := decoder.Decode(&e); err != nil {
			return nil, fmt.Errorf("reading a chart: %w", err)
		}
		if err := decoder.Decode(new(element)); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("more than one element: %w", err)
		}
		list, page = append(list, e), after
	}
}

// Lines reads the lines of a page.
func Lines(page string) ([]Line, error) {
	figures, err := parts(page, `<figure class="chart"`, `</figure>`)
	if err != nil {
		return nil, err
	}
	var list []Line
	for i := range figures {
		figure := &figures[i]
		svgs := figure.all(named("svg"))
		if len(svgs) != 1 {
			return nil, fmt.Errorf("%d drawings in a figure", len(svgs))
		}
		svg := svgs[0]
		line := Line{ID: figure.attr("id")}
		for _, id := range strings.Fields(svg.attr("aria-labelledby")) {
			for _, label := range svg.all(func(e *element) bool { return e.attr("id") == id }) {
				if label.XMLName.Local == "title" {
					line.Title = label.text()
				} else {
					line.Text = label.text()
				}
			}
		}
		highest, err := strconv.ParseFloat(svg.attr("data-max"), 64)
		if err != nil {
			return nil, fmt.Errorf("reading data-max: %w", err)
		}
		if line.Values, err = values(svg, "chart-value", highest); err != nil {
			return nil, err
		}
		if line.Usual, err = values(svg, "chart-usual", highest); err != nil {
			return nil, err
		}
		for _, row := range figure.all(named("tr"))[min(1, len(figure.all(named("tr")))):] {
			var cells []string
			for j := range row.Children {
				cells = append(cells, row.Children[j].text())
			}
			line.Rows = append(line.Rows, cells)
			for _, at := range row.all(named("time")) {
				line.Times = append(line.Times, at.attr("datetime"))
			}
		}
		for _, hit := range svg.all(classed("chart-hit")) {
			line.Hovers = append(line.Hovers, hit.text())
		}
		list = append(list, line)
	}
	return list, nil
}

// values turns the places of a line's points back into values.
func values(svg *element, class string, highest float64) ([]float64, error) {
	var list []float64
	for _, line := range svg.all(classed(class)) {
		for point := range strings.FieldsSeq(line.attr("points")) {
			_, y, found := strings.Cut(point, ",")
			at, err := strconv.ParseFloat(y, 64)
			if err != nil || !found {
				return nil, fmt.Errorf("a point is %q: %w", point, err)
			}
			const height, margin = 36, 3
			list = append(list, (height-at)*highest/(height-margin))
		}
	}
	return list, nil
}

// Squares reads the grids of a page.
func Squares(page string) ([]Square, error) {
	grids, err := parts(page, `<ul class="health"`, `</ul>`)
	if err != nil {
		return nil, err
	}
	var list []Square
	for i := range grids {
		for _, a := range grids[i].all(named("a")) {
			name, _, _ := strings.Cut(a.text(), ":")
			square := Square{Name: name, Path: a.attr("href"), Hover: a.attr("title")}
			for _, class := range strings.Fields(a.attr("class")) {
				if state, found := strings.CutPrefix(class, "health-"); found && state != "square" {
					square.State = state
				}
			}
			list = append(list, square)
		}
	}
	return list, nil
}

// Node is a node of a flow as it was drawn. Number counts through the columns.
type Node struct {
	Number                 int
	Column, Label, Path    string
	Mark, Note, Gain, Loss string
}

// Edge is a curve of a flow as it was drawn, between the numbers of two nodes.
type Edge struct {
	From, To   int
	Path, Mark string
}

// Flow is a flow as it was drawn.
type Flow struct {
	Title string
	Nodes []Node
	Edges []Edge
}

// Flows reads the flows of a page.
func Flows(page string) ([]Flow, error) {
	figures, err := parts(page, `<figure class="flow"`, `</figure>`)
	if err != nil {
		return nil, err
	}
	var list []Flow
	for i := range figures {
		flow := Flow{Title: figures[i].attr("aria-label")}
		for _, column := range figures[i].all(classed("flow-nodes")) {
			for _, e := range column.all(func(e *element) bool { return e.attr("data-node") != "" }) {
				node := Node{Column: column.attr("aria-label"), Path: e.attr("href"), Mark: strings.TrimPrefix(e.attr("class"), "flow-")}
				if node.Number, err = strconv.Atoi(e.attr("data-node")); err != nil {
					return nil, fmt.Errorf("reading data-node: %w", err)
				}
				for class, text := range map[string]*string{"flow-label": &node.Label, "flow-note": &node.Note, "flow-gain": &node.Gain, "flow-loss": &node.Loss} {
					for _, part := range e.all(classed(class)) {
						*text = part.text()
					}
				}
				flow.Nodes = append(flow.Nodes, node)
			}
		}
		if flow.Edges, err = flowEdges(&figures[i]); err != nil {
			return nil, err
		}
		list = append(list, flow)
	}
	return list, nil
}

// flowEdges reads the curves of a flow.
func flowEdges(figure *element) ([]Edge, error) {
	paths := map[string]string{}
	for _, a := range figure.all(named("a")) {
		for _, path := range a.all(named("path")) {
			paths[path.attr("data-edge")] = a.attr("href")
		}
	}
	var list []Edge
	for _, path := range figure.all(func(e *element) bool { return e.attr("data-edge") != "" }) {
		edge := Edge{Path: paths[path.attr("data-edge")]}
		if _, err := fmt.Sscan(path.attr("data-edge"), &edge.From, &edge.To); err != nil {
			return nil, fmt.Errorf("reading data-edge: %w", err)
		}
		for class := range strings.FieldsSeq(path.attr("class")) {
			if class == "flow-added" || class == "flow-removed" {
				edge.Mark = strings.TrimPrefix(class, "flow-")
			}
		}
		list = append(list, edge)
	}
	return list, nil
}
