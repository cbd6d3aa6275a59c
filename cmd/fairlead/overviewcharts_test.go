package main

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/chart/charttest"
	"github.com/fairlead-auth/fairlead/server/base/latency"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// The conditions of the events that the tiles count, in SQL. They repeat what the overview promises and use
// nothing of its code.
const (
	signInsAre  = "name = 'sign_in.succeeded'"
	renewalsAre = "name = 'token.issued' AND reason = 'refresh_token'"
	refusalsAre = `name IN ('access.refused', 'admin.refused', 'authorization.refused', 'device_code.refused', 'factor.refused', 'link.refused', 'proxy.denied',
'proxy.not_enrolled', 'proxy.refused', 'proxy.report_refused', 'recovery.failed', 'sign_in.failed', 'sign_in.refused', 'sign_out.refused', 'token.refused',
'token.replayed', 'upstream.refused', 'workload.refused')`
)

// history is how far random events lie back: the overview compares 30 days with the 30 days before.
const history = 65 * 24 * time.Hour

// randomHistory returns events with random names, times, connectors and clusters. Many lie within a millisecond
// of the border of an hour or a day, and some at the borders of what the overview shows.
func randomHistory(now time.Time, n int) []audit.Event {
	names := append(audit.Names(), audit.SignInSucceeded, audit.SignInSucceeded, audit.TokenIssued, audit.TokenIssued, audit.SignInFailed)
	steps := []time.Duration{time.Hour, 24 * time.Hour, 0}
	near := func(at time.Time, step time.Duration) time.Time {
		return at.UTC().Truncate(step).Add(time.Duration(rand.N(3)-1) * time.Millisecond)
	}
	var events []audit.Event
	for range n {
		at := now.Add(-rand.N([]time.Duration{26 * time.Hour, 9 * 24 * time.Hour, history}[rand.N(3)]))
		if step := steps[rand.N(3)]; step > 0 {
			at = near(at, step)
		}
		events = append(events, audit.Event{
			Name: names[rand.N(len(names))], Time: at, Reason: []string{"refresh_token", "authorization_code", "not_found", ""}[rand.N(4)],
			ConnectorID: []string{"corp", "github", ""}[rand.N(3)], ClusterID: []string{"prod", "dev", ""}[rand.N(3)],
		})
	}
	for _, days := range []int{1, 6, 7, 8, 29, 30, 59, 60} {
		for _, name := range []audit.Name{audit.SignInSucceeded, audit.TokenIssued, audit.AccessRefused} {
			at := now.AddDate(0, 0, -days)
			events = append(events, audit.Event{Name: name, Reason: "refresh_token", Time: near(at, time.Hour)}, audit.Event{Name: name, Reason: "refresh_token", Time: near(at, 24*time.Hour)})
		}
	}
	return events
}

