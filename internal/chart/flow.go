package chart

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// Mark says how a part of a flow changes. Each mark has a sign as well as a colour.
type Mark string

// The marks. A part that stays the same has none.
const (
	Added   Mark = "added"
	Removed Mark = "removed"
)

// sign says the mark where colour can't be seen.
func (m Mark) sign() string {
	switch m {
	case Added:
		return `<b class="flow-sign" aria-hidden="true"></b><span class="unseen">Added: </span>`
	case Removed:
		return `<b class="flow-sign" aria-hidden="true"></b><span class="unseen">Removed: </span>`
	}
	return ""
}

// Node is a box of a flow.
type Node struct {
	// Icon is "everyone", "user", "group", "domain", "rule" or "cluster".
	Icon        string
	Label, Note string
	// Gain and Loss stand beside the note, such as "+3" and "−1".
	Gain, Loss string
	// Path is where the node leads. Hover says more about it.
	Path, Hover string
	Mark        Mark
	// Idle says that nothing comes of it. Hover says why.
	Idle bool
}

// Column is a column of a flow.
type Column struct {
	Title string
	Nodes []Node
}

// Edge is a curve between nodes of neighbouring columns. From and To are indices in them.
type Edge struct {
	From, To int
	// Weight is 1, 2 or 3: how thick the curve is.
	Weight int
	// Path is where the curve leads. Hover says what it stands for.
	Path, Hover string
	Mark        Mark
}

// Flow is columns of nodes with curves between them. The nodes are lists of links and the curves
// are SVG behind a mouse only, so a table on the page must have the same links.
type Flow struct {
	// Title says what the flow shows.
	Title   string
	Columns []Column
	// Edges are the curves between each column and the next.
	Edges [][]Edge
}

// flowIcon returns the shape of an icon in a box of 24 by 24.
func flowIcon(name string) string {
	return map[string]string{
		"everyone": `<circle cx="12" cy="12" r="8.500"/><path d="M3.500 12h17M12 3.500c5 5 5 12 0 17c-5-5-5-12 0-17"/>`,
		"user":     `<circle cx="12" cy="8" r="3.500"/><path d="M5 20c.8-4 3.500-6 7-6s6.200 2 7 6"/>`,
		"group":    `<circle cx="9" cy="8" r="3"/><path d="M3.500 19c.6-3.300 2.800-5 5.500-5s4.900 1.700 5.500 5"/><path d="M15.500 5.500a3 3 0 0 1 0 5M17 14.300c2 .6 3.200 2.200 3.600 4.700"/>`,
		"domain":   `<circle cx="12" cy="12" r="3.500"/><path d="M15.500 8.500v5c0 3 5 3 5-1.500a8.500 8.500 0 1 0-4 7"/>`,
		"rule":     `<path d="M12 3l7 2.500v5.500c0 4.500-3 8-7 10-4-2-7-5.500-7-10V5.500z"/><path d="M9 12l2 2 4-4"/>`,
		"cluster":  `<path d="M12 3l8 4.500v9L12 21l-8-4.500v-9zM4 7.500l8 4.500 8-4.500M12 12v9"/>`,
	}[name]
}

