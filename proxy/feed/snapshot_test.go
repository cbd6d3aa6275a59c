package feed_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
	"github.com/fairlead-auth/fairlead/proxy/feed"
)

// enrolled is a directory with an identity.
func enrolled(t *testing.T) (feed.Dir, feed.Identity) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in proxyfeed.EnrolRequest
		if json.NewDecoder(r.Body).Decode(&in) != nil || proxyfeed.CheckKey(in.Key) != nil || in.Code != "code" {
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": "The code is not good."})
			return
		}
		_ = json.NewEncoder(w).Encode(proxyfeed.EnrolResponse{ID: "prx_1"})
	}))
	t.Cleanup(server.Close)
	dir := feed.Dir(filepath.Join(t.TempDir(), "deep", "state"))
	if _, err := dir.LoadIdentity(); !errors.Is(err, feed.ErrNotEnrolled) {
		t.Errorf("before: %v", err)
	}
	if _, err := feed.Enrol(t.Context(), server.Client(), dir, feed.EnrolmentRequest{Server: server.URL, Code: "wrong", Name: "x"}); err == nil || !strings.Contains(err.Error(), "The code is not good.") {
		t.Errorf("a wrong code: %v", err)
	}
	id, err := feed.Enrol(t.Context(), server.Client(), dir, feed.EnrolmentRequest{Server: server.URL, Code: "code", Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	return dir, id
}

func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	dir, id := enrolled(t)
	again, err := dir.LoadIdentity()
	if err != nil || again.ID != "prx_1" || !again.Key.Equal(id.Key) {
		t.Errorf("%+v, %v", again.ID, err)
	}
	if s, err := dir.LoadSnapshot(id); s != nil || err != nil {
		t.Errorf("no snapshot: %+v, %v", s, err)
	}
	want := feed.Snapshot{
		AsOf: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Seq: 7, Version: 3, Settings: proxyfeed.Settings{Cluster: "a", FailClosed: true}, Keys: json.RawMessage(`{"keys":[]}`),
		Revocations: []proxyfeed.Revocation{{Kind: "user", Value: "usr_1"}},
	}
	if err := dir.SaveSnapshot(id, want); err != nil {
		t.Fatal(err)
	}
	got, err := dir.LoadSnapshot(id)
	if diff := cmp.Diff(&want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	entries, err := os.ReadDir(string(dir))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s may be read by others: %v %v", e.Name(), info.Mode(), err)
		}
	}
}

// TestASnapshotThatWasChangedIsRefused, however it was changed.
func TestASnapshotThatWasChangedIsRefused(t *testing.T) {
	t.Parallel()
	dir, id := enrolled(t)
	_, other := enrolled(t)
	if err := dir.SaveSnapshot(other, feed.Snapshot{Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if s, err := dir.LoadSnapshot(id); err == nil {
		t.Errorf("one of another proxy: %+v", s)
	}
	if err := dir.SaveSnapshot(id, feed.Snapshot{Seq: 1, Settings: proxyfeed.Settings{FailClosed: true}}); err != nil {
		t.Fatal(err)
	}
	whole, err := dir.LoadSnapshot(id)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(string(dir), "snapshot.jws")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(text); i += 7 {
		changed := append([]byte(nil), text...)
		if changed[i] = 'A'; text[i] == 'A' {
			changed[i] = 'B'
		}
		for what, body := range map[string][]byte{"changed": changed, "cut": text[:i]} {
			if err := os.WriteFile(file, body, 0o600); err != nil {
				t.Fatal(err)
			}
			// The last character of base64 has bits that mean nothing.
			if s, err := dir.LoadSnapshot(id); err == nil && !cmp.Equal(s, whole) {
				t.Errorf("%s at %d: %+v", what, i, s)
			}
		}
	}
}

func TestEnrolmentHasADeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := feed.Enrol(ctx, http.DefaultClient, feed.Dir(t.TempDir()), feed.EnrolmentRequest{Server: "http://127.0.0.1:1", Code: "code", Name: "x"}); err == nil {
		t.Error("it enrolled")
	}
}
