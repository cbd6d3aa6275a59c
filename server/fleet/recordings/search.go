package recordings

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/recording"
)

// Search returns markers for the times at which words appear on the screen, at most maxMarkers of them. Case does
// not matter. Words that stay on the screen count once. It stops when the context ends, and after maxWork.
func Search(ctx context.Context, text io.Reader, words string) ([]Marker, error) {
	words = strings.ToLower(strings.TrimSpace(words))
	header, events, err := recording.Read(text)
	if err != nil || words == "" {
		return nil, err
	}
	const never = time.Duration(1<<63 - 1) // so that the player stores no frames: Search reads the terminal as text
	p := player{from: never, budget: maxWork}
	p.start(header)
	var found []Marker
	wasFound := false
	scan := func(at time.Duration) {
		p.dirty = false
		p.screen.spend(searchWork * p.screen.cells())
		line := p.lineWith(words)
		if line != "" && !wasFound && len(found) < maxMarkers {
			found = append(found, Marker{at, kubenames.SanitizeLine(line, maxMarkerText)})
		}
		wasFound = line != ""
	}
	for e, err := range events {
		if p.dirty && e.At-p.changed >= frameEvery {
			scan(p.changed)
		}
		if err == nil {
			err = p.event(ctx, e)
		}
		if err != nil {
			return found, err
		}
	}
	if p.dirty {
		scan(p.changed)
	}
	return found, nil
}

// searchWork is the work for searching a cell.
const searchWork = 20

// lineWith returns the first line of the screen that contains the words, which are in lower case. A line that wraps
// into the next row counts as one line.
func (p *player) lineWith(words string) string {
	width, height := p.screen.terminal.Size()
	var b strings.Builder
	for y := range height {
		last := ""
		for x := range width {
			last = visible(p.screen.terminal.Cell(x, y).Char)
			b.WriteString(last)
		}
		if strings.TrimSpace(last) != "" && y < height-1 {
			continue
		}
		if line := strings.TrimSpace(b.String()); strings.Contains(strings.ToLower(line), words) {
			return line
		}
		b.Reset()
	}
	return ""
}
