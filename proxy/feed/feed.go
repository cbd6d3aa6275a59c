// Package feed is the proxy's line to the sign-in server: it enrols, hears of access
// that was taken away, and keeps what it knows for when the server is away. What ends
// is up to proxy/revocation.
package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"github.com/fairlead-auth/fairlead/internal/proxyfeed"
	"github.com/fairlead-auth/fairlead/internal/version"
	"github.com/fairlead-auth/fairlead/proxy/revocation"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

const (
	// askTimeout is longer than the server keeps anybody waiting.
	requestTimeout = proxyfeed.MaxPollWait + 10*time.Second
	// retryAfter is how soon a server that did not answer is asked again.
	retryDelay = time.Second
	// keepEvery is how old what is on disk may be while nothing happens.
	saveInterval = 30 * time.Second
	// lookEvery is how often it is looked whether the server was heard of lately.
	freshnessInterval = time.Second
	// noAccessLife is longer than any token lives.
	noAccessTTL      = 70 * time.Minute
	maxResponseBytes = 16 << 20
)

// Config is what a Feed needs.
type Config struct {
	Identity    Identity
	Dir         Dir
	HTTP        *http.Client
	Revocations *revocation.Registry
	// Known returns who has shown a good token lately, by user id.
	RecentUsers func() []string
	// Changed, when set, is told of settings that are others than before.
	SettingsChanged func(s proxyfeed.Settings)
	// Keys returns the issuer's keys, to be kept; Seed takes them when the server is away.
	ExportKeys func() json.RawMessage
	ImportKeys func(keys json.RawMessage) error
	Now        func() time.Time
	Logger     *slog.Logger
}

// Feed hears of news. It is safe for use by several goroutines.
type Feed struct {
	cfg Config

	mu          sync.Mutex
	settings    proxyfeed.Settings
	seq         int64
	version     int64
	lastContact time.Time
	savedAt     time.Time
	savedKeys   json.RawMessage
	rechecks    rechecks

	checks singleflight.Group // of questions about one person
}

// Application is what a proxy says to enrol: where, with which one-time code, and what
// admins should see it called.
type EnrolmentRequest struct{ Server, Code, Name string }

// Enrol makes a key pair and an identity, and keeps both.
func Enrol(ctx context.Context, client *http.Client, dir Dir, a EnrolmentRequest) (Identity, error) {
	key, err := newKey()
	if err != nil {
		return Identity{}, err
	}
	server := strings.TrimSuffix(a.Server, "/")
	in := proxyfeed.EnrolRequest{Code: a.Code, Key: jose.JSONWebKey{Key: key.Public()}, Name: a.Name, Version: userAgent()}
	var out proxyfeed.EnrolResponse
	if err := send(ctx, client, request{method: http.MethodPost, address: server + proxyfeed.EnrolPath, body: in}, &out); err != nil {
		return Identity{}, fmt.Errorf("enrolling: %w", err)
	}
	id := Identity{Server: server, ID: out.ID, Key: key}
	return id, dir.saveIdentity(id)
}

func userAgent() string { return "fairlead-proxy/" + version.String() }

// Open returns a feed that knows what the proxy knew last; or, when that is nothing,
// what the server says now.
func Open(ctx context.Context, cfg Config) (*Feed, error) {
	f := &Feed{cfg: cfg, rechecks: rechecks{checked: map[string]bool{}, pending: map[string]bool{}}}
	snapshot, err := cfg.Dir.LoadSnapshot(cfg.Identity)
	if err != nil {
		cfg.Logger.ErrorContext(ctx, "the snapshot is refused, the server is asked instead", "error", err)
	}
	if err == nil && snapshot != nil {
		return f, f.resume(snapshot)
	}
	news, err := f.poll(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("asking the sign-in server for the first time: %w", err)
	}
	return f, f.applyUpdate(ctx, news)
}

// resume goes on from a snapshot. What was heard is as old as that.
func (f *Feed) resume(s *Snapshot) error {
	f.settings, f.seq, f.version, f.lastContact = s.Settings, s.Seq, s.Version, s.AsOf
	f.rechecks.rulesChanged, f.rechecks.serverUnreachable = s.RulesChanged, true
	f.cfg.Revocations.Revoke(revocations(s.Revocations)...)
	return f.cfg.ImportKeys(s.Keys)
}

// Settings is what the server decided last.
func (f *Feed) Settings() proxyfeed.Settings {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settings
}

// AfterExpiry is how long a stream may go on after its token; negative for ever.
func (f *Feed) StreamGracePeriod() time.Duration {
	if s := f.Settings(); s.StreamGraceSeconds > 0 {
		return time.Duration(s.StreamGraceSeconds) * time.Second
	}
	return -1
}

// Heard is when the server was heard of last.
func (f *Feed) LastContact() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lastContact
}

// Stale reports whether the server has not been heard of for longer than it may be.
func (f *Feed) IsStale() bool {
	return f.cfg.Now().Sub(f.LastContact()) > time.Duration(f.Settings().StaleAfterSeconds)*time.Second
}

// Fresh refuses while the feed is stale, where that was chosen.
func (f *Feed) CheckFreshness() *status.Error {
	if !f.Settings().FailClosed || !f.IsStale() {
		return nil
	}
	return status.FeedStale(f.LastContact())
}

