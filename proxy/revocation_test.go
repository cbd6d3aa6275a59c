package proxy_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/proxy/revocation"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

func (w *world) revoke(kind revocation.Kind, value string) int {
	return w.revocations.Revoke(revocation.Revocation{Kind: kind, Value: value, At: time.Now(), Until: time.Now().Add(time.Hour)})
}

// open opens a stream and reads its first line.
func (w *world) open(t *testing.T, path string) *bufio.Reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.front.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := w.front.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	r := bufio.NewReader(resp.Body)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStreamsEndWithWords revokes jane's access. Her open streams must end at once, with the reason if the protocol
// allows it, and her token must be refused.
func TestStreamsEndWithWords(t *testing.T) {
	t.Parallel()
	w := setup(t)
	watch, half, logs := w.open(t, "/api/v1/watch-json?watch=1"), w.open(t, "/api/v1/watch-json?watch=1&part=%7B%22type"), w.open(t, "/api/v1/watch-me?watch=1")
	conn, shell := w.raw(t, "GET /echo HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nConnection: Upgrade\nUpgrade: websocket\n\n\x82\x02hi")
	if head, err := http.ReadResponse(shell, nil); err != nil || head.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(head, err)
	}
	if _, err := io.ReadFull(shell, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if n := w.revoke(revocation.User, "usr_2"); n != 0 {
		t.Errorf("%d streams of somebody else", n)
	}
	began := time.Now()
	if n := w.revoke(revocation.User, "usr_1"); n != 4 {
		t.Errorf("%d streams, want 4", n)
	}
	var event struct {
		Type   string
		Object metav1.Status
	}
	line, err := watch.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &event) != nil || event.Type != "ERROR" || event.Object.Code != http.StatusUnauthorized || !strings.Contains(event.Object.Message, "kubectl fairlead login") {
		t.Errorf("the watch: %s %v", line, err)
	}
	if rest, err := io.ReadAll(watch); err != nil || len(rest) != 0 {
		t.Errorf("the watch goes on: %q %v", rest, err)
	}
	if rest, _ := io.ReadAll(half); string(rest) != `{"type` {
		t.Errorf("in the middle of an event: %q", rest)
	}
	if rest, err := io.ReadAll(logs); err != nil || !strings.HasSuffix(string(rest), status.RevokedUser().Message()+"\n") {
		t.Errorf("the log: %q %v", rest, err)
	}
	if rest, _ := io.ReadAll(shell); len(rest) < 4 || rest[0] != 0x88 || !strings.Contains(string(rest), "\x03\xf0"+status.RevokedUser().Message()) {
		t.Errorf("the shell: %q", rest)
	}
	conn.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if resp, text := w.do(t, http.MethodGet, "/api/v1/pods", nil, ""); resp.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "kubectl fairlead login") {
		t.Errorf("afterwards: %s %s", resp.Status, text)
	}
	for range 100 {
		if w.count(audit.ProxyStreamEnded) == 4 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d ends were recorded", w.count(audit.ProxyStreamEnded))
}

// TestWaitingEndsWithWords revokes access before the API server has responded. The response must give the reason,
// and not say that the API server is unreachable.
func TestWaitingEndsWithWords(t *testing.T) {
	t.Parallel()
	w := &world{}
	arrived := make(chan struct{}, 3)
	w.start(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	answers := make(chan string, 3)
	for _, c := range []struct{ method, path string }{{http.MethodGet, "/api/v1/pods?watch=1"}, {http.MethodPost, "/api/v1/namespaces/a/services/b/proxy/"}} {
		go func() {
			resp, text := w.do(t, c.method, c.path, nil, "")
			answers <- resp.Status + " " + text
		}()
		<-arrived
	}
	w.revocations.EndAllStreams(status.StreamExpired())
	for range 2 {
		if text := <-answers; !strings.HasPrefix(text, "401") || !strings.Contains(text, status.StreamExpired().Message()) {
			t.Error(text)
		}
	}
	if n := w.count(audit.ProxyRefused); n != 2 || w.count(audit.ProxyStreamEnded) != 0 {
		t.Errorf("%d refusals, %d ends", n, w.count(audit.ProxyStreamEnded))
	}
}

func (w *world) count(name audit.Name) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.events {
		if e.Name == name {
			n++
		}
	}
	return n
}

// TestNoWordsInTheMiddleOfAFrame: the message must not corrupt a partly sent frame.
func TestNoWordsInTheMiddleOfAFrame(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for frame, words := range map[string]bool{"\x82\x05he": false, "\x82\x02hi\x82": false, "\x82\x7e\x00": false, "\x82\x7e\x00\x02hi": true, "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01x": true, "\x82\x02hi\x89\x00": true} {
		conn, shell := w.raw(t, "GET /echo HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nConnection: Upgrade\nUpgrade: websocket\n\n"+frame)
		if _, err := http.ReadResponse(shell, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(shell, make([]byte, len(frame))); err != nil {
			t.Fatal(err)
		}
		w.revocations.EndAllStreams(status.StreamExpired())
		if rest, _ := io.ReadAll(shell); strings.HasSuffix(string(rest), status.StreamExpired().Message()) != words {
			t.Errorf("%q: %q", frame, rest)
		}
		conn.Close()
	}
}

// TestAStaleProxyRefuses covers the fail-closed setting.
func TestAStaleProxyRefuses(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.stale.Store(true)
	if resp, text := w.do(t, http.MethodGet, "/api/v1/pods", nil, ""); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "lost contact with the Fairlead server") {
		t.Errorf("%s %s", resp.Status, text)
	}
}
