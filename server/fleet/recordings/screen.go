package recordings

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/hinshun/vt10x"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/recording"
)

// Screen is what was on a terminal at one moment.
type Screen struct {
	At            time.Duration
	Width, Height int
	Rows          []Row
}

// Row is a line of a screen, in pieces that look the same.
type Row []Piece

// Piece is text and how it looks: classes of the style sheet, or none.
type Piece struct{ Text, Look string }

// Film is what can be seen of a recording.
type Film struct {
	// Screens are those after a moment, at most frameEvery often.
	Screens []Screen
	// Last is the time of the last event.
	Last time.Duration
	// Moments are when something begins to happen after a while in which nothing did.
	Moments []Moment
}

// Moment is a time worth looking at.
type Moment struct {
	At   time.Duration
	What string
}

const (
	// frameEvery bounds how many screens there are.
	frameEvery = 100 * time.Millisecond
	// quiet is how long nothing happens before a moment.
	quiet = 2 * time.Second
	// maxMoments and maxMoment bound them, and the words of each in characters.
	maxMoments = 200
	maxMoment  = 80
	// A terminal is not larger than this, whatever its recording says.
	maxWidth, maxHeight = 500, 200
)

// Play shows what was on the screen: at the moment, and at up to count later ones.
func Play(text io.Reader, from time.Duration, count int) (Film, error) {
	header, events, err := recording.Read(text)
	if err != nil {
		return Film{}, err
	}
	p := player{from: from, count: count, last: -quiet}
	p.resize(header.Width, header.Height)
	for e, err := range events {
		if err != nil {
			return p.film, err
		}
		p.event(e)
	}
	p.advance(p.film.Last + frameEvery)
	if len(p.film.Screens) == 0 {
		p.keep(p.film.Last)
	}
	return p.film, nil
}

// player plays what comes.
type player struct {
	from     time.Duration
	count    int
	terminal vt10x.Terminal
	// changed is when the screen changed, if that is not kept yet; last is when anything was
	// written last.
	changed time.Duration
	dirty   bool
	last    time.Duration
	film    Film
}

func (p *player) event(e recording.Event) {
	p.advance(e.At)
	p.film.Last = max(p.film.Last, e.At)
	switch e.Kind {
	case recording.Output:
		if p.write(e.Text); e.At-p.last >= quiet {
			p.moment(e.At, words(e.Text))
		}
		p.last = e.At
	case recording.Resize:
		var width, height int
		if _, err := fmt.Sscanf(e.Text, "%dx%d", &width, &height); err == nil {
			p.resize(width, height)
		}
	case recording.Marker:
		p.moment(e.At, e.Text)
		return
	default:
		return
	}
	if !p.dirty {
		p.dirty, p.changed = true, e.At
	}
}

// advance keeps what the screen showed before now.
func (p *player) advance(now time.Duration) {
	if len(p.film.Screens) == 0 {
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
	if len(p.film.Screens) <= p.count {
		p.film.Screens = append(p.film.Screens, p.screen(at))
	}
}

func (p *player) moment(at time.Duration, what string) {
	if what != "" && len(p.film.Moments) < maxMoments {
		p.film.Moments = append(p.film.Moments, Moment{at, kubenames.SanitizeLine(what, maxMoment)})
	}
}

// sequences are those that terminals understand (ECMA-48).
var sequences = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[()][A-Z0-9]|[@-Z\\^_=>78])`)

// words are the first line that says something.
func words(output string) string {
	for _, line := range strings.FieldsFunc(sequences.ReplaceAllString(output, ""), func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = kubenames.SanitizeLine(line, maxMoment); line != "" {
			return line
		}
	}
	return ""
}

// write shows text. What the terminal does not cope with begins on an empty one.
func (p *player) write(text string) {
	defer func() {
		if recover() != nil {
			width, height := p.terminal.Size()
			p.terminal = vt10x.New(vt10x.WithSize(width, height))
		}
	}()
	_, _ = p.terminal.Write([]byte(text)) // it takes all
}

func (p *player) resize(width, height int) {
	width, height = min(max(width, 1), maxWidth), min(max(height, 1), maxHeight)
	defer func() {
		if recover() != nil {
			p.terminal = vt10x.New(vt10x.WithSize(width, height))
		}
	}()
	if p.terminal == nil {
		p.terminal = vt10x.New(vt10x.WithSize(width, height))
	}
	p.terminal.Resize(width, height)
}

func (p *player) screen(at time.Duration) Screen {
	width, height := p.terminal.Size()
	s := Screen{At: at, Width: width, Height: height, Rows: make([]Row, height)}
	cursor := p.terminal.Cursor()
	for y := range height {
		var row Row
		for x := range width {
			cell := p.terminal.Cell(x, y)
			how := look(cell)
			if p.terminal.CursorVisible() && cursor.X == x && cursor.Y == y {
				how = "cursor"
			}
			if n := len(row); n > 0 && row[n-1].Look == how {
				row[n-1].Text += visible(cell.Char)
				continue
			}
			row = append(row, Piece{visible(cell.Char), how})
		}
		s.Rows[y] = trim(row)
	}
	return s
}

// trim leaves out what nobody sees at the end of a line.
func trim(row Row) Row {
	for n := len(row); n > 0 && row[n-1].Look == ""; n = len(row) {
		if row[n-1].Text = strings.TrimRight(row[n-1].Text, " "); row[n-1].Text != "" {
			break
		}
		row = row[:n-1]
	}
	return row
}

// visible is a character as it may stand in a page: none that turns others around.
func visible(r rune) string {
	switch {
	case r == 0:
		return " "
	case !unicode.IsPrint(r):
		return "\ufffd"
	}
	return string(r)
}

// As vt10x counts them, which does not export them.
const (
	reversed   = 1
	underlined = 2
	bold       = 4
)

// look is how a cell looks, in classes.
func look(cell vt10x.Glyph) string {
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

// color is the nearest of the sixteen that style sheets have a class for.
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

// rgb is the color that xterm shows: of its cube, its greys, or as it was given.
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

// palette is what xterm shows for the sixteen.
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
