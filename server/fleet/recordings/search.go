package recordings

import (
	"io"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/recording"
)

// Search returns the moments at which words appear on the screen, at most maxMoments of them.
// Upper and lower case are the same. Words that stay on the screen count once.
func Search(text io.Reader, words string) ([]Moment, error) {
	words = strings.ToLower(strings.TrimSpace(words))
	header, events, err := recording.Read(text)
	if err != nil || words == "" {
		return nil, err
	}
	const never = time.Duration(1<<63 - 1) // no screen is kept: the terminal is read as text
	p := player{from: never}
	p.resize(header.Width, header.Height)
	var found []Moment
	there := false
	look := func(at time.Duration) {
		p.dirty = false
		line := p.lineWith(words)
		if line != "" && !there && len(found) < maxMoments {
			found = append(found, Moment{at, kubenames.SanitizeLine(line, maxMoment)})
		}
		there = line != ""
	}
	for e, err := range events {
		if err != nil {
			return found, err
		}
		if p.dirty && e.At-p.changed >= frameEvery {
			look(p.changed)
		}
		p.event(e)
	}
	if p.dirty {
		look(p.changed)
	}
	return found, nil
}

// lineWith returns the first line of the screen that has the words, which are in lower case. A
// line that goes on in the next row is one line.
func (p *player) lineWith(words string) string {
	width, height := p.terminal.Size()
	var b strings.Builder
	for y := range height {
		last := ""
		for x := range width {
			last = visible(p.terminal.Cell(x, y).Char)
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
