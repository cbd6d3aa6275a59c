package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/feed"
	"github.com/fairlead-auth/fairlead/proxy/revocation"
	"github.com/fairlead-auth/fairlead/proxy/status"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// testProxy is a proxy's connection to the server, without the proxy.
type testProxy struct {
	*feed.Feed
	revocations *revocation.Registry
	dir         feed.Dir
	cfg         feed.Config
	stop        func()
}

func (w *testServer) enrolProxy(t *testing.T, cluster string) *testProxy {
	t.Helper()
	code, err := w.provider.Admin.EnrolmentCode(t.Context(), admin.Caller{Shell: "test"}, cluster)
	if err != nil {
		t.Fatal(err)
	}
	dir := feed.Dir(filepath.Join(t.TempDir(), "state"))
	id, err := feed.Enrol(t.Context(), http.DefaultClient, dir, feed.EnrolmentRequest{Server: w.issuer + "/", Code: code, Name: "first\nproxy"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := feed.Enrol(t.Context(), http.DefaultClient, feed.Dir(t.TempDir()), feed.EnrolmentRequest{Server: w.issuer, Code: code, Name: "second"}); err == nil || !strings.Contains(err.Error(), "it was used") {
		t.Errorf("the code, again: %v", err)
	}
	return w.resumeProxy(t, dir, id)
}

// resumeProxy opens the connection with the stored state.
func (w *testServer) resumeProxy(t *testing.T, dir feed.Dir, id feed.Identity) *testProxy {
	t.Helper()
	return w.resumeProxyThrough(t, &http.Transport{}, dir, id)
}

// switchableTransport is a transport that a test can disconnect.
type switchableTransport struct{ down atomic.Bool }

// RoundTrip implements http.RoundTripper.
func (l *switchableTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.down.Load() {
		return nil, errors.New("the line is cut")
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (w *testServer) resumeProxyThrough(t *testing.T, line http.RoundTripper, dir feed.Dir, id feed.Identity) *testProxy {
	t.Helper()
	o := &testProxy{revocations: &revocation.Registry{}, dir: dir}
	keys := json.RawMessage(`{"keys":[]}`)
	o.cfg = feed.Config{
		Identity: id, Dir: dir, HTTP: &http.Client{Transport: line}, Revocations: o.revocations, RecentUsers: func() []string { return nil },
		ExportKeys: func() json.RawMessage { return keys }, ImportKeys: func(json.RawMessage) error { return nil }, Now: w.clock.now, Logger: slog.New(slog.DiscardHandler),
	}
	var err error
	if o.Feed, err = feed.Open(t.Context(), o.cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = o.Run(ctx)
	}()
	o.stop = func() { cancel(); <-done }
	t.Cleanup(o.stop)
	return o
}

// openShell opens a stream for a user with a device.
func (o *testProxy) openShell(t *testing.T, userID, device string, issued time.Time) context.Context {
	t.Helper()
	life, done, refusal := o.revocations.RegisterStream(context.WithoutCancel(t.Context()), &authn.Identity{UID: userID, Device: device, Issued: issued}, time.Time{})
	if refusal != nil {
		t.Fatal(refusal)
	}
	t.Cleanup(done)
	return life
}

// waitForEnd waits until a shell ends and returns the reason.
func waitForEnd(life context.Context, t *testing.T, what string) string {
	t.Helper()
	select {
	case <-life.Done():
	case <-time.After(5 * time.Second):
		t.Fatalf("%s: the shell is still open", what)
	}
	why, ok := errors.AsType[*status.Error](context.Cause(life))
	if !ok {
		t.Fatalf("%s: %v", what, context.Cause(life))
	}
	return why.Code
}

func TestProxiesHearOfEverythingThatIsTakenAway(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.signIn(t)
	jane, err := w.store.UserByName(t.Context(), "corp:jane")
	if err != nil {
		t.Fatal(err)
	}
	devices, err := w.store.Devices(t.Context(), jane.ID, w.clock.now())
	if err != nil || len(devices) == 0 {
		t.Fatal(devices, err)
	}
	o := w.enrolProxy(t, "a")
	if s := o.Settings(); s.Cluster != "a" || s.Audience != "k8s-a" || s.Issuer != w.issuer || s.StaleAfterSeconds != 120 || s.FailClosed {
		t.Errorf("%+v", s)
	}
	operator := admin.Caller{Shell: "test"}
	issued := w.clock.now().Add(-time.Second)

	other := o.openShell(t, "usr_other", "dev_other", issued)
	one := o.openShell(t, jane.ID, devices[0].ID, issued)
	if _, err := w.store.End(t.Context(), store.Ending{Scope: store.EndDevice, UserID: jane.ID, ID: devices[0].ID, Reason: store.RevokedByUser}, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	if got := waitForEnd(one, t, "her device"); got != "revoked_device" {
		t.Errorf("her device: %s", got)
	}
	if other.Err() != nil {
		t.Error("somebody else's shell has ended with it")
	}

	two := o.openShell(t, jane.ID, "dev_2", issued)
	rules, err := w.store.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settings := w.settings
	settings.Rules = nil
	if err := w.store.ApplyFile(t.Context(), settings, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	if got := waitForEnd(two, t, "the rules"); got != "no_access" {
		t.Errorf("the rules: %s", got)
	}
	if err := w.store.ApplyFile(t.Context(), w.settings, w.clock.now()); err != nil || len(rules) == 0 {
		t.Fatal(err)
	}
	eventually(t, "she is let in again", func() bool {
		return o.revocations.Check(&authn.Identity{UID: jane.ID, Device: "dev_2", Issued: issued}) == nil
	})

	three := o.openShell(t, jane.ID, "dev_3", issued)
	if err := w.provider.Admin.Disable(t.Context(), operator, jane.ID, true, ""); err != nil {
		t.Fatal(err)
	}
	if got := waitForEnd(three, t, "the person"); got != "revoked_user" && got != "no_access" {
		t.Errorf("the person: %s", got)
	}
	// The proxy ends the shell of an unknown user, because the server cannot confirm their access.
	if got := waitForEnd(other, t, "somebody whom the server does not know"); got != "no_access" {
		t.Errorf("somebody whom the server does not know: %s", got)
	}
	if list, err := w.provider.Admin.Proxies(t.Context(), operator, "a"); err != nil || len(list) != 1 || list[0].Name != "firstproxy" || list[0].Away || list[0].Version != "dev" {
		t.Errorf("%+v %v", list, err)
	}
	for name, n := range map[audit.Name]int{audit.ProxyEnrolled: 1, audit.ProxyNotEnrolled: 1} {
		if got := len(w.events(t, name)); got != n {
			t.Errorf("%d × %s, want %d", got, name, n)
		}
	}
}

// TestProxyAsksAboutUsersItHasNotSeen: a change of rules also affects users whose token this proxy has never seen,
// even if the server was unreachable at that time.
func TestProxyAsksAboutUsersItHasNotSeen(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.signIn(t)
	jane, err := w.store.UserByName(t.Context(), "corp:jane")
	if err != nil {
		t.Fatal(err)
	}
	o := w.enrolProxy(t, "a")
	id := &authn.Identity{UID: jane.ID, Device: "dev_1", Issued: w.clock.now()}
	admitted := func(o *testProxy, id *authn.Identity) bool {
		return o.CheckAccess(t.Context(), id) == nil && o.revocations.Check(id) == nil
	}
	if !admitted(o, id) {
		t.Error("she may use it and is refused")
	}
	w.clock.add(2 * time.Second)
	settings := w.settings
	settings.Rules = nil
	if err := w.store.ApplyFile(t.Context(), settings, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an old token is refused after the rules have changed", func() bool { return !admitted(o, id) })
	o.stop()

	fresh := w.enrolProxy(t, "a") // another replica, which has seen no user
	if admitted(fresh, id) {
		t.Error("a replica that starts later takes the old token")
	}
	fresh.stop()

	// A replica that starts while the server is unreachable accepts the token, and asks when the server is back.
	enrolled, err := fresh.dir.LoadIdentity()
	if err != nil {
		t.Fatal(err)
	}
	line := &switchableTransport{}
	line.down.Store(true)
	late := w.resumeProxyThrough(t, line, fresh.dir, enrolled)
	for range 2 {
		if !admitted(late, id) {
			t.Error("nobody is let in while the server is away")
		}
	}
	life := late.openShell(t, jane.ID, "dev_1", id.Issued)
	line.down.Store(false)
	if got := waitForEnd(life, t, "the server is back"); got != "no_access" {
		t.Errorf("the server is back: %s", got)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 250 {
		if is() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("not so: %s", what)
}

// TestAProxyStartsWhileTheServerIsAway: it starts with its last known state, applies changes made since, and
// refuses requests if the cluster is configured to fail closed.
func TestAProxyStartsWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	w := setup(t)
	settings := w.settings
	settings.Clusters = append([]store.Cluster(nil), settings.Clusters...)
	for i := range settings.Clusters {
		settings.Clusters[i].FailClosed = true
	}
	if err := w.store.ApplyFile(t.Context(), settings, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	o := w.enrolProxy(t, "a")
	w.signIn(t)
	jane, err := w.store.UserByName(t.Context(), "corp:jane")
	if err != nil {
		t.Fatal(err)
	}
	if _, refused, err := w.store.RefuseUser(t.Context(), jane, "test", w.clock.now()); err != nil || !refused {
		t.Fatal(refused, err)
	}
	gone := &authn.Identity{UID: jane.ID, Issued: w.clock.now().Add(-time.Minute)}
	eventually(t, "the news has arrived", func() bool { return o.revocations.Check(gone) != nil })
	o.stop()

	id, err := o.dir.LoadIdentity()
	if err != nil {
		t.Fatal(err)
	}
	away := id
	away.Server = "http://127.0.0.1:1"
	again := w.resumeProxy(t, o.dir, away)
	if s := again.Settings(); s.Audience != "k8s-a" || again.revocations.Check(gone) == nil || again.CheckFreshness() != nil {
		t.Errorf("%+v, %v, %v", s, again.revocations.Check(gone), again.CheckFreshness())
	}
	life := again.openShell(t, "usr_2", "dev_2", w.clock.now())
	w.clock.add(3 * time.Minute)
	if again.CheckFreshness() == nil || waitForEnd(life, t, "fail closed") != "feed_stale" {
		t.Error("it goes on")
	}
	again.stop()

	file := filepath.Join(string(o.dir), "snapshot.jws")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), ".")
	parts[1] = parts[1][:len(parts[1])-8] + "AAAAAAAA"
	if err := os.WriteFile(file, []byte(strings.Join(parts, ".")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := o.dir.LoadSnapshot(id); err == nil {
		t.Error("a snapshot that was changed is taken")
	}
	cfg := o.cfg
	cfg.Identity = away
	if _, err := feed.Open(t.Context(), cfg); err == nil {
		t.Error("it starts with a snapshot that was changed")
	}
}

func TestARemovedProxyHearsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	o := w.enrolProxy(t, "a")
	o.stop()
	list, err := w.provider.Admin.Proxies(t.Context(), admin.Caller{Shell: "test"}, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.provider.Admin.RemoveProxy(t.Context(), admin.Caller{Shell: "test"}, list[0].ID); err != nil {
		t.Fatal(err)
	}
	cfg := o.cfg
	cfg.Dir = feed.Dir(t.TempDir())
	if _, err := feed.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "does not know this proxy") {
		t.Errorf("%v", err)
	}
	cfg.Identity.ID = "prx_unknown"
	if _, err := feed.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "does not know this proxy") {
		t.Errorf("%v", err)
	}
}
