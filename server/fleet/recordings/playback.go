package recordings

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hinshun/vt10x"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/recording"
)

// Frame is the content of the terminal at one moment.
type Frame struct {
	At            time.Duration
	Width, Height int
	Rows          []Row
}

// Row is a line of a frame, in spans of the same style.
type Row []Span

// Span is text of one style. Class holds its CSS classes.
type Span struct{ Text, Class string }

// Playback is a part of a recording, rendered as frames.
type Playback struct {
	// Frames are the frames from a time on, at most one every frameEvery.
	Frames []Frame
	// Last is the time of the last event.
	Last time.Duration
	// Markers are the markers in the recording, and each first output after idleGap.
	Markers []Marker
}

// Marker is a time to jump to, with a description.
type Marker struct {
	At   time.Duration
	Text string
}

const (
	// frameEvery is the least time between two frames.
	frameEvery = 100 * time.Millisecond
	// idleGap is the pause without output before a marker.
	idleGap = 2 * time.Second
	// maxMarkers bounds the markers of a recording, and maxMarkerText the text of each in characters.
	maxMarkers    = 200
	maxMarkerText = 80
	// maxWidth and maxHeight bound the terminal.
	maxWidth, maxHeight = 500, 200
	// chunk is the number of bytes that are drawn between two looks at the context.
	chunk = 1024
)

// ErrTooMuchWork means that drawing a recording takes more than maxWork.
var ErrTooMuchWork = errs.New(errs.Invalid, "The rest of the recording changes the screen so often that drawing it takes too long. Download the recording, and play it with asciinema.")

// Play renders the frame at a time, and up to count later ones. It stops when the context ends, and after maxWork.
// With an error it returns what it has rendered until then.
func Play(ctx context.Context, text io.Reader, from time.Duration, count int) (Playback, error) {
	return play(ctx, text, &player{from: from, count: count, budget: maxWork})
}

func play(ctx context.Context, text io.Reader, p *player) (Playback, error) {
	header, events, err := recording.Read(text)
	if err != nil {
		return Playback{}, err
	}
	p.start(header)
	for e, broken := range events {
		if err = broken; err == nil {
			err = p.event(ctx, e)
		}
		if err != nil {
			break
		}
	}
	p.advance(p.playback.Last + frameEvery)
	if len(p.playback.Frames) == 0 {
		p.playback.Frames = []Frame{p.frame(p.playback.Last)}
	}
	return p.playback, err
}

// player feeds events to a terminal and collects frames.
type player struct {
	from   time.Duration
	count  int
	budget int
	screen *screen
	// changed is when the screen changed since the last frame, if dirty. last is the time of the last output.
	changed  time.Duration
	dirty    bool
	last     time.Duration
	playback Playback
}

func (p *player) start(header recording.Header) {
	p.last, p.screen = -idleGap, newScreen(limitSize(header.Width, header.Height))
}

func (p *player) event(ctx context.Context, e recording.Event) error {
	p.advance(e.At)
	p.playback.Last = max(p.playback.Last, e.At)
	switch e.Kind {
	case recording.Output:
		if err := p.write(ctx, e.Text); err != nil {
			return err
		}
		if e.At-p.last >= idleGap {
			p.addMarker(e.At, words(e.Text))
		}
		p.last = e.At
	case recording.Resize:
		var width, height int
		if _, err := fmt.Sscanf(e.Text, "%dx%d", &width, &height); err == nil {
			p.screen.resize(limitSize(width, height))
		}
	case recording.Marker:
		p.addMarker(e.At, e.Text)
		return p.mayContinue(ctx)
	default:
		return p.mayContinue(ctx)
	}
	if !p.dirty {
		p.dirty, p.changed = true, e.At
	}
	return p.mayContinue(ctx)
}

// mayContinue returns the reason to stop playing.
func (p *player) mayContinue(ctx context.Context) error {
	if p.screen.work > p.budget {
		return ErrTooMuchWork
	}
	return ctx.Err()
}

// advance stores the frame that ends at now.
func (p *player) advance(now time.Duration) {
	if len(p.playback.Frames) == 0 {
		if now > p.from {
			p.keep(p.from)
		}
		return
	}
	if p.dirty && now-p.changed >= frameEvery {
		p.keep(p.changed)
	}
}

func (p *player) keep(at time.Duration) {
	p.dirty = false
	if len(p.playback.Frames) <= p.count {
		p.playback.Frames = append(p.playback.Frames, p.frame(at))
	}
}

func (p *player) addMarker(at time.Duration, what string) {
	if what != "" && len(p.playback.Markers) < maxMarkers {
		p.playback.Markers = append(p.playback.Markers, Marker{at, kubenames.SanitizeLine(what, maxMarkerText)})
	}
}

