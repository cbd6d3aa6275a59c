// Package terminal formats output for people: colours, tables that fit the width of the
// terminal, and progress messages. Output that is not a terminal gets plain text, in full
// width and without progress. So does a terminal if NO_COLOR is set, apart from the width.
package terminal

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// Output writes to a terminal, a file or a pipe.
type Output struct {
	io.Writer
	width int
	fancy bool
}

// New returns the output for w. It reads NO_COLOR (https://no-color.org) and TERM from the
// environment.
func New(w io.Writer, getenv func(string) string) *Output {
	o := &Output{Writer: w}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return o
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil {
		o.width = width
	}
	o.fancy = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && enableEscapes(file)
	return o
}

// IsTerminal reports whether r or w is a terminal.
func IsTerminal(rw any) bool {
	file, ok := rw.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Width returns the width of the terminal in columns, or 0 for other output.
func (o *Output) Width() int { return o.width }

// Escape sequences (ECMA-48).
const (
	reset     = "\x1b[0m"
	bold      = "\x1b[1m"
	dim       = "\x1b[2m"
	red       = "\x1b[31m"
	green     = "\x1b[32m"
	yellow    = "\x1b[33m"
	clearLine = "\r\x1b[K"
)

func (o *Output) styled(style, text string) string {
	if !o.fancy || text == "" {
		return text
	}
	return style + text + reset
}

// Bold returns the text in bold.
func (o *Output) Bold(text string) string { return o.styled(bold, text) }

// Dim returns the text in a weaker colour, for what matters less.
func (o *Output) Dim(text string) string { return o.styled(dim, text) }

// Good returns the text in green.
func (o *Output) Good(text string) string { return o.styled(green, text) }

// Bad returns the text in red.
func (o *Output) Bad(text string) string { return o.styled(red, text) }

// Warning returns the text in yellow.
func (o *Output) Warning(text string) string { return o.styled(yellow, text) }

// Clean replaces control characters in text from the server, so that it can't send escape
// sequences to the terminal. Line breaks stay.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return '\uFFFD'
		}
		return r
	}, text)
}
