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

// Event is one event of a recording.
type Event struct {
	// At is the time since the start of the recording.
	At         time.Duration
	Kind, Text string
}

// Read reads a recording without verifying it: the header, and then its events. It skips lines that are
// not events, and stops at a read error.
func Read(file io.Reader) (header Header, events iter.Seq2[Event, error], err error) {
	lines := scan(file)
	if !lines.Scan() {
		return header, nil, errors.Join(errors.New("reading the recording: it is empty"), lines.Err())
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
			yield(Event{}, fmt.Errorf("reading the recording: %w", err))
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
		return errors.New("reading the recording: the first line is not an asciicast v2 header")
	}
	return nil
}

// parse parses an event line.
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

// maxSeconds is longer than any session, and fits into a time.Duration.
const maxSeconds = 1e9
