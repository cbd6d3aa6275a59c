package proxy_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkForward compares three ways to the same API server in turns, within one run: directly, through a plain
// httputil.ReverseProxy with a connection pool, and through the proxy. Client, API server and both proxies share
// this process, so the CPU time of a request is the sum of all.
//
// It reports CPU times as ratios: direct/bare and direct/ours (1 would cost nothing), and bare/ours (above 1 is
// cheaper than the bare one).
func BenchmarkForward(b *testing.B) {
	for _, h2 := range []bool{false, true} {
		for _, kilobytes := range []int{2, 100, 5 << 10} {
			b.Run(fmt.Sprintf("h2=%t/%dKB", h2, kilobytes), func(b *testing.B) { benchmarkForward(b, h2, kilobytes<<10) })
		}
	}
}

func benchmarkForward(b *testing.B, h2 bool, size int) {
	w := &world{}
	body := bytes.Repeat([]byte("x"), size)
	w.start(b, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = rw.Write(body)
	})
	ways := []*way{{name: "direct", url: w.upstream.URL}, {name: "bare", url: bare(b, w.upstream.URL)}, {name: "ours", url: w.front.URL}}
	requests := max(16, min(400, 40<<20/size))
	for _, each := range ways {
		each.client = newClient(b, h2)
		each.ask(b, w.token, requests) // opens the connections and verifies the token
	}
	for round := 0; b.Loop(); round++ {
		for i := range ways {
			each := ways[(i+round)%len(ways)]
			before := cpu(b)
			each.ask(b, w.token, requests)
			each.used += cpu(b) - before
		}
	}
	direct, through, ours := float64(ways[0].used), float64(ways[1].used), float64(ways[2].used)
	b.ReportMetric(0, "ns/op") // the total time of all three is meaningless
	b.ReportMetric(ours/float64(b.N*requests)/float64(time.Microsecond), "cpu-µs/request")
	b.ReportMetric(direct/through, "direct/bare")
	b.ReportMetric(direct/ours, "direct/ours")
	b.ReportMetric(through/ours, "bare/ours")
}

// way is one way to the API server, with its CPU time.
type way struct {
	name, url string
	client    *http.Client
	used      time.Duration
}

// ask sends requests, sixteen at a time.
func (w *way) ask(b *testing.B, token string, requests int) {
	b.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, requests)
	for worker := range 16 {
		wg.Go(func() {
			for n := worker; n < requests; n += 16 {
				errs <- w.get(token)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			b.Fatalf("%s: %v", w.name, err)
		}
	}
}

func (w *way) get(token string) error {
	req, err := http.NewRequest(http.MethodGet, w.url+"/api/v1/namespaces/demo/pods/a", http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("it answers %s", resp.Status))
	}
	return errors.Join(err, resp.Body.Close())
}

// bare starts a reverse proxy without any checks.
func bare(b *testing.B, upstream string) string {
	b.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		b.Fatal(err)
	}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: newClient(b, false).Transport,
	})
	front.EnableHTTP2 = true
	front.StartTLS()
	b.Cleanup(front.Close)
	return front.URL
}

func newClient(b *testing.B, h2 bool) *http.Client {
	b.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		Protocols:       protocols, MaxIdleConnsPerHost: 64, DisableCompression: true,
	}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// cpu returns the CPU time of all threads of this process.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
