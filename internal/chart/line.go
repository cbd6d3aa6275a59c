// Package chart draws small charts on the server, as accessible SVG without scripts and
// without inline styles: lines over time, and a grid with a square for each thing that can be
// well or unwell.
//
// Colours, sizes and shapes come from the style sheet. Each chart brings its numbers as a
// table for screen readers and for copying.
package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// Point is a value over a span of time that begins at At.
type Point struct {
	At    time.Time
	Value float64
	// Usual is the value of an earlier span to compare with; NaN when it is not known.
	Usual float64
}

// Line is a line over time with the area under it.
type Line struct {
	// ID is unique on the page.
	ID string
	// Title is the heading, such as "Sign-ins by the hour".
	Title string
	// UsualLabel describes Point.Usual, such as "a week ago". Empty draws no second line.
	UsualLabel string
	// Span is the length of time of one point.
	Span time.Duration
	// Points are in the order of time, without gaps.
	Points []Point
	// Format formats a value. Nil formats whole numbers with thousands separators.
	Format func(float64) string
}

// The size of the drawing in its own units. The style sheet sets the size on the page.
const (
	width  = 100.0
	height = 36.0
	// margin keeps the line off the upper edge.
	margin = 3.0
)

// Max is the value at the upper edge of the drawing, never 0.
func (l Line) Max() float64 {
	highest := 0.0
	for _, p := range l.Points {
		highest = max(highest, finite(p.Value))
		if l.UsualLabel != "" {
			highest = max(highest, finite(p.Usual))
		}
	}
	if highest == 0 {
		return 1
	}
	return highest
}

func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return 0
	}
	return v
}

// x and y return the place of a point in the drawing.
func (l Line) x(i int) float64 {
	if len(l.Points) < 2 {
		return 0
	}
	return width * float64(i) / float64(len(l.Points)-1)
}

func (l Line) y(value, highest float64) float64 {
	return height - (height-margin)*finite(value)/highest
}

// path returns coordinates as the attribute "points" takes them.
func (l Line) path(value func(Point) float64) string {
	highest := l.Max()
	var b strings.Builder
	for i, p := range l.Points {
		if v := value(p); !math.IsNaN(v) {
			fmt.Fprintf(&b, "%s,%s ", number(l.x(i)), number(l.y(v, highest)))
		}
	}
	return strings.TrimSuffix(b.String(), " ")
}

// number formats a coordinate with two decimals, which is less than a pixel.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

func (l Line) format(v float64) string {
	if l.Format != nil {
		return l.Format(v)
	}
	return Count(int64(math.Round(v)))
}

// when formats the time span of a point, in UTC.
func (l Line) when(p Point) string {
	if l.Span >= 24*time.Hour {
		return p.At.UTC().Format("Mon 2 Jan")
	}
	return p.At.UTC().Format("Mon 15:04 UTC")
}

// summary describes the line in a sentence.
func (l Line) summary() string {
	if len(l.Points) == 0 {
		return "There are no numbers yet."
	}
	low, high := l.Points[0], l.Points[0]
	for _, p := range l.Points {
		if finite(p.Value) < finite(low.Value) {
			low = p
		}
		if finite(p.Value) > finite(high.Value) {
			high = p
		}
	}
	last := l.Points[len(l.Points)-1]
	return fmt.Sprintf("Lowest %s (%s), highest %s (%s), last %s.", l.format(low.Value), l.when(low), l.format(high.Value), l.when(high), l.format(last.Value))
}

// Draw returns the chart with its table. Texts are escaped.
func (l Line) Draw() template.HTML {
	var b strings.Builder
	id := html.EscapeString(l.ID)
	fmt.Fprintf(&b, `<figure class="chart" id="%[1]s"><svg class="chart-line" role="img" aria-labelledby="%[1]s-title %[1]s-text" viewBox="0 0 %[2]s %[3]s" preserveAspectRatio="none" data-max="%[4]s">`,
		id, number(width), number(height), strconv.FormatFloat(l.Max(), 'g', -1, 64))
	fmt.Fprintf(&b, `<title id="%[1]s-title">%[2]s</title><desc id="%[1]s-text">%[3]s</desc>`, id, html.EscapeString(l.Title), html.EscapeString(l.summary()))
	if len(l.Points) > 0 {
		points := l.path(func(p Point) float64 { return finite(p.Value) })
		fmt.Fprintf(&b, `<polygon class="chart-area" points="0,%[1]s %[2]s %[3]s,%[1]s"/>`, number(height), points, number(l.x(len(l.Points)-1)))
		if usual := l.path(func(p Point) float64 { return p.Usual }); l.UsualLabel != "" && usual != "" {
			fmt.Fprintf(&b, `<polyline class="chart-usual" points="%s" vector-effect="non-scaling-stroke"/>`, usual)
		}
		fmt.Fprintf(&b, `<polyline class="chart-value" points="%s" vector-effect="non-scaling-stroke"/>`, points)
		l.drawHits(&b)
	}
	b.WriteString(`</svg>`)
	l.drawTable(&b)
	b.WriteString(`</figure>`)
	return template.HTML(b.String()) //nolint:gosec // every text in it was escaped
}

// drawHits draws an invisible bar for each point, which shows its numbers on hover.
func (l Line) drawHits(b *strings.Builder) {
	w := width
	if len(l.Points) > 1 {
		w = width / float64(len(l.Points)-1)
	}
	for i, p := range l.Points {
		left := max(l.x(i)-w/2, 0)
		right := min(l.x(i)+w/2, width)
		text := l.when(p) + ": " + l.format(p.Value)
		if l.UsualLabel != "" && !math.IsNaN(p.Usual) {
			text += " (" + l.UsualLabel + " " + l.format(p.Usual) + ")"
		}
		fmt.Fprintf(b, `<rect class="chart-hit" x="%s" y="0" width="%s" height="%s"><title>%s</title></rect>`, number(left), number(right-left), number(height), html.EscapeString(text))
	}
}

func (l Line) drawTable(b *strings.Builder) {
	if len(l.Points) == 0 {
		return
	}
	fmt.Fprintf(b, `<details class="chart-numbers"><summary>Numbers<span class="unseen">: %s</span></summary><table><thead><tr><th scope="col">From (UTC)</th><th scope="col">%s</th>`,
		html.EscapeString(l.Title), "Value")
	if l.UsualLabel != "" {
		fmt.Fprintf(b, `<th scope="col">%s</th>`, html.EscapeString(upperFirst(l.UsualLabel)))
	}
	b.WriteString(`</tr></thead><tbody>`)
	for _, p := range l.Points {
		at := p.At.UTC().Format(time.RFC3339)
		fmt.Fprintf(b, `<tr><th scope="row"><time datetime="%s">%s</time></th><td>%s</td>`, at, html.EscapeString(l.when(p)), html.EscapeString(l.format(p.Value)))
		if l.UsualLabel != "" {
			text := "–"
			if !math.IsNaN(p.Usual) {
				text = l.format(p.Usual)
			}
			fmt.Fprintf(b, `<td>%s</td>`, html.EscapeString(text))
		}
		b.WriteString(`</tr>`)
	}
	b.WriteString(`</tbody></table></details>`)
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Count formats a number with thousands separators, such as "184,020".
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Duration formats a duration for a table, such as "410 ms" or "1.8 s".
func Duration(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(math.Round(float64(d)/float64(time.Millisecond)*10)/10, 'f', -1, 64) + " ms"
	case d < time.Second:
		return strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + " ms"
	}
	return strconv.FormatFloat(math.Round(d.Seconds()*10)/10, 'f', -1, 64) + " s"
}
