package recorder_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/spdystream/spdy"

	"github.com/fairlead-auth/fairlead/internal/recording"
	"github.com/fairlead-auth/fairlead/proxy/recorder"
)

// clock advances by a tenth of a second with each call.
type clock struct{ ticks atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.ticks.Add(1)) * 100 * time.Millisecond)
}

func key() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
}

func find(id string) (ed25519.PublicKey, error) {
	if id != "prx_1" {
		return nil, errors.New("no such key")
	}
	return key().Public().(ed25519.PublicKey), nil
}

func newRecorder(t *testing.T) *recorder.Recorder {
	t.Helper()
	return &recorder.Recorder{Dir: t.TempDir() + "/recordings", Key: key(), KeyID: "prx_1", Now: (&clock{}).now, OnFailure: func(string, error) {}}
}

func begin(t *testing.T, r *recorder.Recorder) *recorder.Recording {
	t.Helper()
	rec, err := r.Begin(recording.SessionInfo{User: "corp:jane", Pod: "hello"}, "exec demo/hello", "sh")
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// onlyRecording returns the content of the only finished recording.
func onlyRecording(t *testing.T, r *recorder.Recorder) []byte {
	t.Helper()
	files, err := filepath.Glob(r.Dir + "/*" + recorder.FileSuffix)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eventsOf returns the events of a recording without times and signatures.
func eventsOf(t *testing.T, text []byte) []string {
	t.Helper()
	var out []string
	for line := range bytes.Lines(text) {
		var event []any
		if json.Unmarshal(line, &event) != nil {
			continue // the header
		}
		if event[1] != "s" {
			out = append(out, fmt.Sprintf("%s %q", event[1], event[2]))
		}
	}
	return out
}

func verify(t *testing.T, text []byte) recording.Report {
	t.Helper()
	report, err := recording.Verify(bytes.NewReader(text), find)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestAsciicast(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	rec := begin(t, r)
	for _, p := range []string{"\x1b[1mgr", "\xc3", "\xbc", "n\xff\r\n", "", "\xe2\x82"} {
		if err := rec.Output([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(rec.Input([]byte("secret")), rec.Resize(120, 40), rec.Close("it ended"), rec.Close("again")); err != nil {
		t.Fatal(err)
	}
	text := onlyRecording(t, r)
	want := []string{`o "\x1b[1mgr"`, `o "ü"`, `o "n�\r\n"`, `r "120x40"`, `o "��"`, `m "it ended"`}
	if diff := cmp.Diff(want, eventsOf(t, text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	head, _, _ := bytes.Cut(text, []byte("\n"))
	if want := `{"version":2,"width":80,"height":24,"timestamp":1795435200,"title":"exec demo/hello","command":"sh","fairlead":{"user":"corp:jane","pod":"hello","id":"` + rec.ID() + `","keyID":"prx_1","stdin":false}}`; string(head) != want {
		t.Errorf("header %s\nwant   %s", head, want)
	}
	if report := verify(t, text); len(report.Faults) > 0 || report.Signed != report.Lines || report.Header.Fairlead.User != "corp:jane" {
		t.Errorf("%+v", report)
	}
}

func TestRecordStdin(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	r.RecordStdin = true
	rec := begin(t, r)
	if err := errors.Join(rec.Input([]byte("ls\r")), rec.Close("")); err != nil {
		t.Fatal(err)
	}
	if got := eventsOf(t, onlyRecording(t, r)); got[0] != `i "ls\r"` {
		t.Error(got)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for _, required := range []bool{false, true} {
		r := newRecorder(t)
		failed := 0
		r.Required, r.MaxBytes, r.OnFailure = required, 2000, func(string, error) { failed++ }
		rec := begin(t, r)
		var err error
		for range 100 {
			if err = rec.Output([]byte("hello hello hello hello")); err != nil {
				break
			}
		}
		if errors.Is(err, recorder.ErrTooLarge) != required || failed != 1 {
			t.Errorf("Required %v: %v, OnFailure called %d times", required, err, failed)
		}
		if err := rec.Close(""); err != nil {
			t.Error(err)
		}
		if report := verify(t, onlyRecording(t, r)); !strings.Contains(strings.Join(report.Faults, ""), "without its final signature") || report.Signed != report.Lines {
			t.Errorf("a recording that is too large: %+v", report)
		}
	}
	r := newRecorder(t)
	r.Dir = "/dev/null/x"
	if _, err := r.Begin(recording.SessionInfo{}, "", ""); err == nil {
		t.Error("no error for an invalid directory")
	}
}

// frame returns a WebSocket frame.
func frame(head byte, mask []byte, payload []byte) []byte {
	masked := byte(0)
	if mask != nil {
		masked = 0x80
	}
	out := []byte{head}
	switch n := len(payload); {
	case n < 126:
		out = append(out, masked|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, masked|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, masked|127), uint64(n))
	}
	out = append(out, mask...)
	for i, b := range payload {
		if mask != nil {
			b ^= mask[i%4]
		}
		out = append(out, b)
	}
	return out
}

// feed passes p on in pieces of n bytes.
func feed(t *testing.T, to func([]byte) error, p []byte, n int) {
	t.Helper()
	for piece := range slices.Chunk(p, n) {
		if err := to(piece); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWebSocketSessions(t *testing.T) {
	t.Parallel()
	mask := []byte{1, 2, 3, 4}
	big := strings.Repeat("x", 70_000)
	for _, pieces := range []int{1, 7, 1 << 20} {
		r := newRecorder(t)
		r.RecordStdin = true
		rec := begin(t, r)
		s, err := rec.NewTap("websocket", "v5.channel.k8s.io")
		if err != nil {
			t.Fatal(err)
		}
		feed(t, s.FromClient, slices.Concat(frame(0x82, mask, []byte("\x04{\"Width\":100,\"Height\":30}")), frame(0x89, mask, []byte("ping")), frame(0x82, mask, []byte("\x00ls\r")), frame(0x82, mask, []byte("\xff\x00"))), pieces)
		feed(t, s.FromServer, slices.Concat(frame(0x02, nil, []byte("\x01one")), frame(0x80, nil, []byte(" two")), frame(0x82, nil, []byte("\x02bad")), frame(0x82, nil, []byte("\x01")), frame(0x82, nil, nil), frame(0x82, nil, []byte("\x01"+big)), frame(0x82, nil, []byte("\x03{}")), frame(0x88, nil, nil)), pieces)
		if err := rec.Close("end"); err != nil {
			t.Fatal(err)
		}
		var input, output strings.Builder
		rest := ""
		for _, e := range eventsOf(t, onlyRecording(t, r)) {
			text := strings.Trim(e[2:], `"`)
			switch e[0] {
			case 'o':
				output.WriteString(text)
			case 'i':
				input.WriteString(text)
			default:
				rest += e + "\n"
			}
		}
		if output.String() != "one twobad"+big || input.String() != `ls\r` || !strings.Contains(rest, `m "container status: {}"`) {
			t.Errorf("in pieces of %d: %d bytes of output, input %q, %s", pieces, output.Len(), input.String(), rest)
		}
		if !strings.Contains(rest, `r "100x30"`) {
			t.Error("the resize event is missing")
		}
	}
}

func TestBase64Sessions(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	rec := begin(t, r)
	s, err := rec.NewTap("websocket", "base64.channel.k8s.io")
	if err != nil {
		t.Fatal(err)
	}
	feed(t, s.FromServer, frame(0x81, nil, []byte("1"+base64.StdEncoding.EncodeToString([]byte("hello")))), 3)
	if err := rec.Close(""); err != nil {
		t.Fatal(err)
	}
	if got := eventsOf(t, onlyRecording(t, r)); got[0] != `o "hello"` {
		t.Error(got)
	}
}

func TestSPDYSessions(t *testing.T) {
	t.Parallel()
	var up, down bytes.Buffer
	client, err := spdy.NewFramer(&up, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	server, err := spdy.NewFramer(&down, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	write := func(f *spdy.Framer, frame spdy.Frame) {
		if err := f.WriteFrame(frame); err != nil {
			t.Fatal(err)
		}
	}
	for i, kind := range []string{"error", "stdin", "stdout", "resize"} {
		id := spdy.StreamId(1 + 2*i)
		write(client, &spdy.SynStreamFrame{StreamId: id, Headers: http.Header{"streamType": {kind}}})
		write(server, &spdy.SynReplyFrame{StreamId: id, Headers: http.Header{}})
	}
	write(client, &spdy.DataFrame{StreamId: 7, Data: []byte(`{"Width":100,"Height":30}` + "\n")})
	write(client, &spdy.PingFrame{Id: 1})
	write(client, &spdy.SynStreamFrame{StreamId: 5, Headers: http.Header{"streamType": {"stdin"}}}) // tries to hide the output
	write(client, &spdy.DataFrame{StreamId: 3, Data: []byte("ls\r")})
	write(server, &spdy.DataFrame{StreamId: 5, Data: []byte("hello ")})
	write(server, &spdy.DataFrame{StreamId: 5, Data: []byte("there")})
	write(server, &spdy.DataFrame{StreamId: 9, Data: []byte("unknown stream")})
	for _, pieces := range []int{1, 5, 1 << 20} {
		r := newRecorder(t)
		rec := begin(t, r)
		s, err := rec.NewTap("SPDY/3.1", "")
		if err != nil {
			t.Fatal(err)
		}
		feed(t, s.FromClient, up.Bytes(), pieces)
		feed(t, s.FromServer, down.Bytes(), pieces)
		if err := rec.Close("end"); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range eventsOf(t, onlyRecording(t, r)) {
			if text, ok := strings.CutPrefix(e, "o "); ok {
				got += strings.Trim(text, `"`)
			} else {
				got += "\n" + e
			}
		}
		if !strings.Contains(got, "hello there") || !strings.Contains(got, `r "100x30"`) || strings.Contains(got, "ls") || strings.Contains(got, "unknown") {
			t.Errorf("in pieces of %d: %s", pieces, got)
		}
	}
}

func TestUndecodableSessions(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	rec := begin(t, r)
	if _, err := rec.NewTap("websocket", "v1.portforward.k8s.io"); err == nil {
		t.Error("no error for an unsupported protocol")
	}
	for _, required := range []bool{true, false} {
		r.Required = required
		rec := begin(t, r)
		s, err := rec.NewTap("websocket", "v4.channel.k8s.io")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FromServer([]byte{0xc2, 1, 1}); (err != nil) != required {
			t.Errorf("Required %v, compressed frames: %v", required, err)
		}
		spdySession, err := begin(t, r).NewTap("SPDY/3.1", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := spdySession.FromClient([]byte{0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff}); (err != nil) != required {
			t.Errorf("Required %v, a frame of 16 MB: %v", required, err)
		}
	}
}

// FuzzTap feeds bytes to both decoders. They may return an error, but must not hang or panic, and the
// size of the pieces must make no difference.
func FuzzTap(f *testing.F) {
	f.Add(true, frame(0x82, []byte{1, 2, 3, 4}, []byte("\x01hi")))
	f.Add(false, []byte{0x80, 3, 0, 1, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	f.Add(false, []byte{0, 0, 0, 5, 0, 0, 0, 2, 'h', 'i'})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, websocket bool, p []byte) {
		var texts []string
		for _, pieces := range []int{1, 1 << 20} {
			r := &recorder.Recorder{Dir: dir, Key: key(), KeyID: "prx_1", RecordStdin: true, Required: true, Now: (&clock{}).now, OnFailure: func(string, error) {}}
			rec := begin(t, r)
			protocol := map[bool]string{true: "websocket", false: "SPDY/3.1"}[websocket]
			s, err := rec.NewTap(protocol, "v5.channel.k8s.io")
			if err != nil {
				t.Fatal(err)
			}
			for piece := range slices.Chunk(p, pieces) {
				if err = s.FromClient(piece); err != nil {
					break
				}
			}
			_ = rec.Close("")
			texts = append(texts, fmt.Sprint(err))
			files, _ := filepath.Glob(dir + "/*")
			for _, file := range files {
				_ = os.Remove(file)
			}
		}
		if texts[0] != texts[1] {
			t.Errorf("in pieces: %s, at once: %s", texts[0], texts[1])
		}
	})
}

// TestRemoveExpired checks that old recordings are removed, both finished and unfinished ones.
func TestRemoveExpired(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	if err := r.RemoveExpired(time.Hour); err != nil {
		t.Errorf("without a directory: %v", err)
	}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, age := range map[string]time.Duration{"old.cast": 2 * time.Hour, "crashed.cast.open": 2 * time.Hour, "new.cast": time.Minute, "open.cast.open": time.Minute, "other.txt": 2 * time.Hour} {
		if err := os.WriteFile(r.Dir+"/"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(r.Dir+"/"+name, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.RemoveExpired(time.Hour); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if diff := cmp.Diff([]string{"new.cast", "open.cast.open", "other.txt"}, left); diff != "" {
		t.Errorf("(-want +left):\n%s", diff)
	}
}
