package proxy_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/proxy"
	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/forward"
	"github.com/fairlead-auth/fairlead/proxy/revocation"
	"github.com/fairlead-auth/fairlead/proxy/status"
	"github.com/fairlead-auth/fairlead/test/harness/jws"
)

// seen is a request as it arrived at the API server.
type seen struct {
	Proto, Method, URI, Host string
	Header                   http.Header
	Body                     string
}

// world is a proxy with an issuer and an API server that returns what it received.
type world struct {
	upstream    *httptest.Server
	front       *httptest.Server
	token       string
	revocations revocation.Registry
	stale       atomic.Bool

	// hold, when set, blocks the recording of events until it is closed.
	hold atomic.Pointer[chan struct{}]

	mu     sync.Mutex
	events []audit.Event
}

// WriteEvent stores the events of the proxy.
func (w *world) WriteEvent(_ context.Context, e audit.Event) error {
	if hold := w.hold.Load(); hold != nil {
		<-*hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	return nil
}

// last returns the newest event.
func (w *world) last() audit.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == 0 {
		return audit.Event{}
	}
	return w.events[len(w.events)-1]
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.start(t, upstream)
	return w
}

// start starts a proxy in front of an API server, and creates a token for jane.
func (w *world) start(t testing.TB, apiServer http.HandlerFunc) {
	t.Helper()
	w.upstream = httptest.NewUnstartedServer(apiServer)
	w.upstream.EnableHTTP2 = true
	w.upstream.StartTLS()
	t.Cleanup(w.upstream.Close)

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_ = json.NewEncoder(rw).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
			return
		}
		_ = json.NewEncoder(rw).Encode(map[string]string{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys"})
	}))
	t.Cleanup(issuer.Close)
	w.token = jws.Sign(t, jose.ES256, key, "k", map[string]any{
		"iss": issuer.URL, "aud": "k8s-a", "sub": "usr_1", "preferred_username": "corp:jane", "groups": []string{"corp:dev"},
		"exp": time.Now().Add(time.Hour).Unix(), "jti": "jti_1",
	})

	forwarder, err := forward.New(&rest.Config{
		Host: w.upstream.URL, BearerToken: "proxy-credential", TLSClientConfig: rest.TLSClientConfig{Insecure: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	w.front = httptest.NewUnstartedServer(proxy.New(proxy.Config{
		Cluster: "a", Forwarder: forwarder, Logger: logger, Now: time.Now, Metrics: prometheus.NewRegistry(),
		Audit:         audit.NewLog(time.Now, logger, w),
		Verifier:      &authn.Verifier{Issuer: issuer.URL, Audience: "k8s-a", Now: time.Now, Keys: authn.NewKeySet(issuer.URL, http.DefaultClient, time.Now, logger)},
		ClientAddress: func(*http.Request) string { return "192.0.2.1" },
		Revocations:   &w.revocations,
		CheckAccess: func(context.Context, *authn.Identity) *status.Error {
			if w.stale.Load() {
				return status.FeedStale(time.Now())
			}
			return nil
		},
	}))
	w.front.EnableHTTP2 = true
	w.front.StartTLS()
	t.Cleanup(w.front.Close)
}

// upstream returns what it received, and misbehaves on demand.
func upstream(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/throttled":
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	case "/elsewhere":
		w.Header().Set("Location", "https://169.254.169.254/")
		w.WriteHeader(http.StatusFound)
	case "/cut":
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "/api/v1/watch-json":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"type":"ADDED","object":{}}`+"\n"+r.URL.Query().Get("part"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case "/api/v1/watch-me":
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(w, "event %d\n", i); err != nil || r.Context().Err() != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	case "/echo":
		if r.Header.Get("Upgrade") == "" {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-User: %s\r\n\r\n", r.Header.Get("Upgrade"), r.Header.Get("Impersonate-User"))
		_, _ = io.Copy(conn, buffered)
	default:
		body, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(seen{r.Proto, r.Method, r.RequestURI, r.Host, r.Header, string(body)})
	}
}

func (w *world) do(t *testing.T, method, path string, header http.Header, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.front.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	resp, err := w.front.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		text = append(text, []byte(" ERROR "+err.Error())...)
	}
	return resp, string(text)
}

func TestARequestArrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, uri := range []string{
		"/api/v1/pods?labelSelector=a%3Db&x=1;y=2", "/api/v1/a%2Fb/%2e%2e/c", "/apis//double", "/x?%zz=1&a", "/x?", "/watch?watch=false",
	} {
		_, text := w.do(t, http.MethodPost, uri, http.Header{"Accept": {"application/json"}, "X-Foo": {"1", "2"}, "User-Agent": {"kubectl/v1.37"}}, "body")
		var got seen
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %s", uri, text)
		}
		want := seen{Proto: "HTTP/1.1", Method: http.MethodPost, URI: uri, Host: strings.TrimPrefix(w.upstream.URL, "https://"), Body: "body", Header: http.Header{
			"Accept": {"application/json"}, "X-Foo": {"1", "2"}, "User-Agent": {"kubectl/v1.37"}, "Content-Length": {"4"}, "Authorization": {"Bearer proxy-credential"},
			"Impersonate-User": {"corp:jane"}, "Impersonate-Uid": {"usr_1"}, "Impersonate-Group": {"corp:dev", "system:authenticated"},
			"Impersonate-Extra-Authentication.kubernetes.io%2fcredential-Id": {"JTI=jti_1"}, "Accept-Encoding": {"gzip"},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", uri, diff)
		}
	}
}

func TestStreamsGoOverHTTP2AndArriveAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, text := w.do(t, http.MethodGet, "/api/v1/pods?watch=true", nil, "")
	if !strings.Contains(text, `"Proto":"HTTP/2.0"`) {
		t.Errorf("a watch: %s", text)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.front.URL+"/api/v1/watch-me?watch=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := w.front.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for i := range 3 { // the response never ends, so each line must arrive at once
		if !lines.Scan() || lines.Text() != fmt.Sprintf("event %d", i) {
			t.Fatalf("line %q, error %v", lines.Text(), lines.Err())
		}
	}
}

func TestAnswersPassUnchanged(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if resp, _ := w.do(t, http.MethodGet, "/throttled", nil, ""); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "7" {
		t.Errorf("429: %d %v", resp.StatusCode, resp.Header)
	}
	if _, text := w.do(t, http.MethodGet, "/cut", nil, ""); !strings.Contains(text, "ERROR") {
		t.Errorf("a cut answer looks whole: %q", text)
	}
}

func TestRefusalsAreStatusObjects(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gone := setup(t)
	gone.upstream.Close()
	for name, c := range map[string]struct {
		world  *world
		header http.Header
		code   int
		reason metav1.StatusReason
		says   string
	}{
		"no token":          {w, http.Header{"Authorization": {"Basic x"}}, 401, metav1.StatusReasonUnauthorized, "kubectl fairlead login"},
		"bad token":         {w, http.Header{"Authorization": {"Bearer x"}}, 401, metav1.StatusReasonUnauthorized, "not signed by an issuer"},
		"as somebody else":  {w, http.Header{"Impersonate-User": {"root"}}, 403, metav1.StatusReasonForbidden, "--as"},
		"API server is out": {gone, nil, 503, metav1.StatusReasonServiceUnavailable, "cannot reach the cluster's API server"},
	} {
		resp, text := c.world.do(t, http.MethodGet, "/api", c.header, "")
		var got metav1.Status
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %s", name, text)
		}
		if resp.StatusCode != c.code || got.Reason != c.reason || !strings.Contains(got.Message, c.says) || !strings.Contains(got.Message, resp.Header.Get("X-Request-Id")) {
			t.Errorf("%s: %d %+v", name, resp.StatusCode, got)
		}
		if e := c.world.last(); e.Name != audit.ProxyRefused || e.RequestID != resp.Header.Get("X-Request-Id") || e.Reason == "" || e.ClusterID != "a" {
			t.Errorf("%s: recorded %+v", name, e)
		}
	}
}

// TestRequestsAreRecordedWithoutTheirQuery: the query of an exec contains its command.
func TestRequestsAreRecordedWithoutTheirQuery(t *testing.T) {
	t.Parallel()
	w := setup(t)
	resp, _ := w.do(t, http.MethodGet, "/api/v1/namespaces/x/pods/y/log?command=secret", nil, "")
	e := w.last()
	if e.Name != audit.ProxyRequest || e.UserName != "corp:jane" || e.UserID != "usr_1" || e.TokenID != "jti_1" ||
		e.Detail != "GET /api/v1/namespaces/x/pods/y/log" || e.RequestID != resp.Header.Get("X-Request-Id") {
		t.Errorf("recorded %+v", e)
	}
}

// raw sends a request over a raw HTTP/1.1 connection.
func (w *world) raw(t *testing.T, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	u, err := url.Parse(w.front.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", u.Host, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, strings.ReplaceAll(strings.ReplaceAll(request, "TOKEN", w.token), "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func TestUpgrades(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, protocol := range []string{"websocket", "SPDY/3.1"} {
		// Data that is sent along with the request must not be lost.
		conn, r := w.raw(t, "POST /echo HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nConnection: Upgrade, Impersonate-User\nUpgrade: "+protocol+"\n\nearly")
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("X-User") != "corp:jane" {
			t.Fatalf("%s: %+v, %v", protocol, resp, err)
		}
		if _, err := io.WriteString(conn, "later"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("earlylater"))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != "earlylater" {
			t.Errorf("%s: %q, %v", protocol, got, err)
		}
	}
	for _, protocol := range []string{"h2c", "foo", "websocket\nUpgrade: h2c", "SPDY/2"} {
		_, r := w.raw(t, "GET /echo HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: x\nUpgrade: "+protocol+"\n\n")
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %+v, %v", protocol, resp, err)
		}
	}
}

// TestARefusedUpgradeIsNoTunnel covers CVE-2018-1002105: after a response other than 101 the next request on the
// connection is authenticated like any other.
func TestARefusedUpgradeIsNoTunnel(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for path, code := range map[string]int{"/throttled": http.StatusTooManyRequests, "/elsewhere": http.StatusFound} {
		w.refusesUpgrade(t, path, code)
	}
}

// refusesUpgrade makes the API server answer an upgrade with a redirect or an error. The proxy must not follow the
// redirect, and the next bytes on the connection must be a request of their own (CVE-2020-8559).
func (w *world) refusesUpgrade(t *testing.T, path string, code int) {
	t.Helper()
	_, r := w.raw(t, "GET "+path+" HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\nConnection: Upgrade\nUpgrade: websocket\n\n"+
		"GET /api HTTP/1.1\nHost: x\nImpersonate-User: admin\nAuthorization: Bearer made-up\n\n")
	first, err := http.ReadResponse(r, nil)
	if err != nil || first.StatusCode != code {
		t.Fatalf("first %+v, %v", first, err)
	}
	_, _ = io.Copy(io.Discard, first.Body)
	second, err := http.ReadResponse(r, nil)
	if err == nil && second.StatusCode != http.StatusUnauthorized || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("second %+v, %v", second, err)
	}
}

func TestSmugglingIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	head := "POST /api HTTP/1.1\nHost: x\nAuthorization: Bearer TOKEN\n"
	for name, request := range map[string]string{
		"two lengths":        head + "Content-Length: 3\nContent-Length: 4\n\nabc",
		"signed length":      head + "Content-Length: +3\n\nabc",
		"odd chunking":       head + "Transfer-Encoding: xchunked\n\nabc",
		"two hosts":          head + "Host: y\n\n",
		"blank before colon": head + "Impersonate-User : admin\n\n",
		"two tokens":         head + "Authorization: Bearer TOKEN\n\n",
		"line fold":          head + "X-A: b\n Impersonate-User: admin\n\n",
		"null in a value":    head + "X-A: \x00\n\n",
	} {
		_, r := w.raw(t, request)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			continue // the connection was closed, as expected
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode < 400 && !strings.Contains(string(body), `"Impersonate-User":["corp:jane"]`) || name != "line fold" && resp.StatusCode < 400 {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
}