// Run hears of news until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	go f.watchFreshness(ctx)
	for ctx.Err() == nil {
		news, err := f.poll(ctx, f.pollWait())
		if err == nil {
			err = f.applyUpdate(ctx, news)
		}
		if err != nil && ctx.Err() == nil {
			f.setServerUnreachable(true)
			f.cfg.Logger.WarnContext(ctx, "the sign-in server was not heard of", "error", err, "heard", f.LastContact())
			sleep(ctx, retryDelay)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// watch ends what is open when the server has not been heard of for too long, where
// that was chosen.
func (f *Feed) watchFreshness(ctx context.Context) {
	for ctx.Err() == nil {
		sleep(ctx, freshnessInterval)
		if why := f.CheckFreshness(); why != nil {
			if n := f.cfg.Revocations.EndAllStreams(why); n > 0 {
				f.cfg.Logger.WarnContext(ctx, "streams ended: the sign-in server was not heard of for too long", "streams", n)
			}
		}
	}
}

func (f *Feed) poll(ctx context.Context, wait time.Duration) (*proxyfeed.Update, error) {
	f.mu.Lock()
	query := url.Values{"after": {strconv.FormatInt(f.seq, 10)}, "version": {strconv.FormatInt(f.version, 10)}, "wait": {strconv.Itoa(int(wait.Seconds()))}}
	f.mu.Unlock()
	var news proxyfeed.Update
	return &news, f.call(ctx, http.MethodGet, proxyfeed.FeedPath+"?"+query.Encode(), nil, &news)
}

func (f *Feed) call(ctx context.Context, method, path string, in, out any) error {
	pass, err := proxyfeed.SignAssertion(f.cfg.Identity.Key, f.cfg.Identity.ID, f.cfg.Identity.Server, f.cfg.Now())
	if err != nil {
		return err
	}
	return send(ctx, f.cfg.HTTP, request{method, f.cfg.Identity.Server + path, pass, in}, out)
}

// take does what news asks for. What it could not do it is told again.
func (f *Feed) applyUpdate(ctx context.Context, news *proxyfeed.Update) error {
	ended := f.cfg.Revocations.Revoke(revocations(news.Revocations)...)
	if ended > 0 {
		f.cfg.Logger.InfoContext(ctx, "streams ended: access was taken away", "streams", ended)
	}
	f.cfg.Revocations.RemoveExpired(f.cfg.Now())
	if err := f.recheck(ctx, news); err != nil {
		return err
	}
	f.mu.Lock()
	other := f.settings != news.Settings
	changed := f.seq != news.Seq || f.version != news.Version || f.settings != news.Settings
	f.settings, f.seq, f.version, f.lastContact = news.Settings, news.Seq, news.Version, f.cfg.Now()
	due := changed || f.lastContact.Sub(f.savedAt) > saveInterval || !bytes.Equal(f.savedKeys, f.cfg.ExportKeys())
	f.mu.Unlock()
	if other && f.cfg.SettingsChanged != nil {
		f.cfg.SettingsChanged(news.Settings)
	}
	if !due {
		return nil
	}
	return f.saveSnapshot()
}

func (f *Feed) saveSnapshot() error {
	f.mu.Lock()
	s := Snapshot{AsOf: f.lastContact, Seq: f.seq, Version: f.version, RulesChanged: f.rechecks.rulesChanged, Settings: f.settings, Keys: f.cfg.ExportKeys()}
	f.savedAt, f.savedKeys = f.lastContact, s.Keys
	f.mu.Unlock()
	for _, r := range f.cfg.Revocations.Revocations() {
		s.Revocations = append(s.Revocations, proxyfeed.Revocation{Kind: string(r.Kind), Value: r.Value, Reason: r.Reason, At: r.At, Until: r.Until})
	}
	return f.cfg.Dir.SaveSnapshot(f.cfg.Identity, s)
}

func revocations(list []proxyfeed.Revocation) []revocation.Revocation {
	var out []revocation.Revocation
	for _, r := range list {
		if r.Kind != proxyfeed.RightsChanged {
			out = append(out, revocation.Revocation{Kind: revocation.Kind(r.Kind), Value: r.Value, Reason: r.Reason, At: r.At, Until: r.Until})
		}
	}
	return out
}

// request is what is asked. Body, when there is one, is sent as JSON.
type request struct {
	method, address, assertion string
	body                       any
}

// ask sends a request to the server. Its words are the error when it refuses.
func send(ctx context.Context, client *http.Client, r request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var body bytes.Buffer
	if r.body != nil {
		if err := json.NewEncoder(&body).Encode(r.body); err != nil {
			return fmt.Errorf("encoding request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.address, &body)
	if err != nil {
		return fmt.Errorf("making request: %w", err)
	}
	req.Header.Set("User-Agent", userAgent())
	req.Header.Set("Content-Type", "application/json")
	if r.assertion != "" {
		req.Header.Set("Authorization", "Bearer "+r.assertion)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxResponseBytes))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return fmt.Errorf("reading answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		var refusal struct{ Message string }
		if json.Unmarshal(text, &refusal) != nil || refusal.Message == "" {
			refusal.Message = "the server answered " + res.Status
		}
		return errors.New(refusal.Message)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("reading answer: %w", err)
	}
	return nil
}
