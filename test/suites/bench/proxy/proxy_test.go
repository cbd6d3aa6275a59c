package proxybench_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientcmd "k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/realkube"
)

var (
	table  = flag.String("table", "", "write the tables into this file, between its marks")
	rounds = flag.Int("rounds", 10, "how often each is measured, in turns")
	idle   = flag.Int("watches", 5000, "how many idle watches")
)

// serveVariable makes this program one of the parts: see serve_test.go.
const serveVariable = "FAIRLEAD_BENCH_SERVE"

func TestMain(m *testing.M) {
	if kind := os.Getenv(serveVariable); kind != "" {
		if err := serve(kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

func (b *bench) request(address, path string) *http.Request {
	req, err := http.NewRequest(http.MethodGet, "https://"+address+path, http.NoBody)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	return req
}

func (b *bench) get(client *http.Client, address, path string) (int, error) {
	resp, err := client.Do(b.request(address, path))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// cell is something that is asked for, over each connection one at a time: as fast as it is
// answered, or every so often.
type cell struct {
	name, path  string
	h2          bool
	connections int
	every       time.Duration
}

func cells() []cell {
	const pod = "/api/v1/namespaces/demo/pods/"
	return []cell{
		{"HTTP/1.1, 2 KB, 16 at a time", pod + "small", false, 16, 0},
		{"HTTP/2, 2 KB, 16 at a time", pod + "small", true, 16, 0},
		{"HTTP/2, 100 KB, 16 at a time", pod + "medium", true, 16, 0},
		{"HTTP/2, 5 MB, 4 at a time", pod + "large", true, 4, 0},
	}
}

// sample is what was measured of one way, in one round.
type sample struct {
	perSecond               float64
	proxy, upstream, client time.Duration // of processor, a request
	p50                     time.Duration
}

const window = 700 * time.Millisecond

// load asks as fast as it can, over some connections.
func (b *bench) load(t *testing.T, c cell, p, api *part) sample {
	t.Helper()
	clients := make([]*http.Client, c.connections)
	for i := range clients {
		clients[i] = newClient(c.h2)
		if code, err := b.get(clients[i], p.address, c.path); err != nil || code != http.StatusOK {
			t.Fatalf("%s: %d %v", p.name, code, err)
		}
	}
	before := [3]time.Duration{p.used(t), api.used(t), self(t)}
	began := time.Now()
	var mu sync.Mutex
	var took []time.Duration
	var group sync.WaitGroup
	for i, client := range clients {
		group.Go(func() {
			var mine []time.Duration
			next := began.Add(c.every * time.Duration(i) / time.Duration(len(clients)))
			for time.Since(began) < window {
				time.Sleep(time.Until(next)) // not at all, when there is no pause
				next = next.Add(c.every)
				at := time.Now()
				if code, err := b.get(client, p.address, c.path); err != nil || code != http.StatusOK {
					t.Errorf("%s: %d %v", p.name, code, err)
					return
				}
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	group.Wait()
	lasted, n := time.Since(began), time.Duration(len(took))
	for _, client := range clients {
		client.CloseIdleConnections()
	}
	slices.Sort(took)
	s := sample{perSecond: float64(n) / lasted.Seconds(), p50: took[len(took)/2], upstream: (api.used(t) - before[1]) / n, client: (self(t) - before[2]) / n}
	if p != api {
		s.proxy = (p.used(t) - before[0]) / n
	}
	return s
}

// used is the processor time of a process and its children, to a hundredth of a second.
func (p *part) used(t *testing.T) time.Duration {
	t.Helper()
	total := ticks(strconv.Itoa(p.cmd.Process.Pid))
	for _, child := range children(p.cmd.Process.Pid) {
		total += ticks(child)
	}
	return total
}

func children(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}

// ticks sums what the threads have run, in nanoseconds (sched.c of the kernel).
func ticks(pid string) time.Duration {
	var total time.Duration
	files, _ := filepath.Glob("/proc/" + pid + "/task/*/schedstat")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			first, _, _ := strings.Cut(string(text), " ")
			total += time.Duration(number(first))
		}
	}
	return total
}

func self(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// memory is the resident set of a process and its children, in megabytes.
func (p *part) memory() float64 {
	total := 0.0
	for _, pid := range append(children(p.cmd.Process.Pid), strconv.Itoa(p.cmd.Process.Pid)) {
		text, _ := os.ReadFile("/proc/" + pid + "/status")
		_, rest, _ := strings.Cut(string(text), "VmRSS:")
		first, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		total += number(first) / 1024
	}
	return total
}

// median of what f says of each.
func median[T any](list []T, f func(T) float64) float64 {
	values := make([]float64, len(list))
	for i, x := range list {
		values[i] = f(x)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// toDirect is the median ratio of a way to the first one. Ratios are of a round: what disturbs
// one disturbs all of it.
func toDirect(samples [][]sample, i int, f func(s, direct sample) float64) float64 {
	ratios := make([]float64, len(samples[i]))
	for n, s := range samples[i] {
		ratios[n] = f(s, samples[0][n])
	}
	return median(ratios, func(r float64) float64 { return r })
}

// longer says how long the first way took, and of each other how much longer that was.
func longer(samples [][]sample, i int) string {
	p50 := func(s sample) float64 { return float64(s.p50) }
	if i == 0 {
		return time.Duration(median(samples[0], p50)).Round(time.Microsecond).String()
	}
	more := median(samples[i], p50) - median(samples[0], p50)
	return fmt.Sprintf("+%v, %.2f ×", time.Duration(more).Round(time.Microsecond), toDirect(samples, i, func(s, d sample) float64 { return p50(s) / p50(d) }))
}

// inTurns measures every way in every round, each time in another order, so that none always
// comes after the one that leaves the most behind it, and returns the samples by way.
func (b *bench) inTurns(t *testing.T, c cell, ways []*part, api *part) [][]sample {
	t.Helper()
	samples := make([][]sample, len(ways))
	n := *rounds
	if c.connections == 1 || c.every > 0 { // what waits differs most from round to round
		n *= 2
	}
	for range n {
		for _, which := range rand.Perm(len(ways)) {
			samples[which] = append(samples[which], b.load(t, c, ways[which], api))
		}
	}
	return samples
}

// TestTable measures everything and writes the tables.
func TestTable(t *testing.T) {
	b := newBench(t)
	api := b.own(t, "direct", "stub", "api", "/dev/null")
	kubeconfig := b.kubeconfig(t, api.address)
	ours := b.ours(t, kubeconfig)
	ways := []*part{api, b.own(t, "bare ReverseProxy", "bare", "proxy", kubeconfig), b.nginx(t, api.address), b.own(t, "built as kube-oidc-proxy", "peer", "proxy", kubeconfig), ours}
	var out strings.Builder
	fresh := map[*part]float64{}
	for _, p := range ways {
		fresh[p] = p.memory()
	}
	// Before anything has left its traces.
	alone := b.inTurns(t, cell{"", cells()[0].path, true, 1, 0}, ways, api)
	now := b.inTurns(t, cell{"", cells()[0].path, true, 16, 80 * time.Millisecond}, ways, api)
	for _, c := range cells() {
		samples := b.inTurns(t, c, ways, api)
		fmt.Fprintf(&out, "\n**%s**\n\n| way | requests/s to direct | processor of all to direct | proxy, µs a request | API server to direct |\n| --- | ---: | ---: | ---: | ---: |\n", c.name)
		for i, p := range ways {
			all := func(s sample) float64 { return float64(s.proxy + s.upstream + s.client) }
			fmt.Fprintf(&out, "| %s | %.2f | %.2f | %.0f | %.1f |\n", p.name, toDirect(samples, i, func(s, d sample) float64 { return s.perSecond / d.perSecond }), toDirect(samples, i, func(s, d sample) float64 { return all(d) / all(s) }),
				median(samples[i], func(s sample) float64 { return float64(s.proxy) / 1000 }), toDirect(samples, i, func(s, d sample) float64 { return float64(s.upstream) / float64(d.upstream) }))
		}
	}
	b.others(t, &out, ways, [2][][]sample{alone, now}, fresh)
	b.ourOwn(t, &out, kubeconfig)
	b.real(t, &out)
	if *table != "" {
		insert(t, *table, out.String())
	}
	t.Log(out.String())
}

// others are figures of each way that are no rate of requests.
func (b *bench) others(t *testing.T, out *strings.Builder, ways []*part, calm [2][][]sample, fresh map[*part]float64) {
	t.Helper()
	fmt.Fprintf(out, "\n**Alone, streams, memory**\n\n| way | one at a time, p50, and to direct | 200 a second, p50, and to direct | watch event, p50 | port-forward, to direct | memory, MB | with %d idle watches | a watch, KB | until the first answer |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n", *idle)
	flow := b.throughput(t, ways[0])
	for i, p := range ways {
		event := b.watchLatency(t, p).Round(time.Microsecond)
		through := b.throughput(t, p) / flow
		before := p.memory()
		loaded, each := "–", "–"
		if p.name != nginxName { // it holds back what begins so many streams of a connection
			held := b.idleWatches(t, p, *idle, 25)
			loaded, each = fmt.Sprintf("%.0f", held), fmt.Sprintf("%.0f", (held-before)*1024/float64(*idle))
		}
		size, first := fmt.Sprintf("%.0f", fresh[p]), p.started.Round(time.Millisecond).String()
		fmt.Fprintf(out, "| %s | %s | %s | %v | %.2f | %s | %s | %s | %s |\n", p.name, longer(calm[0], i), longer(calm[1], i), event, through, size, loaded, each, first)
	}
	errs := b.goaway(t, ways[len(ways)-1])
	fetches := b.badTokens(t, ways[len(ways)-1])
	info, err := os.Stat(prerequisite.Variable(t, "FAIRLEAD_TEST_BIN", "built programs") + "/fairlead-proxy")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(out, "\nThe proxy's program is %.1f MB. Of 9,600 requests with a body to an API server that ends connections under 2 %% of them, %d fail. 40 made-up tokens cause %d fetches of keys.\n", float64(info.Size())/1e6, errs, fetches)
}

// ourOwn are figures that only fairlead-proxy has a goal for, of fresh ones.
func (b *bench) ourOwn(t *testing.T, out *strings.Builder, kubeconfig string) {
	t.Helper()
	few, many, asked := b.ours(t, kubeconfig), b.ours(t, kubeconfig), b.ours(t, kubeconfig)
	fmt.Fprintf(out, "With 1,000 idle watches it has %.0f MB when they come over 10 connections, and %.0f MB over 1,000.", b.idleWatches(t, few, 1000, 10), b.idleWatches(t, many, 1000, 1000))
	count := func() (allocations, bytes float64) {
		return asked.metric(t, "go_memstats_mallocs_total"), asked.metric(t, "go_memstats_alloc_bytes_total")
	}
	const requests = 5000
	client := newClient(true)
	defer client.CloseIdleConnections()
	ask := func(n int) {
		for range n {
			if code, err := b.get(client, asked.address, cells()[1].path); err != nil || code != http.StatusOK {
				t.Fatal(code, err)
			}
		}
	}
	ask(100) // what is made once
	objects, bytes := count()
	ask(requests)
	after, more := count()
	fmt.Fprintf(out, " A request of 2 KB over HTTP/2 takes %.0f allocations, %.1f KB in all.\n", (after-objects)/requests, (more-bytes)/requests/1024)
}

// metric reads one of the proxy's own metrics.
func (p *part) metric(t *testing.T, name string) float64 {
	t.Helper()
	resp, err := http.Get("http://" + p.health + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			return number(value)
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// watchLatency is the median time of an event, of twenty watchers.
func (b *bench) watchLatency(t *testing.T, p *part) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			client := newClient(true)
			defer client.CloseIdleConnections()
			resp, err := client.Do(b.request(p.address, "/api/v1/pods?watch=1&labelSelector=busy").WithContext(ctx))
			if err != nil {
				return
			}
			defer resp.Body.Close()
			for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
				since := time.Now().UnixNano() - int64(number(lines.Text()))
				mu.Lock()
				took = append(took, time.Duration(since))
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(took) == 0 {
		t.Fatalf("%s: no event", p.name)
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// throughput sends bytes through an upgraded connection and back, in bytes a second.
func (b *bench) throughput(t *testing.T, p *part) float64 {
	t.Helper()
	conn, err := tls.Dial("tcp", p.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/namespaces/demo/pods/a/portforward HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n", b.token)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%s: %v %v", p.name, err, resp)
	}
	const total = 256 << 20
	began := time.Now()
	go func() {
		piece := make([]byte, 64<<10)
		for range total / len(piece) {
			if _, err := conn.Write(piece); err != nil {
				return
			}
		}
	}()
	if _, err := io.CopyN(io.Discard, r, total); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return total / time.Since(began).Seconds()
}

// idleWatches opens watches that say nothing, over some connections, and returns the memory
// then.
func (b *bench) idleWatches(t *testing.T, p *part, watches, connections int) float64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	clients := make([]*http.Client, connections)
	var bodies []io.Closer
	var mu sync.Mutex
	for i := range clients {
		clients[i] = newClient(true)
		group.Go(func() {
			for range watches / connections {
				resp, err := clients[i].Do(b.request(p.address, "/api/v1/pods?watch=1").WithContext(ctx))
				if err != nil {
					t.Errorf("%s: %v", p.name, err)
					return
				}
				mu.Lock()
				bodies = append(bodies, resp.Body)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	time.Sleep(time.Second)
	loaded := p.memory()
	cancel()
	for _, body := range bodies {
		_ = body.Close()
	}
	for _, client := range clients {
		client.CloseIdleConnections()
	}
	runtime.GC()
	time.Sleep(500 * time.Millisecond)
	return loaded
}

// goaway counts requests with a body that fail while the API server ends connections.
func (b *bench) goaway(t *testing.T, p *part) int {
	t.Helper()
	failed := make(chan int, 32)
	body := strings.Repeat("x", 4096)
	for range 32 {
		go func() {
			n, client := 0, newClient(true)
			for range 300 {
				req := b.request(p.address, "/api/v1/namespaces/demo/pods/small")
				req.Method, req.Body, req.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(body)), int64(len(body))
				resp, err := client.Do(req)
				if err != nil {
					n++
					continue
				}
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					n++
				}
			}
			failed <- n
		}()
	}
	sum := 0
	for range 32 {
		sum += <-failed
	}
	return sum
}

// badTokens counts the fetches of keys that tokens with a made-up key cause.
func (b *bench) badTokens(t *testing.T, p *part) int64 {
	t.Helper()
	before := b.fetches.Load()
	good := b.token
	defer func() { b.token = good }()
	for i := range 40 {
		other := newToken(t, b, fmt.Sprint("made-up-", i))
		b.token = other
		if code, err := b.get(newClient(true), p.address, "/api"); err != nil || code != http.StatusUnauthorized {
			t.Errorf("a made-up token: %d %v", code, err)
		}
	}
	return b.fetches.Load() - before
}

// real measures before a real API server.
func (b *bench) real(t *testing.T, out *strings.Builder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	kube, err := realkube.Start(ctx, realkube.Config{Bin: prerequisite.Variable(t, "FAIRLEAD_TEST_KUBE", "kube-apiserver"), Dir: t.TempDir(), AuthenticationConfig: []byte(b.authentication(t))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kube.Stop)
	for _, manifest := range []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: demo}\n",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: fairlead}\n",
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: fairlead-proxy, namespace: fairlead}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: small, namespace: demo}\ndata: {a: \"" + strings.Repeat("x", 2000) + "\"}\n",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: reads}\nrules: [{apiGroups: [\"\"], resources: [configmaps, pods], verbs: [get, list]}]\n",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: reads}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reads}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: \"corp:group-3\"}]\n",
	} {
		if _, err := kube.Kubectl(ctx, manifest, "apply", "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
	rbac, err := os.ReadFile("../../../../deploy/kubernetes/proxy-rbac-constrained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kube.Kubectl(ctx, string(rbac), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	// As in a pod: the API server remembers a token, and verifies a client certificate anew at each request.
	token, err := kube.Kubectl(ctx, "", "create", "token", "-n", "fairlead", "fairlead-proxy")
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := kube.Kubeconfig("service-account", &clientcmd.AuthInfo{TokenFile: b.write(t, "service-account-token", strings.TrimSpace(token))})
	if err != nil {
		t.Fatal(err)
	}
	const path = "/api/v1/namespaces/demo/configmaps/small"
	api := &part{name: "direct", address: strings.TrimPrefix(kube.URL, "https://"), cmd: kubeProcess(t)}
	for {
		if code, _ := b.get(newClient(true), api.address, path); code == http.StatusOK {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the API server does not take the token")
		}
		time.Sleep(100 * time.Millisecond)
	}
	certificate, err := kube.ClientKubeconfig("proxy", "fairlead-proxy")
	if err != nil {
		t.Fatal(err)
	}
	ways := []*part{api, b.own(t, "bare ReverseProxy, passes the person's token on", "bare", "proxy", credentials), b.own(t, "built as kube-oidc-proxy", "peer", "proxy", credentials), b.ours(t, credentials), b.ours(t, certificate)}
	ways[len(ways)-1].name += ", with a client certificate"
	fmt.Fprintf(out, "\n**A real kube-apiserver, 2 KB, twelve groups**\n\n| way | requests/s to direct, 16 at a time | processor of proxy, µs | API server to direct | one at a time, p50, and to direct |\n| --- | ---: | ---: | ---: | ---: |\n")
	many, alone := b.inTurns(t, cell{"", path, true, 16, 0}, ways, api), b.inTurns(t, cell{"", path, true, 1, 0}, ways, api)
	for i, p := range ways {
		fmt.Fprintf(out, "| %s | %.2f | %.0f | %.2f | %s |\n", p.name, toDirect(many, i, func(s, d sample) float64 { return s.perSecond / d.perSecond }),
			median(many[i], func(s sample) float64 { return float64(s.proxy) / 1000 }), toDirect(many, i, func(s, d sample) float64 { return float64(s.upstream) / float64(d.upstream) }), longer(alone, i))
	}
}

// kubeProcess finds the API server among this process's children.
func kubeProcess(t *testing.T) *exec.Cmd {
	t.Helper()
	for _, pid := range allChildren() {
		text, _ := os.ReadFile("/proc/" + pid + "/comm")
		if strings.TrimSpace(string(text)) == "kube-apiserver" {
			n, _ := strconv.Atoi(pid)
			process, err := os.FindProcess(n)
			if err != nil {
				t.Fatal(err)
			}
			return &exec.Cmd{Process: process}
		}
	}
	t.Fatal("no kube-apiserver")
	return nil
}

func allChildren() []string {
	var all []string
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	for _, file := range tasks {
		text, _ := os.ReadFile(file)
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

// insert replaces what is between the marks of a file.
func insert(t *testing.T, file, text string) {
	t.Helper()
	const begin, end = "<!-- proxy -->\n", "<!-- /proxy -->"
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(old), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no marks %q and %q", file, begin, end)
	}
	if err := os.WriteFile(file, []byte(head+begin+text+"\n"+end+tail), 0o600); err != nil {
		t.Fatal(err)
	}
}
