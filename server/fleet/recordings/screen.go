package recordings

import (
	"strconv"
	"strings"

	"github.com/hinshun/vt10x"
)

// screen is a terminal emulator for hostile output. It gives vt10x only complete control sequences (ECMA-48) that
// vt10x knows, with parameters in the range that a terminal has. vt10x itself loops as often as a parameter says.
type screen struct {
	terminal vt10x.Terminal
	state    func(*screen, byte)
	// text waits to be written. sequence holds the parameters of a control sequence, or the first byte of an escape
	// sequence of two.
	text, sequence []byte
	// work is the work until now, about in nanoseconds. It does not depend on how busy the computer is.
	work int
}

const (
	// maxWork bounds the work for one recording. Output that people read needs less: these are ten million lines.
	maxWork = 10_000_000_000
	// byteWork is the work for a byte of output, and cellWork for a cell that a sequence changes.
	byteWork, cellWork = 40, 16
)

const (
	escape, bell, cancel, substitute = 0x1b, 0x07, 0x18, 0x1a
	// maxSequence bounds the parameters of a control sequence, in bytes.
	maxSequence = 256
	// maxMode is more than the number of any terminal mode or color.
	maxMode = 9999
	// counted are the control sequences whose parameters count or number cells.
	counted = "@ABCDEFGHILMPSTXZ`adef"
)

func newScreen(width, height int) *screen {
	return &screen{terminal: vt10x.New(vt10x.WithSize(width, height)), state: (*screen).ground}
}

// write draws output. Its end may be inside a control sequence, but not inside a character.
func (s *screen) write(output string) {
	width, height := s.terminal.Size()
	s.spend(len(output) * (byteWork + height/width)) // at the end of a line, the screen scrolls
	for i := range len(output) {
		s.state(s, output[i])
	}
	s.flush()
}

func (s *screen) spend(work int) { s.work += work }

// cells returns the number of cells.
func (s *screen) cells() int {
	width, height := s.terminal.Size()
	return width * height
}

// flush draws the text that waits. If it crashes vt10x, an empty terminal continues.
func (s *screen) flush() {
	defer func() {
		s.text = s.text[:0]
		if recover() != nil {
			s.terminal = vt10x.New(vt10x.WithSize(s.terminal.Size()))
		}
	}()
	_, _ = s.terminal.Write(s.text) // it never fails
}

// resize changes the size. If that crashes vt10x, an empty terminal continues.
func (s *screen) resize(width, height int) {
	defer func() {
		if recover() != nil {
			s.terminal = vt10x.New(vt10x.WithSize(width, height))
		}
	}()
	s.terminal.Resize(width, height)
	s.spend(2 * cellWork * s.cells())
}

func (s *screen) ground(b byte) {
	if b == escape {
		s.begin()
		return
	}
	s.put(b)
}

// put adds a character to the text.
func (s *screen) put(b byte) {
	if b >= '\n' && b <= '\f' {
		width, height := s.terminal.Size()
		s.spend(cellWork/2*width + height) // it may scroll the screen
	}
	s.text = append(s.text, b)
}

// begin starts an escape sequence, wherever the one before has stopped.
func (s *screen) begin() { s.sequence, s.state = s.sequence[:0], (*screen).escaped }

// escaped reads the byte after an escape.
func (s *screen) escaped(b byte) {
	switch {
	case s.control(b):
	case b == '[':
		s.state = (*screen).parameters
	case strings.IndexByte("]P_^Xk", b) >= 0:
		s.state = (*screen).ignored
	case b <= '/':
		s.sequence, s.state = append(s.sequence, b), (*screen).designated
	default:
		s.spendFor("DEMc", b)
		s.text, s.state = append(s.text, escape, b), (*screen).ground
	}
}

// spendFor counts the work for a sequence: for the whole screen if it is one of these, else for a line.
func (s *screen) spendFor(whole string, final byte) {
	if strings.IndexByte(whole, final) >= 0 {
		s.spend(cellWork * s.cells())
		return
	}
	width, _ := s.terminal.Size()
	s.spend(cellWork * width)
}

// designated reads the last byte of an escape sequence of two. vt10x knows the line drawing characters and the
// alignment test.
func (s *screen) designated(b byte) {
	if s.control(b) {
		return
	}
	s.state = (*screen).ground
	if first := s.sequence[0]; first == '(' || first == '#' {
		s.spendFor("8", b)
		s.text = append(s.text, escape, first, b)
	}
}

// ignored reads a string, such as a title, that is not shown.
func (s *screen) ignored(b byte) {
	switch b {
	case escape:
		s.begin() // a backslash ends the string, any other byte begins the next sequence
	case bell, cancel, substitute:
		s.state = (*screen).ground
	}
}

// parameters reads the parameters of a control sequence, and its final byte.
func (s *screen) parameters(b byte) {
	switch {
	case s.control(b):
	case b < '@':
		s.sequence = append(s.sequence[:min(len(s.sequence), maxSequence)], b)
	default:
		s.state = (*screen).ground
		s.flush()
		if text, ok := s.limit(string(s.sequence), b); ok {
			s.spendFor("JLMSThl", b)
			s.text = append(append(append(s.text, escape, '['), text...), b)
		}
	}
}

// control handles a control character inside a sequence: the terminal obeys it at once.
func (s *screen) control(b byte) bool {
	switch {
	case b == escape:
		s.begin()
	case b == cancel || b == substitute:
		s.state = (*screen).ground
	case b < ' ' || b == 0x7f:
		s.put(b)
	default:
		return false
	}
	return true
}

// limit returns parameters in the range of the terminal. It refuses those of private sequences that vt10x takes for
// others.
func (s *screen) limit(parameters string, final byte) (limited string, ok bool) {
	if len(parameters) > maxSequence {
		return "", false
	}
	private := strings.HasPrefix(parameters, "?") && (final == 'h' || final == 'l')
	numbers := strings.Split(strings.TrimPrefix(parameters, "?"), ";")
	if parameters == "" || !private && strings.HasPrefix(parameters, "?") {
		return "", parameters == ""
	}
	for i, text := range numbers {
		n, err := strconv.ParseUint(text, 10, 64)
		if text != "" && err != nil && n == 0 {
			return "", false // not a number; a number out of range is the largest
		}
		numbers[i] = strconv.FormatUint(min(n, maxMode), 10)
		if strings.IndexByte(counted, final) >= 0 {
			numbers[i] = strconv.Itoa(min(max(int(min(n, maxMode)), 1), s.most(final)))
		}
	}
	limited = strings.Join(numbers, ";")
	if private {
		limited = "?" + limited
	}
	return limited, true
}

// most returns the largest parameter of a control sequence that counts or numbers cells.
func (s *screen) most(final byte) int {
	width, height := s.terminal.Size()
	if final == 'P' { // vt10x can't delete more characters than there are
		return width - s.terminal.Cursor().X
	}
	return max(width, height)
}
