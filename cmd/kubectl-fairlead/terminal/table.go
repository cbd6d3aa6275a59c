package terminal

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Column describes a column of a table.
type Column struct {
	Title string
	// Right aligns the column to the right, for numbers and durations.
	Right bool
	// Fixed columns are never shortened, because users copy their values.
	Fixed bool
	// Optional columns are left out if the terminal is too narrow.
	Optional bool
	// Min is the width to which the column is shortened at most; 0 is 8.
	Min int
}

const (
	gap      = "   "
	ellipsis = "…"
	// defaultMin is the default of Column.Min.
	defaultMin = 8
)

// Table writes rows of cells below the titles of their columns. On a terminal it leaves out
// optional columns and shortens cells with "…", until the lines fit.
func (o *Output) Table(columns []Column, rows [][]string) error {
	t := layout{columns: columns, widths: make([]int, len(columns)), hidden: make([]bool, len(columns))}
	for i, c := range columns {
		t.widths[i] = textWidth(c.Title)
		for _, row := range rows {
			t.widths[i] = max(t.widths[i], textWidth(oneLine(row[i])))
		}
	}
	if o.width > 0 {
		t.fit(o.width)
	}
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.Title
	}
	if _, err := fmt.Fprintln(o, o.Dim(t.line(titles))); err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(o, t.line(row)); err != nil {
			return err
		}
	}
	return nil
}

// min is the smallest width of a column whose cells have a width.
func (c Column) min(width int) int {
	if c.Fixed {
		return width
	}
	return min(width, max(c.Min, defaultMin))
}

// layout is the width of each column.
type layout struct {
	columns []Column
	widths  []int
	hidden  []bool
}

// fit hides optional columns and shortens others until the lines fit into a width.
func (t *layout) fit(limit int) {
	for i := len(t.columns) - 1; i >= 0 && t.minWidth() > limit; i-- {
		t.hidden[i] = t.columns[i].Optional
	}
	for t.lineWidth(t.widths) > limit {
		widest := -1
		for i, c := range t.columns {
			if !t.hidden[i] && t.widths[i] > c.min(t.widths[i]) && (widest < 0 || t.widths[i] > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		t.widths[widest]--
	}
}

// minWidth is the width of a line with every column as short as possible.
func (t *layout) minWidth() int {
	widths := make([]int, len(t.widths))
	for i, w := range t.widths {
		widths[i] = t.columns[i].min(w)
	}
	return t.lineWidth(widths)
}

func (t *layout) lineWidth(widths []int) int {
	sum := -len(gap)
	for i, w := range widths {
		if !t.hidden[i] {
			sum += w + len(gap)
		}
	}
	return sum
}

func (t *layout) line(cells []string) string {
	var parts []string
	for i, cell := range cells {
		if t.hidden[i] {
			continue
		}
		cell = shorten(oneLine(cell), t.widths[i])
		padding := strings.Repeat(" ", t.widths[i]-textWidth(cell))
		if t.columns[i].Right {
			parts = append(parts, padding+cell)
		} else {
			parts = append(parts, cell+padding)
		}
	}
	return strings.TrimRight(strings.Join(parts, gap), " ")
}

func oneLine(cell string) string { return strings.ReplaceAll(Clean(cell), "\n", " ") }

// shorten cuts text to a width and ends it with "…".
func shorten(text string, limit int) string {
	if textWidth(text) <= limit {
		return text
	}
	var out strings.Builder
	used := textWidth(ellipsis)
	for _, r := range text {
		if used += runeWidth(r); used > limit {
			break
		}
		out.WriteRune(r)
	}
	return out.String() + ellipsis
}

// textWidth is the number of columns that a terminal needs for text.
func textWidth(text string) int {
	sum := 0
	for _, r := range text {
		sum += runeWidth(r)
	}
	return sum
}

// runeWidth is 0 for combining characters, 2 for East Asian wide ones, and 1 for others.
func runeWidth(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
