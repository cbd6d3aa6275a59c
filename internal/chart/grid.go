package chart

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// State is the state of a square in a Grid.
type State string

// The states. Each has a shape as well as a colour.
const (
	OK      State = "ok"
	Warning State = "warn"
	Bad     State = "bad"
	// Off means disabled or unknown.
	Off State = "off"
)

// word returns the state as text, for readers who cannot see color and shape.
func (s State) word() string {
	switch s {
	case OK:
		return "works"
	case Warning:
		return "needs attention"
	case Bad:
		return "does not work"
	case Off:
	}
	return "not known"
}

// Thing is one square of a grid.
type Thing struct {
	// Name is the thing's name.
	Name  string
	State State
	// Cells are the texts of the table's columns, one for each of Grid.Columns.
	Cells []string
	// Path is the thing's page.
	Path string
}

// Grid draws a square for each thing.
type Grid struct {
	// Title is the heading, such as "Clusters".
	Title string
	// Columns are the headings of the table after name and state.
	Columns []string
	Things  []Thing
	// MaxRows bounds the rows of the table. Zero means no limit. Things with a problem come first.
	MaxRows int
}

// Counts returns the number of things in each state, in the order OK, Warning, Bad, Off. It leaves out empty
// states.
func (g Grid) Counts() []StateCount {
	var list []StateCount
	for _, state := range []State{OK, Warning, Bad, Off} {
		n := 0
		for _, t := range g.Things {
			if t.State == state {
				n++
			}
		}
		if n > 0 {
			list = append(list, StateCount{state, state.word(), n})
		}
	}
	return list
}

// StateCount is the number of things in a state.
type StateCount struct {
	State State
	Word  string
	N     int
}

// Draw returns the squares, each a link to its thing, and the table. Texts are escaped.
func (g Grid) Draw() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<ul class="health" aria-label="%s">`, html.EscapeString(g.Title))
	for _, t := range g.Things {
		text := t.Name + ": " + t.State.word()
		for i, cell := range t.Cells {
			if i < len(g.Columns) && cell != "" {
				text += ". " + g.Columns[i] + ": " + cell
			}
		}
		fmt.Fprintf(&b, `<li><a class="health-square health-%s" href="%s" title="%s"><span class="unseen">%s</span></a></li>`,
			class(t.State), html.EscapeString(local(t.Path)), html.EscapeString(text), html.EscapeString(t.Name+": "+t.State.word()))
	}
	b.WriteString(`</ul>`)
	g.drawTable(&b)
	return template.HTML(b.String()) //nolint:gosec // every text in it was escaped
}

// class returns the CSS class of a state.
func class(s State) State {
	switch s {
	case OK, Warning, Bad:
		return s
	case Off:
	}
	return Off
}

// local returns path, or "/" if path leads to another host.
func local(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return "/"
	}
	return path
}

func (g Grid) drawTable(b *strings.Builder) {
	if len(g.Things) == 0 {
		return
	}
	b.WriteString(`<details class="chart-numbers"><summary>Table<span class="unseen">: ` + html.EscapeString(g.Title) + `</span></summary><table><thead><tr><th scope="col">Name</th><th scope="col">State</th>`)
	for _, c := range g.Columns {
		fmt.Fprintf(b, `<th scope="col">%s</th>`, html.EscapeString(c))
	}
	b.WriteString(`</tr></thead><tbody>`)
	rows := 0
	for _, state := range []State{Bad, Warning, Off, OK} {
		for _, t := range g.Things {
			if class(t.State) != state || g.MaxRows > 0 && rows == g.MaxRows {
				continue
			}
			rows++
			fmt.Fprintf(b, `<tr><th scope="row"><a href="%s">%s</a></th><td>%s</td>`, html.EscapeString(local(t.Path)), html.EscapeString(t.Name), html.EscapeString(t.State.word()))
			for i := range g.Columns {
				cell := ""
				if i < len(t.Cells) {
					cell = t.Cells[i]
				}
				fmt.Fprintf(b, `<td>%s</td>`, html.EscapeString(cell))
			}
			b.WriteString(`</tr>`)
		}
	}
	b.WriteString(`</tbody></table>`)
	if left := len(g.Things) - rows; left > 0 {
		fmt.Fprintf(b, `<p class="muted">%s more are not listed here.</p>`, Count(int64(left)))
	}
	b.WriteString(`</details>`)
}
