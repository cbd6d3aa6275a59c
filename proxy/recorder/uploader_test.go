package recorder_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
	"github.com/fairlead-auth/fairlead/proxy/recorder"
)

// counter takes recordings as the server does: part by part, each from its beginning.
type counter struct {
	mu    sync.Mutex
	away  bool
	parts map[string][]proxyfeed.RecordingPart
	done  map[string]string
}

func (c *counter) take(_ context.Context, p proxyfeed.RecordingPart) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return errors.New("the server is away")
	}
	if p.Number == 0 {
		c.parts[p.ID] = nil
	}
	if p.Number != len(c.parts[p.ID]) || len(p.Data) == 0 || len(p.Data) > proxyfeed.MaxRecordingPart {
		return fmt.Errorf("part %d of %d bytes", p.Number, len(p.Data))
	}
	p.Data = bytes.Clone(p.Data)
	c.parts[p.ID] = append(c.parts[p.ID], p)
	if !p.Last {
		return nil
	}
	var packed bytes.Buffer
	for _, part := range c.parts[p.ID] {
		packed.Write(part.Data)
	}
	plain, err := gzip.NewReader(&packed)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(plain)
	c.done[p.ID] = string(text)
	return err
}

func (c *counter) setAway(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

func (c *counter) got(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done[id]
}

// TestCourier hands in what is over, keeps what is not taken, and takes along what a proxy
// that was killed has left.
func TestCourier(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	server := &counter{parts: map[string][]proxyfeed.RecordingPart{}, done: map[string]string{}, away: true}
	courier := &recorder.Uploader{Dir: r.Dir, Upload: server.take, Logger: slog.New(slog.DiscardHandler)}
	if err := courier.UploadFinished(t.Context()); err != nil {
		t.Errorf("nothing was recorded: %v", err)
	}
	killed := begin(t, r)
	long := begin(t, r)
	noise := rand.NewChaCha8([32]byte{1})
	for range 1000 { // nothing that can be compressed well
		p := make([]byte, 1000)
		_, _ = noise.Read(p)
		if err := long.Output([]byte(fmt.Sprintf("%x", p))); err != nil {
			t.Fatal(err)
		}
	}
	if err := long.Close("the session ended"); err != nil {
		t.Fatal(err)
	}
	text := string(only(t, r))
	if err := courier.UploadFinished(t.Context()); err == nil || string(only(t, r)) != text {
		t.Errorf("the server is away: %v", err)
	}
	server.setAway(false)
	if err := courier.UploadFinished(t.Context()); err != nil {
		t.Fatal(err)
	}
	if server.got(long.ID()) != text || len(server.parts[long.ID()]) < 2 {
		t.Errorf("%d parts, %d of %d bytes", len(server.parts[long.ID()]), len(server.got(long.ID())), len(text))
	}
	left, err := filepath.Glob(r.Dir + "/*")
	if err != nil || len(left) != 1 || !strings.HasSuffix(left[0], recorder.FileSuffix+recorder.OpenSuffix) {
		t.Errorf("%v %v", left, err)
	}
	// The proxy was killed; the next one takes along what it left.
	courier.RecoverUnfinished(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- courier.Run(ctx) }()
	for server.got(killed.ID()) == "" && t.Context().Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	// What ends with the proxy is handed in at the end.
	last := begin(t, r)
	if err := last.Close("the proxy ends"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil || server.got(last.ID()) == "" {
		t.Errorf("what ended last was not handed in: %v", err)
	}
	if left, err := os.ReadDir(r.Dir); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}
