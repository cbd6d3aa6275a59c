package bench_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

var (
	table = flag.String("table", "", "write the table into this file, between its marks")
	ops   = flag.Int("ops", 400, "how often each operation is measured")
)

// serveVariable makes this program a server: see serve_test.go.
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

// target is a running server.
type target struct {
	t    *testing.T
	name string
	// product is "fairlead" or "dex", database "SQLite" or "PostgreSQL".
	product, database, alg string
	issuer                 string
	cmd                    *exec.Cmd
	client                 *http.Client
}

func start(t *testing.T, product, database, alg string) *target {
	t.Helper()
	s := &target{t: t, product: product, database: database, alg: alg, name: product + " " + database + " " + alg}
	dsn := filepath.Join(t.TempDir(), "db")
	if database == "PostgreSQL" {
		dsn = storetest.PostgresConfig(t).DSN.Reveal()
	}
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), serveVariable+"="+product, "BENCH_DATABASE="+database, "BENCH_DSN="+dsn, "BENCH_ALG="+alg)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = s.cmd.Wait() })
	buf := make([]byte, 256)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	s.issuer = strings.TrimSpace(string(buf[:n]))
	s.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	return s
}

// cpu is the processor time that the server has used so far, and its database.
func (s *target) cpu() (server, database time.Duration) {
	s.t.Helper()
	server, _ = ticks(s.t, strconv.Itoa(s.cmd.Process.Pid))
	if s.database != "PostgreSQL" {
		return server, 0
	}
	main := os.Getenv("FAIRLEAD_TEST_POSTGRES_PID")
	own, gone := ticks(s.t, main)
	database = own + gone
	children, err := os.ReadFile("/proc/" + main + "/task/" + main + "/children")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, pid := range strings.Fields(string(children)) {
		used, _ := ticks(s.t, pid)
		database += used
	}
	return server, database
}

// ticks returns what a process has used itself, and its children that have ended.
func ticks(t *testing.T, pid string) (own, gone time.Duration) {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, 0 // it ended just now; its parent has counted it
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	sum := func(i, j int) time.Duration {
		a, errA := strconv.Atoi(fields[i])
		b, errB := strconv.Atoi(fields[j])
		if errA != nil || errB != nil {
			t.Fatalf("reading /proc: %s", text)
		}
		return time.Duration(a+b) * 10 * time.Millisecond
	}
	return sum(11, 12), sum(13, 14)
}

// row is a measured line of the table.
type row struct {
	Server, Operation       string
	CPU, Database, P50, P99 time.Duration
}

// measure does something many times, by one client or several at once.
func (s *target) measure(operation string, workers, n int, do func(worker, i int)) row {
	s.t.Helper()
	each := func(count int, took []time.Duration) {
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < count; i += workers {
					began := time.Now()
					do(w, i)
					if took != nil {
						took[i] = time.Since(began)
					}
				}
			})
		}
		wg.Wait()
	}
	each(warm, nil)
	took := make([]time.Duration, n)
	server, database := s.cpu()
	each(n, took)
	serverAfter, databaseAfter := s.cpu()
	slices.Sort(took)
	r := row{
		Server: s.name, Operation: operation, P50: took[n/2], P99: took[n*99/100],
		CPU: (serverAfter - server) / time.Duration(n), Database: (databaseAfter - database) / time.Duration(n),
	}
	s.t.Logf("%-26s %-26s CPU %8v  database %8v  p50 %8v  p99 %8v", r.Server, r.Operation, r.CPU.Round(time.Microsecond), r.Database.Round(time.Microsecond),
		r.P50.Round(time.Microsecond), r.P99.Round(time.Microsecond))
	return r
}

// warm is how often something is done before it is measured.
const warm = 20

// get fetches and wants a good answer.
func (s *target) get(path string) {
	s.t.Helper()
	resp, err := s.client.Get(s.issuer + path)
	if err != nil {
		s.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s answers %s", s.name, path, resp.Status)
	}
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
}

