package recordings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/recording"
	"github.com/fairlead-auth/fairlead/server/fleet/recordings"
)

func TestSearch(t *testing.T) {
	t.Parallel()
	out := func(at float64, text string) recording.Event {
		return recording.Event{At: time.Duration(at * float64(time.Second)), Kind: recording.Output, Text: text}
	}
	text := asciicast(t, 1, one,
		out(1, "$ kubectl get se"), out(1.05, "crets\r\n"), out(2, "\x1b[1;31mdb-pass\x1b[0mword\r\n"), out(4, "still there"),
		out(5, "\x1b[2J\x1b[H$ "), out(7, "DB-PASSWORD again"),
	)
	for words, want := range map[string][]recordings.Marker{
		"secrets":     {{At: time.Second, Text: "$ kubectl get secrets"}},
		"db-password": {{At: 2 * time.Second, Text: "db-password"}, {At: 7 * time.Second, Text: "$ DB-PASSWORD again"}},
		"nothing":     nil,
		" ":           nil,
	} {
		got, err := recordings.Search(t.Context(), strings.NewReader(text), words)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q (-want +got):\n%s\nerror %v", words, diff, err)
		}
	}
	if _, err := recordings.Search(t.Context(), strings.NewReader("no recording"), "x"); err == nil {
		t.Error("what is no recording is searched")
	}
}