// write stores events over several connections at once, as replicas do.
func (s *station) write(events []audit.Event) {
	s.t.Helper()
	rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	var wg sync.WaitGroup
	for part := range slices.Chunk(events, len(events)/4+1) {
		wg.Go(func() {
			if err := s.store.WriteEvents(s.t.Context(), part); err != nil {
				s.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// randomLatencies returns measurements of the token endpoint and of a connector.
func randomLatencies(now time.Time) []store.Latency {
	var list []store.Latency
	for range 60 {
		bound := latency.Bounds()[rand.N(len(latency.Bounds()))]
		list = append(list, store.Latency{
			Subject: []string{store.SubjectToken, store.ConnectorSubject("corp")}[rand.N(2)], Hour: store.At(now.Add(-rand.N(9 * 24 * time.Hour)).UTC().Truncate(time.Hour)),
			Took: bound.Microseconds(), Answers: rand.N(int64(20)) + 1,
		})
	}
	return list
}

// drawnOverview is the page of the overview as an admin reads it.
type drawnOverview struct {
	page  *goquery.Document
	lines map[string]charttest.Line
	// from and step divide the time into points.
	from time.Time
	step time.Duration
	now  time.Time
}

// overviewOf asks for the page, again if an hour ends in between.
func (s *station) overviewOf(cookie, query string, step time.Duration) *drawnOverview {
	s.t.Helper()
	for {
		now := time.Now()
		text := s.ask(http.MethodGet, "/admin"+query, cookie, "", "same-origin").Body.String()
		if !time.Now().Truncate(time.Hour).Equal(now.Truncate(time.Hour)) {
			continue
		}
		page, err := goquery.NewDocumentFromReader(strings.NewReader(text))
		if err != nil {
			s.t.Fatal(err)
		}
		if strings.Contains(text, "=\"%e2") { // html/template takes data-icon for an address
			s.t.Fatal("a sign is encoded as an address")
		}
		list, err := charttest.Lines(text)
		if err != nil || len(list) != 4 {
			s.t.Fatalf("%d charts, error %v", len(list), err)
		}
		drawn := &drawnOverview{page: page, lines: map[string]charttest.Line{}, step: step, now: now}
		for _, line := range list {
			drawn.lines[line.ID] = line
		}
		points := map[time.Duration]int{time.Hour: 24, 24 * time.Hour: 30}[step]
		drawn.from = now.UTC().Truncate(step).Add(-time.Duration(points-1) * step)
		return drawn
	}
}

// counted asks the audit table for the events of each of the points that start at a time.
func counted(t *testing.T, db *sql.DB, condition string, from time.Time, step time.Duration, points int) []int64 {
	t.Helper()
	begin, length := from.UnixMilli(), step.Milliseconds()
	query := fmt.Sprintf("SELECT (time - %d) / %d, COUNT(*) FROM audit_events WHERE %s AND time >= %d AND time < %d GROUP BY 1", begin, length, condition, begin, begin+int64(points)*length)
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]int64, points)
	for rows.Next() {
		var point, n int64
		if err := rows.Scan(&point, &n); err != nil {
			t.Fatal(err)
		}
		counts[point] = n
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	return counts
}

// numberIn reads a number with thousands separators.
func numberIn(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.ReplaceAll(text, ",", ""), 10, 64)
	if err != nil {
		t.Fatalf("%q is not a number", text)
	}
	return n
}

// compare holds one tile against the audit table: its number, its table, its drawing and its comparison.
func (d *drawnOverview) compare(t *testing.T, db *sql.DB, id, condition string) {
	t.Helper()
	line := d.lines["chart-"+id]
	back := map[time.Duration]time.Duration{time.Hour: 7 * 24 * time.Hour, 24 * time.Hour: 30 * 24 * time.Hour}[d.step]
	now, before := counted(t, db, condition, d.from, d.step, len(line.Rows)), counted(t, db, condition, d.from.Add(-back), d.step, len(line.Rows))
	var total int64
	usual := 0.0
	for i, row := range line.Rows {
		at := d.from.Add(time.Duration(i) * d.step)
		if want := at.Format(time.RFC3339); line.Times[i] != want {
			t.Fatalf("%s: row %d begins at %s, want %s", id, i, line.Times[i], want)
		}
		if numberIn(t, row[1]) != now[i] || numberIn(t, row[2]) != before[i] {
			t.Errorf("%s: the row of %s says %s and %s, the audit table %d and %d", id, line.Times[i], row[1], row[2], now[i], before[i])
		}
		total += now[i]
		usual += float64(before[i]) * min(1, float64(d.now.Sub(at))/float64(d.step))
	}
	tile := d.page.Find("section.tile").Has("#" + line.ID)
	if got := numberIn(t, tile.Find(".tile-number").Text()); got != total {
		t.Errorf("%s: the tile says %d, the audit table %d", id, got, total)
	}
	if got := tile.Find(".tile-change").Text(); !says(got, float64(total), usual) {
		t.Errorf("%s: the tile says %q, the audit table %d after %.2f", id, got, total, usual)
	}
}

// says reports whether a text compares two numbers rightly, rounded to a whole percent.
func says(text string, now, before float64) bool {
	switch {
	case before == 0:
		return strings.HasPrefix(text, "none before")
	case math.Abs(now/before-1) < 0.006 && text == "as much as before":
		return true
	}
	word, _, _ := strings.Cut(text, " ")
	value, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return false
	}
	switch {
	case strings.Contains(text, "× as much"):
		return math.Abs(value-now/before) < 0.06
	case strings.Contains(text, "% more"):
		return math.Abs(value-100*(now/before-1)) < 1.01
	}
	return strings.Contains(text, "% less") && math.Abs(value-100*(1-now/before)) < 1.01
}

// agree holds the drawing of a line, its texts and its table against each other.
func agree(t *testing.T, line charttest.Line, read func(string) float64) {
	t.Helper()
	highest := 0.0
	for _, row := range line.Rows {
		highest = max(highest, read(row[1]), read(row[2]))
	}
	if len(line.Rows) != len(line.Values) || len(line.Rows) != len(line.Hovers) || len(line.Rows) != len(line.Times) {
		t.Fatalf("%s: %d rows, %d points, %d texts", line.ID, len(line.Rows), len(line.Values), len(line.Hovers))
	}
	usual := line.Usual
	for i, row := range line.Rows {
		// The drawing has two decimals, and a table of latencies about two digits.
		near := func(drawn, said float64) bool { return math.Abs(drawn-said) <= highest/3000+said/20 }
		if !near(line.Values[i], read(row[1])) {
			t.Errorf("%s: point %d is drawn as %v, its row says %s", line.ID, i, line.Values[i], row[1])
		}
		hover := row[0] + ": " + row[1]
		if row[2] != "–" {
			if len(usual) == 0 || !near(usual[0], read(row[2])) {
				t.Fatalf("%s: point %d of the time before is drawn as %v, its row says %s", line.ID, i, usual, row[2])
			}
			usual = usual[1:]
			hover += " (" + map[bool]string{true: "a week ago", false: "30 days before"}[len(line.Rows) == 24] + " " + row[2] + ")"
		}
		if line.Hovers[i] != hover {
			t.Errorf("%s: point %d says %q, its row %q", line.ID, i, line.Hovers[i], hover)
		}
	}
	if last := line.Rows[len(line.Rows)-1][1]; !strings.HasSuffix(line.Text, ", last "+last+".") || len(usual) > 0 {
		t.Errorf("%s: summed up as %q, the last row says %s; %d points have no row", line.ID, line.Text, last, len(usual))
	}
}

// whole reads a count; latencySeconds reads a latency.
func whole(text string) float64 {
	n, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
	if err != nil {
		return math.NaN()
	}
	return n
}

func latencySeconds(text string) float64 {
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		return 0 // a dash
	}
	return d.Seconds()
}

// TestTheOverviewDrawsTheAuditTable builds random histories, reads the numbers off the drawn page, and counts the
// same events in the audit table: before and after the counters are compacted, on both databases.
func TestTheOverviewDrawsTheAuditTable(t *testing.T) {
	t.Parallel()
	for name, postgres := range map[string]bool{"sqlite": false, "postgres": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drawHistories(t, postgres)
		})
	}
}