// token asks the token endpoint.
func (s *target) token(form url.Values) tokens {
	s.t.Helper()
	if form.Get("client_id") == "" {
		form.Set("client_id", "bench")
		form.Set("client_secret", "bench-secret")
	}
	resp, err := s.client.PostForm(s.issuer+"/token", form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var got tokens
	if err := json.Unmarshal(body, &got); err != nil || (got.Error != "" && got.Error != "authorization_pending" && got.Error != "slow_down") {
		s.t.Fatalf("%s: %s %s", s.name, resp.Status, body)
	}
	return got
}

// browser keeps cookies and follows redirects on the server.
func (s *target) browser() *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: s.client.Transport, Timeout: 20 * time.Second, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if req.URL.Host == "app.test" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

const redirect = "http://app.test/cb"

func (s *target) authorizePath() string {
	path := "/authorize"
	if s.product == "dex" {
		path = "/auth"
	}
	return s.issuer + path + "?" + url.Values{
		"response_type": {"code"}, "client_id": {"bench"}, "redirect_uri": {redirect}, "scope": {"openid profile email groups offline_access"}, "state": {"s"},
	}.Encode()
}

// code signs a person in by password and returns the code.
func (s *target) code(b *http.Client, user string) string {
	s.t.Helper()
	resp, err := b.Get(s.authorizePath())
	for range 4 {
		if err != nil {
			s.t.Fatal(err)
		}
		if code := codeOf(resp); code != "" {
			_ = resp.Body.Close()
			return code
		}
		resp, err = s.submit(b, resp, user)
	}
	s.t.Fatalf("%s: the sign-in does not end: %s", s.name, resp.Request.URL)
	return ""
}

func codeOf(resp *http.Response) string {
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return ""
	}
	return u.Query().Get("code")
}

func (s *target) submit(b *http.Client, resp *http.Response, user string) (*http.Response, error) {
	s.t.Helper()
	defer func() { _ = resp.Body.Close() }()
	doc, err := goquery.NewDocumentFromReader(resp.Body)
	if err != nil {
		return nil, err
	}
	form := doc.Find("form").First()
	values := url.Values{}
	for _, input := range form.Find("input").EachIter() {
		values.Set(input.AttrOr("name", ""), input.AttrOr("value", ""))
	}
	for _, name := range []string{"username", "login"} {
		if values.Has(name) {
			values.Set(name, user)
		}
	}
	values.Set("password", "bench-password")
	action, err := resp.Request.URL.Parse(form.AttrOr("action", ""))
	if err != nil {
		return nil, err
	}
	return b.PostForm(action.String(), values)
}

func (s *target) redeem(code string) tokens {
	return s.token(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}})
}

func user(i int) string { return fmt.Sprintf("user%d@example.test", i%64) }

// shared is what both products do. One client asks: Dex fails with several, for
// want of a second try after a serialization failure.
func (s *target) shared() []row {
	s.t.Helper()
	rows := []row{
		s.measure("discovery", 1, 5**ops, func(int, int) { s.get("/.well-known/openid-configuration") }),
		s.measure("JWKS", 1, 5**ops, func(int, int) { s.get("/keys") }),
		s.measure("password sign-in, with code", 1, max(20, *ops/8), func(_, i int) { s.code(s.browser(), user(i)) }),
	}
	// Codes live a minute, so there are not too many.
	const n = 100
	codes := make(chan string, n+warm)
	for i := range n + warm {
		codes <- s.code(s.browser(), user(i))
	}
	rows = append(rows, s.measure("code exchange", 1, n, func(int, int) { s.redeem(<-codes) }))
	return append(rows, s.refreshes("refresh", 1))
}

// refreshes are by devices of different people: Dex keeps one refresh token for a
// person and client.
func (s *target) refreshes(name string, workers int) row {
	s.t.Helper()
	devices := make([]tokens, workers)
	for w := range devices {
		devices[w] = s.redeem(s.code(s.browser(), user(w)))
	}
	return s.measure(name, workers, 2**ops, func(w, _ int) {
		devices[w] = s.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {devices[w].Refresh}})
	})
}

// ours is what only we do.
func (s *target) ours() []row {
	s.t.Helper()
	b := s.browser()
	s.code(b, user(2))
	plugin := s.pluginTokens(b)
	device := s.deviceCode()
	return []row{
		s.refreshes("refresh, four at once", 4),
		s.measure("token exchange", 1, *ops, func(int, int) {
			s.token(url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"kubectl-fairlead"}, "audience": {"k8s-c0"},
				"subject_token": {plugin.Access}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
			})
		}),
		s.measure("device poll", 1, *ops, func(int, int) {
			s.token(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"kubectl-fairlead"}, "device_code": {device}})
		}),
		s.measure("page with 500 clusters", 1, max(20, *ops/8), func(int, int) {
			resp, err := b.Get(s.issuer + "/")
			if err != nil {
				s.t.Fatal(err)
			}
			n, _ := io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK || n < 50_000 {
				s.t.Fatalf("the page has %d bytes, %s", n, resp.Status)
			}
		}),
	}
}

