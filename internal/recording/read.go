package recording

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// maxLine is the longest line, in bytes.
const maxLine = 4 << 20

// Event is a line after the first.
type Event struct {
	// At is the time since the beginning.
	At         time.Duration
	Kind, Text string
}

// Read reads a recording, whatever was done to it: its first line, and then its events,
// until one can't be read. Lines that are no events are left out.
func Read(file io.Reader) (header Header, events iter.Seq2[Event, error], err error) {
	lines := scan(file)
	if !lines.Scan() {
		return header, nil, errors.Join(errors.New("reading recording: it is empty"), lines.Err())
	}
	if err := header.parse(lines.Bytes()); err != nil {
		return header, nil, err
	}
	return header, func(yield func(Event, error) bool) {
		for lines.Scan() {
			if e, ok := parse(lines.Bytes()); ok && !yield(e, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Event{}, fmt.Errorf("reading recording: %w", err))
		}
	}, nil
}

func scan(file io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	return lines
}

func (h *Header) parse(line []byte) error {
	if err := json.Unmarshal(line, h); err != nil || h.Version != 2 {
		return errors.New("reading recording: the first line is not that of an asciicast v2")
	}
	return nil
}

// parse reads a line after the first, if it is an event.
func parse(line []byte) (e Event, ok bool) {
	var parts []json.RawMessage
	if json.Unmarshal(line, &parts) != nil || len(parts) != 3 {
		return Event{}, false
	}
	var at float64
	if json.Unmarshal(parts[0], &at) != nil || json.Unmarshal(parts[1], &e.Kind) != nil || json.Unmarshal(parts[2], &e.Text) != nil || at < 0 || at > maxSeconds {
		return Event{}, false
	}
	e.At = time.Duration(at * float64(time.Second))
	return e, true
}

// maxSeconds is longer than any session, and short enough to be a duration.
const maxSeconds = 1e9
