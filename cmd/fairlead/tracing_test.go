package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	"github.com/fairlead-auth/fairlead/internal/audit"
)

// spans is an OTLP collector that stores the spans.
type spans struct {
	mu  sync.Mutex
	raw []byte
	got []string
	ids []string
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var req collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &req) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = append(s.raw, body...)
	for _, resource := range req.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.got = append(s.got, span.GetName())
				s.ids = append(s.ids, string(span.GetTraceId()))
			}
		}
	}
}

func TestTracing(t *testing.T) {
	box := &spans{}
	srv := httptest.NewServer(box)
	t.Cleanup(srv.Close)
	e := echo.New()
	plain, stop, err := traced(t.Context(), e)
	if err != nil || plain != http.Handler(e) || stop() != nil {
		t.Fatalf("without a collector nothing is wrapped: %v", err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	provider := newOperatorRouter(t)
	handler, stop, err := traced(t.Context(), provider)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodGet, "/authorize?client_id=x&code=canary-code&state=canary-state", http.NoBody)
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	handler.ServeHTTP(httptest.NewRecorder(), req)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	box.mu.Lock()
	defer box.mu.Unlock()
	if len(box.got) != 1 || box.got[0] != "GET /authorize" {
		t.Errorf("spans %q", box.got)
	}
	if want := "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c"; len(box.ids) == 1 && box.ids[0] != want {
		t.Error("the span is no child of the caller's")
	}
	if bytes.Contains(box.raw, []byte("canary")) {
		t.Error("a span holds the query")
	}
}

// newOperatorRouter returns the router of a new server.
func newOperatorRouter(t *testing.T) *echo.Echo {
	t.Helper()
	o := newOperator(t)
	cfg, err := loadConfig(o.file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(t.Context(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.store.Close() })
	return a.router
}

// TestMetrics reads every metric once, and checks that no label holds a user, a path or free text.
func TestMetrics(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	cfg, err := loadConfig(o.file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(t.Context(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.store.Close() })
	if err := a.provider.Keys.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.telemetry.issued("refresh_token", "ok")
	a.telemetry.asked("corp", "refresh", time.Millisecond, true)
	for _, name := range []audit.Name{audit.SignInSucceeded, audit.SignInFailed, audit.SignInRefused, audit.TokenIssued, audit.KeyCreated} {
		_ = a.telemetry.WriteEvent(t.Context(), audit.Event{Name: name, ConnectorID: "corp", ClientID: "app", UserName: "canary", Reason: "r", Detail: "canary"})
	}
	a.router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/canary-path", http.NoBody))
	out := httptest.NewRecorder()
	handler := a.telemetry.handler(map[string]func(context.Context) error{"database": a.store.Ping})
	handler.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	text := out.Body.String()
	for _, name := range []string{
		"fairlead_build_info", "fairlead_http_requests_total", "fairlead_http_request_duration_seconds_bucket", `fairlead_logins_total{connector="corp",reason="r",result="failed"} 1`,
		`fairlead_tokens_issued_total{client="app",grant="r"} 1`, `fairlead_refresh_total{result="ok"} 1`, `fairlead_sessions{kind="device"} 0`, `fairlead_connector_up{connector="corp"} 1`,
		"fairlead_connector_request_duration_seconds_bucket", `fairlead_signing_key_rotation_timestamp_seconds{algorithm="RS256"} 1`, "fairlead_config_reload_success 1",
		`fairlead_database_connections{state="limit"} 1`,
	} {
		if !strings.Contains(text, name) {
			t.Errorf("no %s", name)
		}
	}
	if strings.Contains(text, "canary") {
		t.Error("a label holds what somebody sent")
	}
	// If the connection pool is exhausted, the liveness check passes and the readiness check fails.
	_ = a.store.Close()
	for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz?verbose": http.StatusServiceUnavailable, "/healthz": http.StatusServiceUnavailable} {
		got := httptest.NewRecorder()
		handler.ServeHTTP(got, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		if got.Code != want || want != http.StatusOK && !strings.Contains(got.Body.String(), "[-] database") {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
}

// TestMetricsReference compares the page and the alerts with the code.
func TestMetricsReference(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var groups struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(alerts, &groups); err != nil || len(groups.Groups) == 0 {
		t.Fatalf("alerts: %v", err)
	}
	name := regexp.MustCompile(`fairlead_[a-z_]+`)
	documented := map[string]bool{}
	for _, line := range regexp.MustCompile("(?m)^\\| `(fairlead_[a-z_]+)").FindAllStringSubmatch(string(page), -1) {
		documented[line[1]] = true
	}
	source := ""
	for _, file := range []string{"telemetry.go", "app.go", "../../proxy/proxy.go", "../fairlead-proxy/app.go", "../fairlead-proxy/audit.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source += string(text)
	}
	inCode := map[string]bool{}
	for _, quoted := range regexp.MustCompile(`"(fairlead_[a-z_]+)"`).FindAllStringSubmatch(source, -1) {
		inCode[quoted[1]] = true
	}
	if !maps.Equal(documented, inCode) {
		t.Errorf("documented %v, in the code %v", documented, inCode)
	}
	for _, rule := range slices.Concat(groups.Groups[0].Rules, groups.Groups[1].Rules) {
		for _, metric := range name.FindAllString(rule.Expr, -1) {
			if !inCode[metric] {
				t.Errorf("%s asks for %s, which is not there", rule.Alert, metric)
			}
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["action"] == "" {
			t.Errorf("%s does not say what to do", rule.Alert)
		}
	}
}