func (s *target) deviceCode() string {
	s.t.Helper()
	resp, err := s.client.PostForm(s.issuer+"/device/authorize", url.Values{"client_id": {"kubectl-fairlead"}, "scope": {"openid"}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var device struct {
		Code string `json:"device_code"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&device); err != nil {
		s.t.Fatal(err)
	}
	return device.Code
}

// pluginTokens signs kubectl in, in a browser that is signed in.
func (s *target) pluginTokens(b *http.Client) tokens {
	s.t.Helper()
	const verifier = "bench-verifier-0123456789-0123456789-0123456789"
	q := url.Values{
		"response_type": {"code"}, "client_id": {"kubectl-fairlead"}, "redirect_uri": {"http://127.0.0.1:1/callback"}, "scope": {"openid offline_access"},
		"code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"},
	}
	stop := *b
	stop.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if req.URL.Path == "/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := stop.Get(s.issuer + "/authorize?" + q.Encode())
	if err != nil {
		s.t.Fatal(err)
	}
	doc, err := goquery.NewDocumentFromReader(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err = stop.PostForm(s.issuer+"/confirm", url.Values{"flow": {doc.Find("input[name=flow]").AttrOr("value", "")}, "answer": {"yes"}})
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return s.token(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"kubectl-fairlead"}, "code": {codeOf(resp)},
		"redirect_uri": {"http://127.0.0.1:1/callback"}, "code_verifier": {verifier},
	})
}

// bare measures one signature with nothing around it, by processor time.
func bare(t *testing.T, alg string) time.Duration {
	t.Helper()
	sum := sha256.Sum256([]byte("bench"))
	var sign func() error
	switch alg {
	case "RS256":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		sign = func() error { _, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:]); return err }
	default:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		sign = func() error { _, err := ecdsa.SignASN1(rand.Reader, key, sum[:]); return err }
	}
	const n = 300
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := sign(); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		t.Fatal(err)
	}
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return time.Duration(spent / n)
}

// TestTable measures everything and writes the table.
func TestTable(t *testing.T) {
	var rows []row
	floor := map[string]time.Duration{}
	for _, alg := range []string{"RS256", "ES256"} {
		floor[alg] = bare(t, alg)
		t.Logf("bare %s signature: %v", alg, floor[alg])
		for _, database := range []string{"SQLite", "PostgreSQL"} {
			s := start(t, "fairlead", database, alg)
			rows = append(append(rows, s.shared()...), s.ours()...)
			if database == "PostgreSQL" {
				rows = append(rows, start(t, "dex", database, alg).shared()...)
			}
		}
		floor[alg] = min(floor[alg], bare(t, alg)) // the machine may have been busy
	}
	text := render(rows, floor, databaseShare(t))
	t.Log("\n" + text)
	if *table != "" {
		insert(t, *table, text)
	}
}

// render makes the table.
func render(rows []row, floor map[string]time.Duration, share map[string]time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "One bare signature: RSA-2048 %s, P-256 %s. The statements of one refresh alone, on our side of the database: SQLite %s, PostgreSQL %s.\n\n",
		ms(floor["RS256"]), ms(floor["ES256"]), ms(share["SQLite"]), ms(share["PostgreSQL"]))
	b.WriteString("| database, key | operation | server CPU | in signatures | with PostgreSQL's | Dex's server | Dex with PostgreSQL's | p50 | p99 |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, r := range rows {
		if strings.HasPrefix(r.Server, "dex") {
			continue
		}
		alg := r.Server[strings.LastIndexByte(r.Server, ' ')+1:]
		dex, dexAll, all := "-", "-", "-"
		if r.Database > 0 {
			all = ms(r.CPU + r.Database)
		}
		for _, d := range rows {
			if d.Server == strings.Replace(r.Server, "fairlead", "dex", 1) && d.Operation == r.Operation && r.CPU > 0 {
				dex = fmt.Sprintf("%s (%.1f ×)", ms(d.CPU), float64(d.CPU)/float64(r.CPU))
				dexAll = fmt.Sprintf("%s (%.1f ×)", ms(d.CPU+d.Database), float64(d.CPU+d.Database)/float64(r.CPU+r.Database))
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.2f | %s | %s | %s | %s | %s |\n", strings.TrimPrefix(r.Server, "fairlead "), r.Operation, ms(r.CPU),
			float64(r.CPU)/float64(floor[alg]), all, dex, dexAll, ms(r.P50), ms(r.P99))
	}
	return b.String()
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }

// insert replaces what is between the marks of a file.
func insert(t *testing.T, file, text string) {
	t.Helper()
	const begin, end = "<!-- bench -->\n", "<!-- /bench -->"
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(body), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no marks %q and %q", file, begin, end)
	}
	if err := os.WriteFile(file, []byte(head+begin+"\n"+text+"\n"+end+tail), 0o600); err != nil {
		t.Fatal(err)
	}
}