// Draw returns the flow. Texts are escaped.
func (f Flow) Draw() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<figure class="flow" aria-label="%s">`, html.EscapeString(f.Title))
	f.drawIcons(&b)
	first := 0
	for i, column := range f.Columns {
		fmt.Fprintf(&b, `<div class="flow-column"><p class="flow-title" aria-hidden="true">%s</p><ul class="flow-nodes" aria-label="%[1]s">`, html.EscapeString(column.Title))
		for n := range column.Nodes {
			column.Nodes[n].draw(&b, first+n)
		}
		b.WriteString(`</ul></div>`)
		if i < len(f.Edges) && i+1 < len(f.Columns) {
			drawEdges(&b, f.Edges[i], first, len(column.Nodes), len(f.Columns[i+1].Nodes))
		}
		first += len(column.Nodes)
	}
	b.WriteString(`</figure>`)
	return template.HTML(b.String()) //nolint:gosec // every text in it was escaped
}

// drawIcons defines each icon that the flow uses once.
func (f Flow) drawIcons(b *strings.Builder) {
	drawn := map[string]bool{}
	b.WriteString(`<svg class="flow-icons" aria-hidden="true" width="0" height="0">`)
	for _, column := range f.Columns {
		for _, n := range column.Nodes {
			if shape := flowIcon(n.Icon); shape != "" && !drawn[n.Icon] {
				drawn[n.Icon] = true
				fmt.Fprintf(b, `<symbol id="flow-%s" viewBox="0 0 24 24">%s</symbol>`, n.Icon, shape)
			}
		}
	}
	b.WriteString(`</svg>`)
}

func (n *Node) draw(b *strings.Builder, number int) {
	b.WriteString(`<li>`)
	name := "span"
	if n.Path != "" {
		name = "a"
		fmt.Fprintf(b, `<a href="%s"`, html.EscapeString(local(n.Path)))
	} else {
		b.WriteString(`<span`)
	}
	if class := n.Mark.class(); class != "" {
		fmt.Fprintf(b, ` class="flow-%s"`, class)
	} else if n.Idle {
		b.WriteString(` class="flow-idle"`)
	}
	if n.Hover != "" {
		fmt.Fprintf(b, ` title="%s"`, html.EscapeString(n.Hover))
	}
	fmt.Fprintf(b, ` data-node="%d">%s`, number, n.Mark.sign())
	if flowIcon(n.Icon) != "" {
		fmt.Fprintf(b, `<svg class="icon" width="16" height="16" aria-hidden="true"><use href="#flow-%s"/></svg>`, n.Icon)
	}
	fmt.Fprintf(b, `<span class="flow-label">%s</span>`, html.EscapeString(n.Label))
	for _, note := range []struct{ class, text string }{{"flow-gain", n.Gain}, {"flow-loss", n.Loss}, {"flow-note", n.Note}} {
		if note.text != "" {
			fmt.Fprintf(b, ` <small class="%s">%s</small>`, note.class, html.EscapeString(note.text))
		}
	}
	fmt.Fprintf(b, `</%s></li>`, name)
}

// class is the mark, or nothing for anything else.
func (m Mark) class() Mark {
	switch m {
	case Added, Removed:
		return m
	}
	return ""
}

// The size of the box between two columns, in units of its own. The style sheet stretches it.
const flowBox = 100.0

// drawEdges draws the curves between a column, whose nodes are counted from first on, and the
// next. The nodes of a column have the same distance.
func drawEdges(b *strings.Builder, edges []Edge, first, left, right int) {
	b.WriteString(`<div class="flow-edges" aria-hidden="true"><svg viewBox="0 0 100 100" preserveAspectRatio="none">`)
	for _, e := range edges {
		if e.From < 0 || e.From >= left || e.To < 0 || e.To >= right {
			continue
		}
		from, to := number(flowBox*(float64(e.From)+0.5)/float64(left)), number(flowBox*(float64(e.To)+0.5)/float64(right))
		path := fmt.Sprintf(`<path d="M0 %sC50 %[1]s 50 %s 100 %[2]s" data-edge="%d %d"`, from, to, first+e.From, first+left+e.To)
		if class := strings.TrimSpace(map[int]string{2: "flow-wide", 3: "flow-widest"}[e.Weight] + " " + e.edgeClass()); class != "" {
			path += ` class="` + class + `"`
		}
		if e.Hover != "" {
			path += `><title>` + html.EscapeString(e.Hover) + `</title></path>`
		} else {
			path += `/>`
		}
		if e.Path != "" {
			path = fmt.Sprintf(`<a href="%s" tabindex="-1">%s</a>`, html.EscapeString(local(e.Path)), path)
		}
		b.WriteString(path)
	}
	b.WriteString(`</svg></div>`)
}

func (e *Edge) edgeClass() string {
	if class := e.Mark.class(); class != "" {
		return "flow-" + string(class)
	}
	return ""
}
