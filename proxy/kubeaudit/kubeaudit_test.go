package kubeaudit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/kubeaudit"
	"github.com/fairlead-auth/fairlead/proxy/requestinfo"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func jane() *authn.Identity {
	return &authn.Identity{User: "corp:jane", UID: "usr_1", Groups: []string{"corp:dev"}, Extra: []authn.Extra{{Key: "a", Value: "b"}}}
}

// memory is a sink that keeps events in memory, or fails with err.
type memory struct {
	events []auditv1.Event
	err    error
}

func (m *memory) Ready() error { return m.err }

func (m *memory) WriteEvent(e *auditv1.Event) error {
	if m.err == nil {
		m.events = append(m.events, *e)
	}
	return m.err
}

// newLog returns a log with a policy, and the sink with its events.
func newLog(t *testing.T, policy string) (*kubeaudit.Log, *memory) {
	t.Helper()
	p, err := kubeaudit.ParsePolicy([]byte("apiVersion: audit.k8s.io/v1\nkind: Policy\n" + policy))
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{}
	return &kubeaudit.Log{Policy: p, Sinks: []kubeaudit.Sink{m}, Now: noon, OnError: func(context.Context, error) {}}, m
}

func request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func begin(t *testing.T, log *kubeaudit.Log, r *http.Request, identity *authn.Identity) *kubeaudit.Entry {
	t.Helper()
	e, err := log.Begin(r, requestinfo.Parse(r), identity, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (m *memory) stages() string {
	var s []string
	for _, e := range m.events {
		s = append(s, string(e.Stage))
	}
	return strings.Join(s, " ")
}

func (m *memory) last() auditv1.Event { return m.events[len(m.events)-1] }

func TestStages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ policy, target, want string }{
		{"rules: [{level: Metadata}]", "/api/v1/pods", "RequestReceived ResponseComplete"},
		{"rules: [{level: Metadata}]", "/api/v1/pods?watch=1", "RequestReceived ResponseStarted ResponseComplete"},
		{"rules: [{level: Metadata}]", "/api/v1/pods?watch=maybe", "RequestReceived ResponseStarted ResponseComplete"},
		{"rules: [{level: Metadata}]", "/api/v1/namespaces/a/pods/b/log", "RequestReceived ResponseStarted ResponseComplete"},
		{"omitStages: [RequestReceived]\nrules: [{level: Metadata}]", "/api/v1/pods", "ResponseComplete"},
		{"omitStages: [RequestReceived]\nrules: [{level: Metadata, omitStages: [ResponseStarted]}]", "/api/v1/pods?watch=1", "ResponseComplete"},
		{"rules: [{level: None, resources: [{resources: [pods]}]}, {level: Metadata}]", "/api/v1/pods", ""},
		{"rules: [{level: None, nonResourceURLs: [\"/healthz*\"]}, {level: Metadata}]", "/healthz/ping", ""},
		{"rules: [{level: None, userGroups: [\"system:authenticated\"]}, {level: Metadata}]", "/api/v1/pods", ""},
		{"rules: [{level: None, users: [\"corp:bob\"]}, {level: Metadata}]", "/api/v1/pods", "RequestReceived ResponseComplete"},
	} {
		log, m := newLog(t, c.policy)
		e := begin(t, log, request("GET", c.target, ""), jane())
		e.Started(t.Context(), 200)
		e.Started(t.Context(), 500)
		e.Complete(t.Context(), kubeaudit.Outcome{})
		if m.stages() != c.want {
			t.Errorf("%s of %s: %q, want %q", c.policy, c.target, m.stages(), c.want)
		}
		if c.want != "" && m.last().ResponseStatus.Code != 200 {
			t.Errorf("code %d", m.last().ResponseStatus.Code)
		}
	}
}