// sequences matches terminal control sequences (ECMA-48).
var sequences = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[()][A-Z0-9]|[@-Z\\^_=>78])`)

// words returns the first line of output with visible text.
func words(output string) string {
	for _, line := range strings.FieldsFunc(sequences.ReplaceAllString(output, ""), func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = kubenames.SanitizeLine(line, maxMarkerText); line != "" {
			return line
		}
	}
	return ""
}

// write draws output until there is a reason to stop.
func (p *player) write(ctx context.Context, output string) error {
	for len(output) > 0 {
		if err := p.mayContinue(ctx); err != nil {
			return err
		}
		n := min(len(output), chunk)
		for n < len(output) && !utf8.RuneStart(output[n]) {
			n++
		}
		p.screen.write(output[:n])
		output = output[n:]
	}
	return nil
}

// limitSize bounds the terminal, whatever size the recording claims.
func limitSize(width, height int) (limitedWidth, limitedHeight int) {
	return min(max(width, 1), maxWidth), min(max(height, 1), maxHeight)
}

func (p *player) frame(at time.Duration) Frame {
	width, height := p.screen.terminal.Size()
	s := Frame{At: at, Width: width, Height: height, Rows: make([]Row, height)}
	cursor := p.screen.terminal.Cursor()
	for y := range height {
		var row Row
		for x := range width {
			cell := p.screen.terminal.Cell(x, y)
			class := classesOf(cell)
			if p.screen.terminal.CursorVisible() && cursor.X == x && cursor.Y == y {
				class = "cursor"
			}
			if n := len(row); n > 0 && row[n-1].Class == class {
				row[n-1].Text += visible(cell.Char)
				continue
			}
			row = append(row, Span{visible(cell.Char), class})
		}
		s.Rows[y] = trim(row)
	}
	return s
}

// trim removes invisible spans at the end of a row.
func trim(row Row) Row {
	for n := len(row); n > 0 && row[n-1].Class == ""; n = len(row) {
		if row[n-1].Text = strings.TrimRight(row[n-1].Text, " "); row[n-1].Text != "" {
			break
		}
		row = row[:n-1]
	}
	return row
}

// visible returns a character as a page may show it. Control characters and characters that reverse the writing
// direction are replaced.
func visible(r rune) string {
	switch {
	case r == 0:
		return " "
	case !unicode.IsPrint(r):
		return "\ufffd"
	}
	return string(r)
}

// The mode bits of vt10x, which does not export them.
const (
	reversed   = 1
	underlined = 2
	bold       = 4
)

// classesOf returns the CSS classes of a cell.
func classesOf(cell vt10x.Glyph) string {
	var classes []string
	if cell.Mode&bold != 0 {
		classes = append(classes, "bold")
	}
	if cell.Mode&underlined != 0 {
		classes = append(classes, "under")
	}
	if cell.Mode&reversed != 0 && (cell.FG == vt10x.DefaultBG || cell.BG == vt10x.DefaultFG) {
		return strings.Join(append(classes, "turned"), " ")
	}
	if n, ok := color(cell.FG); ok {
		classes = append(classes, fmt.Sprintf("f%d", n))
	}
	if n, ok := color(cell.BG); ok {
		classes = append(classes, fmt.Sprintf("b%d", n))
	}
	return strings.Join(classes, " ")
}

// color returns the nearest of the 16 colors that have a CSS class.
func color(c vt10x.Color) (nearest int, ok bool) {
	if c >= vt10x.DefaultFG {
		return 0, false
	}
	if c < 16 {
		return int(c), true
	}
	want, best := rgb(int(c)), -1
	for n, known := range palette() {
		distance := 0
		for i := range want {
			distance += (want[i] - known[i]) * (want[i] - known[i])
		}
		if best < 0 || distance < best {
			nearest, best = n, distance
		}
	}
	return nearest, true
}

// rgb returns the color that xterm shows for a color number: of its color cube, a grey, or true color.
func rgb(c int) [3]int {
	level := func(n int) int { return min(n, 1)*55 + n*40 }
	switch {
	case c < 232:
		c -= 16
		return [3]int{level(c / 36), level(c / 6 % 6), level(c % 6)}
	case c < 256:
		grey := 8 + (c-232)*10
		return [3]int{grey, grey, grey}
	}
	return [3]int{c >> 16 & 0xff, c >> 8 & 0xff, c & 0xff}
}

// palette returns xterm's first 16 colors.
func palette() [16][3]int {
	return [16][3]int{
		{0, 0, 0},
		{205, 0, 0},
		{0, 205, 0},
		{205, 205, 0},
		{0, 0, 238},
		{205, 0, 205},
		{0, 205, 205},
		{229, 229, 229},
		{127, 127, 127},
		{255, 0, 0},
		{0, 255, 0},
		{255, 255, 0},
		{92, 92, 255},
		{255, 0, 255},
		{0, 255, 255},
		{255, 255, 255},
	}
}
