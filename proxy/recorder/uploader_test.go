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

// fakeServer receives recordings as the Fairlead server does: part by part, from part 0.
type fakeServer struct {
	mu          sync.Mutex
	unreachable bool
	parts       map[string][]proxyfeed.RecordingPart
	done        map[string]string
}

func (c *fakeServer) upload(_ context.Context, p proxyfeed.RecordingPart) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unreachable {
		return errors.New("the server is unreachable")
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
	var compressed bytes.Buffer
	for _, part := range c.parts[p.ID] {
		compressed.Write(part.Data)
	}
	plain, err := gzip.NewReader(&compressed)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(plain)
	c.done[p.ID] = string(text)
	return err
}

func (c *fakeServer) setUnreachable(unreachable bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unreachable = unreachable
}

func (c *fakeServer) got(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done[id]
}

// TestUploader uploads finished recordings, keeps those that the server does not accept, and recovers
// those of a killed proxy.
func TestUploader(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	server := &fakeServer{parts: map[string][]proxyfeed.RecordingPart{}, done: map[string]string{}, unreachable: true}
	uploader := &recorder.Uploader{Dir: r.Dir, Upload: server.upload, Logger: slog.New(slog.DiscardHandler)}
	if err := uploader.UploadFinished(t.Context()); err != nil {
		t.Errorf("without recordings: %v", err)
	}
	killed := begin(t, r)
	long := begin(t, r)
	noise := rand.NewChaCha8([32]byte{1})
	for range 1000 { // data that does not compress well
		p := make([]byte, 1000)
		_, _ = noise.Read(p)
		if err := long.Output([]byte(fmt.Sprintf("%x", p))); err != nil {
			t.Fatal(err)
		}
	}
	if err := long.Close("the session ended"); err != nil {
		t.Fatal(err)
	}
	text := string(onlyRecording(t, r))
	if err := uploader.UploadFinished(t.Context()); err == nil || string(onlyRecording(t, r)) != text {
		t.Errorf("the server is unreachable: %v", err)
	}
	server.setUnreachable(false)
	if err := uploader.UploadFinished(t.Context()); err != nil {
		t.Fatal(err)
	}
	if server.got(long.ID()) != text || len(server.parts[long.ID()]) < 2 {
		t.Errorf("%d parts, %d of %d bytes", len(server.parts[long.ID()]), len(server.got(long.ID())), len(text))
	}
	left, err := filepath.Glob(r.Dir + "/*")
	if err != nil || len(left) != 1 || !strings.HasSuffix(left[0], recorder.FileSuffix+recorder.OpenSuffix) {
		t.Errorf("%v %v", left, err)
	}
	// The proxy was killed, and the next one starts.
	uploader.RecoverUnfinished(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- uploader.Run(ctx) }()
	for server.got(killed.ID()) == "" && t.Context().Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	// A session that ends with the proxy is uploaded at the end.
	last := begin(t, r)
	if err := last.Close("the proxy stops"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil || server.got(last.ID()) == "" {
		t.Errorf("the last recording was not uploaded: %v", err)
	}
	if left, err := os.ReadDir(r.Dir); err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}