func TestEventFields(t *testing.T) {
	t.Parallel()
	log, m := newLog(t, "rules: [{level: Metadata}]")
	r := request("POST", "/apis/apps/v1/namespaces/a/deployments/b/scale", "{}")
	r.Header.Set("User-Agent", strings.Repeat("x", 2000))
	r.Header.Set("Audit-Id", "mine")
	e := begin(t, log, r, jane())
	e.SetImpersonatedUser(&authn.Identity{User: "bob", Groups: []string{"system:authenticated"}})
	e.Complete(t.Context(), kubeaudit.Outcome{Refusal: status.NoAccess().KubernetesStatus(), Annotations: map[string]string{"k": "v"}})
	text, err := json.Marshal(m.last())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"mine","stage":"ResponseComplete",` +
		`"requestURI":"/apis/apps/v1/namespaces/a/deployments/b/scale","verb":"create",` +
		`"user":{"username":"corp:jane","uid":"usr_1","groups":["corp:dev","system:authenticated"],"extra":{"a":["b"]}},` +
		`"impersonatedUser":{"username":"bob","groups":["system:authenticated"]},"sourceIPs":["192.0.2.1"],` +
		`"userAgent":"` + strings.Repeat("x", 1024) + `...TRUNCATED",` +
		`"objectRef":{"resource":"deployments","namespace":"a","name":"b","apiGroup":"apps","apiVersion":"v1","subresource":"scale"},` +
		`"responseStatus":{"metadata":{},"status":"Failure","message":"` + status.NoAccess().Message() + `","reason":"Forbidden","code":403},` +
		`"requestReceivedTimestamp":"2026-11-23T12:00:00.000000Z","stageTimestamp":"2026-11-23T12:00:00.000000Z","annotations":{"proxy.fairlead.dev/k":"v"}}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnauthenticatedRequest(t *testing.T) {
	t.Parallel()
	log, m := newLog(t, "rules: [{level: Metadata}]")
	e := begin(t, log, request("GET", "/api/v1/secrets", ""), nil)
	e.Complete(t.Context(), kubeaudit.Outcome{Refusal: status.NoToken().KubernetesStatus()})
	if got := m.last(); m.stages() != "RequestReceived ResponseComplete" || got.User.Username != "" || got.ResponseStatus.Code != 401 || got.ObjectRef.Resource != "secrets" {
		t.Errorf("%s: %+v", m.stages(), got)
	}
}

func TestClientAuditIDs(t *testing.T) {
	t.Parallel()
	for id, kept := range map[string]bool{"a-b_1": true, "": false, "a b": false, "a\nb": false, strings.Repeat("x", 65): false, "é": false} {
		log, m := newLog(t, "rules: [{level: Metadata}]")
		r := request("GET", "/api", "")
		r.Header["Audit-Id"] = []string{id}
		begin(t, log, r, jane())
		if got := string(m.last().AuditID); (got == id) != kept || got == "" {
			t.Errorf("%q became %q", id, got)
		}
	}
}

