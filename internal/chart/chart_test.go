package chart_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/chart"
	"github.com/fairlead-auth/fairlead/internal/chart/charttest"
)

func midnight() time.Time { return time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC) }

// TestALineShowsItsData draws random lines and reads the values back.
func TestALineShowsItsData(t *testing.T) {
	t.Parallel()
	for round := range 200 {
		line := chart.Line{ID: fmt.Sprint("line", round), Title: "Sign-ins", Span: time.Hour, UsualLabel: "a week ago"}
		var rows [][]string
		highest := 0.0
		for i := range rand.N(40) {
			p := chart.Point{At: midnight().Add(time.Duration(i) * time.Hour), Value: float64(rand.N(1 << rand.N(30))), Usual: float64(rand.N(5000))}
			line.Points = append(line.Points, p)
			highest = max(highest, p.Value, p.Usual)
			rows = append(rows, []string{p.At.Format("Mon 15:04 UTC"), chart.Count(int64(p.Value)), chart.Count(int64(p.Usual))})
		}
		drawn, err := charttest.Lines(string(line.Draw()))
		if err != nil || len(drawn) != 1 {
			t.Fatalf("%d lines, error %v", len(drawn), err)
		}
		got := drawn[0]
		if diff := cmp.Diff(rows, got.Rows); diff != "" {
			t.Fatalf("table (-want +got):\n%s", diff)
		}
		if got.ID != line.ID || got.Title != "Sign-ins" || got.Text == "" {
			t.Errorf("labels are %+v", got)
		}
		if len(got.Values) != len(line.Points) || len(got.Usual) != len(line.Points) {
			t.Fatalf("%d and %d values, want %d", len(got.Values), len(got.Usual), len(line.Points))
		}
		for i, p := range line.Points {
			tolerance := highest / 3000 // a hundredth of a unit of the drawing
			if math.Abs(got.Values[i]-p.Value) > tolerance || math.Abs(got.Usual[i]-p.Usual) > tolerance {
				t.Fatalf("point %d is drawn as %v and %v, want %+v", i, got.Values[i], got.Usual[i], p)
			}
		}
	}
}

func TestALineWithGaps(t *testing.T) {
	t.Parallel()
	line := chart.Line{ID: "l", Title: "Latency", Span: 24 * time.Hour, UsualLabel: "30 days before", Points: []chart.Point{
		{At: midnight(), Value: 0.41, Usual: math.NaN()}, {At: midnight().AddDate(0, 0, 1), Value: math.NaN(), Usual: math.Inf(1)},
		{At: midnight().AddDate(0, 0, 2), Value: -3, Usual: 0.2},
	}, Format: func(v float64) string { return chart.Duration(time.Duration(v * float64(time.Second))) }}
	drawn, err := charttest.Lines(string(line.Draw()))
	if err != nil {
		t.Fatal(err)
	}
	if len(drawn[0].Values) != 3 || len(drawn[0].Usual) != 2 || drawn[0].Rows[0][1] != "410 ms" || drawn[0].Rows[0][2] != "–" {
		t.Errorf("drawn as %+v", drawn[0])
	}
	if text := string(line.Draw()); strings.Contains(text, "NaN") || strings.Contains(text, "Inf,") {
		t.Errorf("a place is no number: %s", text)
	}
}

func TestALineWithoutData(t *testing.T) {
	t.Parallel()
	drawn, err := charttest.Lines(string(chart.Line{ID: "l", Title: "Sign-ins"}.Draw()))
	if err != nil || len(drawn) != 1 || drawn[0].Text != "There are no numbers yet." || len(drawn[0].Rows) != 0 {
		t.Errorf("drawn as %+v, error %v", drawn, err)
	}
	one, err := charttest.Lines(string(chart.Line{ID: "l", Title: "Sign-ins", Points: []chart.Point{{At: midnight(), Value: 7}}}.Draw()))
	if err != nil || len(one[0].Values) != 1 || math.Abs(one[0].Values[0]-7) > 0.01 {
		t.Errorf("drawn as %+v, error %v", one, err)
	}
}

const hostile = `"><script>alert(1)</script>' style="x`

func TestTextsAreEscaped(t *testing.T) {
	t.Parallel()
	line := chart.Line{ID: hostile, Title: hostile, UsualLabel: hostile, Points: []chart.Point{{Value: 1}, {Value: 2}}, Format: func(float64) string { return hostile }}
	grid := chart.Grid{Title: hostile, Columns: []string{hostile}, Things: []chart.Thing{{Name: hostile, State: hostile, Cells: []string{hostile}, Path: "javascript:alert(1)"}}}
	for _, text := range []string{string(line.Draw()), string(grid.Draw())} {
		if strings.Contains(text, "<script") || strings.Contains(text, "javascript:") || strings.Contains(text, ` style="`) {
			t.Errorf("not escaped: %s", text)
		}
	}
}

func TestAGridShowsItsThings(t *testing.T) {
	t.Parallel()
	states := []chart.State{chart.OK, chart.Warning, chart.Bad, chart.Off}
	for range 50 {
		grid := chart.Grid{Title: "Clusters", Columns: []string{"Last contact"}, MaxRows: 10}
		var want []charttest.Square
		counts := map[chart.State]int{}
		for i := range rand.N(60) {
			thing := chart.Thing{Name: fmt.Sprint("c", i), State: states[rand.N(4)], Path: fmt.Sprint("/admin/clusters/c", i), Cells: []string{fmt.Sprint(i, " s ago")}}
			grid.Things = append(grid.Things, thing)
			counts[thing.State]++
			want = append(want, charttest.Square{Name: thing.Name, State: string(thing.State), Path: thing.Path})
		}
		text := string(grid.Draw())
		got, err := charttest.Squares(text)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if !strings.Contains(got[i].Hover, fmt.Sprint(i, " s ago")) {
				t.Errorf("hovering over %s says %q", got[i].Name, got[i].Hover)
			}
			got[i].Hover = ""
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("squares (-want +got):\n%s", diff)
		}
		for _, c := range grid.Counts() {
			if counts[c.State] != c.N || c.Word == "" {
				t.Errorf("%d are %s, want %d", c.N, c.State, counts[c.State])
			}
		}
		if rows := strings.Count(text, "<tr>"); len(want) > 0 && rows != 1+min(10, len(want)) {
			t.Errorf("%d rows for %d things", rows, len(want))
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 184020: "184,020", -1234567: "-1,234,567"} {
		if got := chart.Count(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0 ms", 1500 * time.Microsecond: "1.5 ms", 410 * time.Millisecond: "410 ms", 1800 * time.Millisecond: "1.8 s"} {
		if got := chart.Duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