func drawHistories(t *testing.T, postgres bool) {
	t.Helper()
	settings, driver, dsn := databaseSettings(t, postgres)
	s := newStationOf(t, newOperatorOn(t, settings))
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	_, cookie := s.person("break-glass", "root", time.Now().Add(time.Hour))
	for range 2 {
		s.write(randomHistory(time.Now(), 300))
		if err := s.store.AddLatencies(t.Context(), randomLatencies(time.Now())); err != nil {
			t.Fatal(err)
		}
		s.compareOverviews(t, db, cookie)
		for more := true; more; {
			if more, err = s.store.Compact(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		s.compareOverviews(t, db, cookie)
	}
}

// compareOverviews reads the pages of both spans of time.
func (s *station) compareOverviews(t *testing.T, db *sql.DB, cookie string) {
	t.Helper()
	for query, step := range map[string]time.Duration{"": time.Hour, "?days=30": 24 * time.Hour} {
		drawn := s.overviewOf(cookie, query, step)
		for id, condition := range map[string]string{"sign-ins": signInsAre, "renewals": renewalsAre, "refusals": refusalsAre} {
			drawn.compare(t, db, id, condition)
			agree(t, drawn.lines["chart-"+id], whole)
		}
		agree(t, drawn.lines["chart-latency"], latencySeconds)
	}
}