func TestIncludeCommands(t *testing.T) {
	t.Parallel()
	const exec = "/api/v1/namespaces/a/pods/b/exec?command=mysql&command=-psecret"
	for _, include := range []bool{false, true} {
		log, m := newLog(t, "rules: [{level: Metadata}]")
		log.IncludeCommands = include
		begin(t, log, request("POST", exec, ""), jane())
		begin(t, log, request("GET", "/api/v1/pods?limit=1", ""), jane())
		if got := strings.Contains(m.events[0].RequestURI, "secret"); got != include {
			t.Errorf("IncludeCommands %v: %s", include, m.events[0].RequestURI)
		}
		if m.events[1].RequestURI != "/api/v1/pods?limit=1" {
			t.Error(m.events[1].RequestURI)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	const policy = "omitManagedFields: true\nrules: [{level: Request, resources: [{resources: [configmaps, pods, pods/exec]}]}, {level: Metadata}]"
	for _, c := range []struct{ target, kind, body, want, reason string }{
		{"/api/v1/namespaces/a/configmaps", "application/json", `{"metadata":{"managedFields":[1],"name":"x"}}`, `{"metadata":{"name":"x"}}`, ""},
		{"/api/v1/namespaces/a/configmaps", "application/json-patch+json", `[{"op":"x"}]`, `[{"op":"x"}]`, ""},
		{"/api/v1/namespaces/a/configmaps", "application/apply-patch+yaml", "a: {b: 1}", `{"a":{"b":1}}`, ""},
		{"/api/v1/namespaces/a/configmaps", "", `{}`, `{}`, ""},
		{"/api/v1/namespaces/a/configmaps", "application/vnd.kubernetes.protobuf", "k8s", "", "of type application/vnd.kubernetes.protobuf"},
		{"/api/v1/namespaces/a/configmaps", "application/json", "{", "", "not JSON"},
		{"/api/v1/namespaces/a/configmaps", "application/json", `{"a":"` + strings.Repeat("x", 300<<10) + `"}`, "", "larger than 256 KiB"},
		{"/api/v1/namespaces/a/secrets", "application/json", `{}`, "", ""},
		{"/api/v1/namespaces/a/pods/b/exec", "application/json", `{}`, "", ""},
	} {
		log, m := newLog(t, policy)
		r := request("POST", c.target, c.body)
		r.Header.Set("Content-Type", c.kind)
		e := begin(t, log, r, jane())
		text, err := io.ReadAll(r.Body)
		if err != nil || string(text) != c.body {
			t.Fatalf("the body is not passed on: %v", err)
		}
		e.Complete(t.Context(), kubeaudit.Outcome{})
		var got string
		if o := m.last().RequestObject; o != nil {
			got = string(o.Raw)
		}
		if got != c.want || m.last().Annotations["proxy.fairlead.dev/request-object-omitted"] != c.reason {
			t.Errorf("%s %s: %q, %v", c.target, c.kind, got, m.last().Annotations)
		}
	}
}

func TestInvalidPolicies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":          "unknown group version",
		"rules: []": `unknown field "rules"`,
		"{":         "parse error",
		"apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: Metadata}]":                                                      "no kind",
		"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []":                                                                            "0 rules",
		"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Everything}]":                                                         "Unsupported value",
		"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, user: [a]}]":                                                `unknown field "rules[0].user"`,
		"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, verBs: [get]}, {level: Metadata}]":                              `unknown field "rules[0].verBs"`,
		"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}, {level: RequestResponse}]":                                 "rule 2: the proxy does not support the level RequestResponse",
		"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Request}]":                                                            "must name its resources",
		"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Request, resources: [{group: apps}]}]":                                "must name a group and its resources",
		"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Request, resources: [{group: \"*\", resources: [pods]}]}]":            "must name a group and its resources",
		"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Request, resources: [{resources: [\"*\"]}]}]":                         `Replace "*" by names`,
		"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, resources: [{resources: [a]}], nonResourceURLs: [\"/x\"]}]": "both regular resources and non-resource",
	} {
		if _, err := kubeaudit.ParsePolicy([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestRefuseOnFailure(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"rules: [{level: Metadata}]", "omitStages: [RequestReceived]\nrules: [{level: Metadata}]", "rules: [{level: None}]"} {
		log, m := newLog(t, policy)
		r := request("GET", "/api", "")
		m.err = errors.New("disk full")
		if _, err := log.Begin(r, requestinfo.Parse(r), jane(), ""); err != nil {
			t.Errorf("%s: refused without RefuseOnFailure: %v", policy, err)
		}
		log.RefuseOnFailure = true
		if _, err := log.Begin(r, requestinfo.Parse(r), jane(), ""); !errors.Is(err, kubeaudit.ErrUnavailable) {
			t.Errorf("%s: with RefuseOnFailure: %v", policy, err)
		}
		m.err = nil
		if _, err := log.Begin(r, requestinfo.Parse(r), jane(), ""); err != nil {
			t.Errorf("%s: after the error is gone: %v", policy, err)
		}
	}
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		var e auditv1.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out = append(out, string(e.AuditID))
	}
	return out
}

// TestFullDisk writes to a device that is always full (/dev/full) and then replaces it by a file.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/audit.log"
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	var dropped int
	f := kubeaudit.NewFile(path, kubeaudit.Rotation{MaxMegabytes: 1}, func(n int, _ error) { dropped += n })
	for _, id := range []string{"1", "2"} {
		if err := f.WriteEvent(&auditv1.Event{AuditID: types.UID(id)}); err == nil {
			t.Fatal("no error, although the disk is full")
		}
	}
	if f.Ready() == nil {
		t.Error("Ready succeeds, although the disk is full")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Ready(); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, path); len(got) != 2 || dropped != 0 {
		t.Errorf("%v, %d dropped", got, dropped)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestPendingLimit(t *testing.T) {
	t.Parallel()
	var dropped int
	f := kubeaudit.NewFile("/dev/full", kubeaudit.Rotation{MaxMegabytes: 1}, func(n int, _ error) { dropped += n })
	for range 10_010 {
		_ = f.WriteEvent(&auditv1.Event{})
	}
	if dropped != 10 {
		t.Errorf("%d dropped, want 10", dropped)
	}
	if f.Close() == nil || dropped != 10_010 {
		t.Errorf("%d dropped at the end", dropped)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := kubeaudit.NewFile(dir+"/audit.log", kubeaudit.Rotation{MaxMegabytes: 1, MaxFiles: 2}, func(int, error) { t.Error("an event was dropped") })
	for range 5 * 1024 {
		if err := f.WriteEvent(&auditv1.Event{UserAgent: strings.Repeat("x", 1024)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 { // surplus files are removed in the background
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 3 {
			for _, e := range entries {
				lines(t, dir+"/"+e.Name())
			}
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("there are not three files")
}

// TestWebhook posts with the token of a kubeconfig to a receiver that fails once.
func TestWebhook(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	fails := 1
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if fails > 0 {
			fails--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var list auditv1.EventList
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || list.Kind != "EventList" || r.Header.Get("Authorization") != "Bearer s3cret" {
			t.Errorf("%v: %+v, %q", err, list.TypeMeta, r.Header.Get("Authorization"))
		}
		for _, e := range list.Items {
			got = append(got, string(e.AuditID))
		}
	}))
	t.Cleanup(receiver.Close)
	cfg := api.NewConfig()
	cfg.Clusters["c"] = &api.Cluster{Server: receiver.URL + "/audit", CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw})}
	cfg.AuthInfos["u"] = &api.AuthInfo{Token: "s3cret"}
	cfg.Contexts["x"], cfg.CurrentContext = &api.Context{Cluster: "c", AuthInfo: "u"}, "x"
	file := t.TempDir() + "/kubeconfig"
	if err := clientcmd.WriteToFile(*cfg, file); err != nil {
		t.Fatal(err)
	}
	hook, err := kubeaudit.NewWebhook(file, func(n int, cause error) { t.Errorf("%d events dropped: %v", n, cause) })
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"1", "2", "3"} {
		if err := hook.WriteEvent(&auditv1.Event{AuditID: types.UID(id)}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop() // Run sends the remaining events, with retries
	if err := hook.Run(ctx); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Join(got, "") != "123" {
		t.Errorf("%v", got)
	}
	if _, err := kubeaudit.NewWebhook("/nowhere", nil); err == nil {
		t.Error("no error for a missing kubeconfig")
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Request, resources: [{resources: [pods]}]}, {level: None, users: [a], nonResourceURLs: [\"/a*\"]}]"))
	f.Add([]byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata, verbs: [get], namespaces: [\"\"]}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := kubeaudit.ParsePolicy(text)
		if err != nil {
			return
		}
		// A valid policy never logs responses, or bodies of resources that it does not name.
		m := &memory{}
		log := &kubeaudit.Log{Policy: p, Sinks: []kubeaudit.Sink{m}, Now: noon, OnError: func(context.Context, error) {}}
		r := request("POST", "/apis/never.test/v1/things", `{"secret":1}`)
		e := begin(t, log, r, jane())
		_, _ = io.Copy(io.Discard, r.Body)
		e.Complete(t.Context(), kubeaudit.Outcome{})
		for _, event := range m.events {
			if event.Level == "RequestResponse" || event.ResponseObject != nil || (event.RequestObject != nil && !bytes.Contains(text, []byte("things"))) {
				t.Errorf("%q keeps %+v", text, event)
			}
		}
	})
}
