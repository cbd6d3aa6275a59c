package recordings_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
	"github.com/fairlead-auth/fairlead/internal/recording"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/fleet/recordings"
)

const (
	one = "0a1b2c3d-0000-4000-8000-000000000001"
	two = "0a1b2c3d-0000-4000-8000-000000000002"
)

func private(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func proxy(t *testing.T, seed byte) *store.Proxy {
	t.Helper()
	id := fmt.Sprintf("prx_%d", seed)
	key, err := json.Marshal(jose.JSONWebKey{Key: private(seed).Public(), KeyID: id})
	if err != nil {
		t.Fatal(err)
	}
	return &store.Proxy{ID: id, ClusterID: "prod", PublicKey: string(key)}
}

// asciicast is a recording in asciicast format that the proxy with this seed has signed.
func asciicast(t *testing.T, seed byte, id string, events ...recording.Event) string {
	t.Helper()
	keyID := fmt.Sprintf("prx_%d", seed)
	chain := recording.NewChain(private(seed), keyID, id)
	var out strings.Builder
	add := func(what any) {
		line, err := json.Marshal(what)
		if err != nil {
			t.Fatal(err)
		}
		chain.Add(line)
		out.Write(append(line, '\n'))
	}
	add(recording.Header{Version: 2, Width: 20, Height: 5, Timestamp: 1_700_000_000, Title: "exec demo/hello", Command: "sh", Fairlead: recording.Metadata{
		SessionInfo: recording.SessionInfo{User: "corp:jane", UserID: "usr_1", Namespace: "demo", Pod: "hello", Cluster: "another", Address: "192.0.2.7", RequestID: "req_1"}, ID: id, KeyID: keyID,
	}})
	var at time.Duration
	for _, e := range events {
		at = e.At
		add([]any{at.Seconds(), e.Kind, e.Text})
	}
	token, err := chain.Sign(at, true)
	if err != nil {
		t.Fatal(err)
	}
	add([]any{at.Seconds(), recording.Signature, token})
	return out.String()
}

func pack(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func keeper(s *store.Store) *recordings.Archive {
	return &recordings.Archive{Store: s, Audit: audit.NewLog(time.Now, slog.New(slog.DiscardHandler), s), Now: time.Now, Retention: time.Hour, MaxBytes: 1 << 20}
}

// upload uploads a recording in three parts.
func upload(t *testing.T, k *recordings.Archive, p *store.Proxy, id, text string) error {
	t.Helper()
	data := pack(t, text)
	size := len(data)/3 + 1
	for n := 0; len(data) > 0; n++ {
		part := data[:min(size, len(data))]
		data = data[len(part):]
		if err := k.AddPart(t.Context(), p, proxyfeed.RecordingPart{ID: id, Number: n, Data: part, Last: len(data) == 0}); err != nil {
			return err
		}
	}
	return nil
}

func TestTake(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		k, p := keeper(s), proxy(t, 1)
		text := asciicast(t, 1, one, recording.Event{At: 1500 * time.Millisecond, Kind: recording.Output, Text: "hello\r\n"})
		// First half of it arrives before the connection breaks, then all of it, and then all of it again.
		if err := k.AddPart(t.Context(), p, proxyfeed.RecordingPart{ID: one, Data: []byte("half")}); err != nil {
			t.Fatal(err)
		}
		if rows, err := s.FindRecordings(t.Context(), store.RecordingQuery{Limit: 10}); err != nil || len(rows) != 0 {
			t.Errorf("what is not complete is shown: %+v, %v", rows, err)
		}
		for range 2 {
			if err := upload(t, k, p, one, text); err != nil {
				t.Fatal(err)
			}
		}
		row, err := s.Recording(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		if row.UserName != "corp:jane" || row.UserID != "usr_1" || row.Pod != "hello" || row.Command != "sh" || row.Faults != "" || row.Duration != 1500*time.Millisecond || row.Began.Time().Unix() != 1_700_000_000 || row.Parts != 3 {
			t.Errorf("%+v", row)
		}
		if row.ClusterID != "prod" {
			t.Errorf("the cluster is the recording's word: %s", row.ClusterID)
		}
		if got, err := io.ReadAll(k.Open(t.Context(), row)); err != nil || string(got) != text {
			t.Errorf("%v: %q", err, got)
		}
		// A complete recording never changes.
		forged := asciicast(t, 1, one, recording.Event{At: 1, Kind: recording.Output, Text: "nothing happened\r\n"})
		if err := upload(t, k, p, one, forged); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(k.Open(t.Context(), row)); err != nil || string(got) != text {
			t.Errorf("%v: %q", err, got)
		}
		if err := upload(t, k, proxy(t, 2), one, text); !errs.Is(err, errs.Denied) {
			t.Errorf("another proxy: %v", err)
		}
		events, err := s.AuditEvents(t.Context(), audit.RecordingKept, 10)
		if err != nil || len(events) != 1 || events[0].Reason != "intact" || events[0].UserName != "corp:jane" {
			t.Errorf("%+v, %v", events, err)
		}
		if events, err = s.AuditEvents(t.Context(), audit.RecordingRefused, 10); err != nil || len(events) != 1 || events[0].Reason != "another_proxys" {
			t.Errorf("%+v, %v", events, err)
		}
		find(t, s)
		forget(t, s)
	})
}

func find(t *testing.T, s *store.Store) {
	for name, q := range map[string]store.RecordingQuery{
		"1 person": {User: "JANE"}, "1 id": {User: "usr_1"}, "1 cluster": {Cluster: "prod"}, "1 pod": {Text: "ell"}, "1 all": {}, "1 since": {From: 1},
		"0 person": {User: "joe"}, "0 cluster": {Cluster: "another"}, "0 text": {Text: "%"}, "0 since": {From: store.At(time.Now())}, "0 until": {To: 1}, "0 page": {After: "1_x"},
	} {
		q.Limit = 10
		rows, err := s.FindRecordings(t.Context(), q)
		if err != nil || len(rows) != int(name[0]-'0') {
			t.Errorf("%s: %+v, %v", name, rows, err)
		}
	}
	if _, err := s.FindRecordings(t.Context(), store.RecordingQuery{After: "x_y", Limit: 1}); !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
}

// forget moves the clock past the end of the retention.
func forget(t *testing.T, s *store.Store) {
	if _, err := s.Sweep(t.Context(), time.Now().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recording(t.Context(), one); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	if _, err := s.RecordingPart(t.Context(), one, 0); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
}

// TestAddPartFindsDefects stores a recording that was tampered with and reports the defects. It refuses data that
// is no recording.
func TestAddPartFindsDefects(t *testing.T) {
	t.Parallel()
	k, p := keeper(storetest.SQLite(t)), proxy(t, 1)
	made := func(id string) string {
		return asciicast(t, 1, id, recording.Event{At: 1, Kind: recording.Output, Text: "rm -rf /\r\n"})
	}
	for i, c := range []struct {
		name string
		text func(id string) string
		want string
	}{
		{"changed", func(id string) string { return strings.Replace(made(id), "rm -rf", "ls -la", 1) }, "was changed"},
		{"cut off", func(id string) string { return made(id)[:strings.LastIndex(strings.TrimSpace(made(id)), "\n")+1] }, "without its final signature"},
		{"another's", func(id string) string { return asciicast(t, 2, id) }, "not by the proxy prx_1"},
		{"another id", func(string) string { return made(two) }, "but says that it is"},
		{"no recording", func(string) string { return "hello" }, "can't be read"},
		{"empty", func(string) string { return "" }, "it is empty"},
		{"not of this time", func(id string) string {
			return `{"version":2,"timestamp":99999999999,"fairlead":{"id":"` + id + `","keyID":"prx_1"}}`
		}, "are not signed"},
	} {
		name, id := c.name, fmt.Sprintf("0a1b2c3d-0000-4000-8000-%012d", 100+i)
		if err := upload(t, k, p, id, c.text(id)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		row, err := k.Store.Recording(t.Context(), id)
		if err != nil || !row.Complete || !strings.Contains(row.Faults, c.want) {
			t.Errorf("%s: %+v, %v", name, row, err)
		}
		if row.Began.Time().After(time.Now()) {
			t.Errorf("%s: began %s", name, row.Began.Time())
		}
	}
	// The data is not even compressed.
	if err := k.AddPart(t.Context(), p, proxyfeed.RecordingPart{ID: two, Data: []byte("text"), Last: true}); err != nil {
		t.Error(err)
	}
	if row, err := k.Store.Recording(t.Context(), two); err != nil || !strings.Contains(row.Faults, "decompressing") {
		t.Errorf("%+v, %v", row, err)
	}
	big := make([]byte, proxyfeed.MaxRecordingPart+1)
	for name, part := range map[string]proxyfeed.RecordingPart{
		"no id": {Data: []byte("x")}, "odd id": {ID: "../x", Data: []byte("x")}, "upper case": {ID: strings.ToUpper(one), Data: []byte("x")}, "nothing": {ID: one}, "too much": {ID: one, Data: big},
		"negative": {ID: one, Number: -1, Data: []byte("x")}, "too many": {ID: one, Number: 1000, Data: []byte("x")},
	} {
		if err := k.AddPart(t.Context(), p, part); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := k.AddPart(t.Context(), p, proxyfeed.RecordingPart{ID: one, Number: 1, Data: []byte("x")}); !errs.Is(err, errs.NotFound) {
		t.Errorf("without its beginning: %v", err)
	}
	if err := k.AddPart(t.Context(), p, proxyfeed.RecordingPart{ID: one, Number: 0, Data: []byte("x")}); err != nil {
		t.Error(err)
	}
	if err := k.AddPart(t.Context(), p, proxyfeed.RecordingPart{ID: one, Number: 2, Data: []byte("x")}); !errs.Is(err, errs.Conflict) {
		t.Errorf("with a gap: %v", err)
	}
}

func TestNoRoom(t *testing.T) {
	t.Parallel()
	k, p := keeper(storetest.SQLite(t)), proxy(t, 1)
	k.MaxBytes = 1000
	if err := upload(t, k, p, one, asciicast(t, 1, one)); err != nil {
		t.Fatal(err)
	}
	if err := upload(t, k, p, one, asciicast(t, 1, one)); err != nil {
		t.Errorf("what is there already, handed in again: %v", err)
	}
	if err := upload(t, k, p, two, asciicast(t, 1, two)); !errs.Is(err, errs.Denied) || !strings.Contains(errs.Message(err), "stays at the proxy") {
		t.Errorf("%v", err)
	}
	if _, err := k.Store.Recording(t.Context(), one); err != nil {
		t.Errorf("what was there before: %v", err)
	}
	// Each cluster has its own limit.
	other := proxy(t, 3)
	other.ClusterID = "test"
	three := strings.Replace(two, "2", "3", 1)
	if err := upload(t, k, other, three, asciicast(t, 3, three)); err != nil {
		t.Error(err)
	}
}

func rows(s recordings.Frame) []string {
	var out []string
	for _, row := range s.Rows {
		var text strings.Builder
		for _, p := range row {
			text.WriteString(p.Text)
		}
		out = append(out, strings.TrimRight(text.String(), " "))
	}
	return out
}

func TestPlay(t *testing.T) {
	t.Parallel()
	out := func(at float64, text string) recording.Event {
		return recording.Event{At: time.Duration(at * float64(time.Second)), Kind: recording.Output, Text: text}
	}
	text := asciicast(
		t, 1, one,
		out(0.1, "$ "), out(3, "l"), out(3.05, "s\r\n"), out(3.1, "\x1b[1;31mred\x1b[0m plain\r\n$ "),
		out(8, "\x1b[2J\x1b[H\x1b]0;title\x07top"), recording.Event{At: 9 * time.Second, Kind: recording.Resize, Text: "10x2"}, out(9.5, "x"),
		recording.Event{At: 10 * time.Second, Kind: recording.Marker, Text: "the session ended"},
	)
	at := func(seconds float64, count int) recordings.Playback {
		playback, err := recordings.Play(t.Context(), strings.NewReader(text), time.Duration(seconds*float64(time.Second)), count)
		if err != nil {
			t.Fatal(err)
		}
		return playback
	}
	for seconds, want := range map[float64][]string{0: {"", "", "", "", ""}, 1: {"$", "", "", "", ""}, 4: {"$ ls", "red plain", "$", "", ""}, 8: {"top", "", "", "", ""}, 60: {"topx", ""}} {
		got := at(seconds, 0)
		if len(got.Frames) != 1 || !slices.Equal(rows(got.Frames[0]), want) || got.Last != 10*time.Second {
			t.Errorf("at %v: %+v", seconds, got.Frames)
		}
	}
	playback := at(0, 100)
	var when []string
	for _, s := range playback.Frames {
		when = append(when, s.At.String())
	}
	if got := strings.Join(when, " "); got != "0s 100ms 3s 3.1s 8s 9s 9.5s" {
		t.Errorf("screens at %s", got)
	}
	if n := len(at(0, 2).Frames); n != 3 {
		t.Errorf("%d screens", n)
	}
	var moments []string
	for _, m := range playback.Markers {
		moments = append(moments, m.At.String()+" "+m.Text)
	}
	if got := strings.Join(moments, "|"); got != "100ms $|3s l|8s top|10s the session ended" {
		t.Errorf("%s", got)
	}
	red := at(4, 0).Frames[0].Rows[1][0]
	if red.Text != "red" || red.Class != "bold f9" {
		t.Errorf("%+v", red)
	}
}

// TestPlayOfHostileOutput plays output that tries to deceive the viewer or to break the player.
func TestPlayOfHostileOutput(t *testing.T) {
	t.Parallel()
	text := asciicast(t, 1, one,
		recording.Event{At: 1, Kind: recording.Resize, Text: "1000000x1000000"},
		recording.Event{At: 2, Kind: recording.Output, Text: "\u202egnp.exe\u200b<script>\x00\x1b[38;2;1;2;3mx\x1b[48;5;231my\x1b[999999999;999999999Hz\x1b[99999999A\x1b[99999999L"},
		recording.Event{At: 3, Kind: recording.Resize, Text: "-1x0"},
		recording.Event{At: 4, Kind: recording.Output, Text: "after"},
	)
	playback, err := recordings.Play(t.Context(), strings.NewReader(text), time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	screen := playback.Frames[0]
	if screen.Width > 500 || screen.Height > 200 {
		t.Errorf("%d by %d", screen.Width, screen.Height)
	}
	if all := strings.Join(rows(screen), "\n"); strings.ContainsAny(all, "\u202e\u200b\x00\x1b") {
		t.Errorf("%q", all)
	}
}

func FuzzPlay(f *testing.F) {
	f.Add("\x1b[1;31mred\x1b[0m\x1b[5;5H\x1b[2J\x1b[10L\x1b[3;1r\x1bM\x1b#8\x1b(0lqk", 80, 24)
	f.Add("\x1b[?1049h\x1b[99B\x1b[4h\x1b[99@\x1b[99P\x1b]0;x\x07", 1, 1)
	f.Fuzz(func(t *testing.T, output string, width, height int) {
		line := func(v ...any) string {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return string(text) + "\n"
		}
		size := fmt.Sprintf("%dx%d", width, height)
		text := fmt.Sprintf("{\"version\":2,\"width\":%d,\"height\":%d}\n", width, height) + line(0.1, "o", output) + line(0.2, "r", size) + line(0.3, "o", output) + line(1, "r", "7x3") + line(2, "o", output)
		playback, err := recordings.Play(t.Context(), strings.NewReader(text), 0, 100)
		if err != nil || len(playback.Frames) == 0 {
			t.Fatal(playback, err)
		}
		for _, s := range playback.Frames {
			if s.Width > 500 || s.Height > 200 || len(s.Rows) != s.Height {
				t.Fatal(s)
			}
		}
	})
}

// TestPlayEnds plays output that makes the terminal emulator loop as often as a parameter says.
func TestPlayEnds(t *testing.T) {
	t.Parallel()
	for name, output := range map[string]string{
		"tabs":          "\x1b[9223372036854775807I",
		"tabs back":     "\x1b[9223372036854775807Z",
		"in two events": "\x1b[922337203685",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := asciicast(t, 1, one,
				recording.Event{At: 2, Kind: recording.Output, Text: output},
				recording.Event{At: 3, Kind: recording.Output, Text: "4775807Iafter"},
			)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if _, err := recordings.Play(t.Context(), strings.NewReader(text), time.Minute, 0); err != nil {
					t.Error(err)
				}
			}()
			select {
			case <-ended:
			case <-time.After(30 * time.Second):
				t.Fatal("playing does not end")
			}
		})
	}
}

// TestPlayHasABudget plays output that changes the whole screen with every few bytes, which takes hours.
func TestPlayHasABudget(t *testing.T) {
	t.Parallel()
	const work = 500_000_000
	for name, sequence := range map[string]string{
		"clear": "\x1b[2J", "alignment": "\x1b#8", "scroll": "\x1b[200S", "insert": "\x1b[200L", "reset": "\x1bc", "other screen": "\x1b[?1049h\x1b[?1049l", "lines": "\n\n\n\n", "backwards": "\x1bM",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := asciicast(t, 1, one,
				recording.Event{At: 1, Kind: recording.Resize, Text: "500x200"},
				recording.Event{At: 2, Kind: recording.Output, Text: "\x1b[H" + strings.Repeat(sequence, 1<<20/len(sequence))},
			)
			playback, err := recordings.PlayWithin(t.Context(), strings.NewReader(text), time.Minute, work)
			if !errs.Is(err, errs.Invalid) || len(playback.Frames) != 1 {
				t.Errorf("%d frames, error %v", len(playback.Frames), err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := recordings.Play(ctx, strings.NewReader(text), time.Minute, 0); !errors.Is(err, context.Canceled) {
				t.Errorf("after the request has ended: %v", err)
			}
		})
	}
}

// TestPlayKeepsTheScreen sends parameters out of range. A terminal limits them, and shows the rest of the output.
func TestPlayKeepsTheScreen(t *testing.T) {
	t.Parallel()
	for _, sequence := range []string{
		"\x1b[999P", "\x1b[9223372036854775807@", "\x1b[-5P", "\x1b[99999999999999999999C", "\x1b[>4;2m", "\x1b)0", "\x1b]4;1;rgb:ff/ff/ff\x07", "\x1b[2147483647X",
		"\x1b]0;never ended\x1b[0m", "\x1b[1;2;3 q",
	} {
		text := asciicast(t, 1, one, recording.Event{At: 1, Kind: recording.Output, Text: "rm -rf /\r\n12345\x1b[D" + sequence + "\r\nafter"})
		playback, err := recordings.Play(t.Context(), strings.NewReader(text), time.Minute, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := rows(playback.Frames[0]); got[0] != "rm -rf /" || !strings.HasPrefix(got[1], "1234") || got[2] != "after" {
			t.Errorf("%q: %q", sequence, got)
		}
	}
}
