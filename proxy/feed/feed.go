// Package feed connects an enrolled proxy to the Fairlead server. It enrols the proxy, receives
// revocations and settings by long polling, and saves them for a start without the server. Package
// revocation applies the revocations.
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
	// requestTimeout is longer than the server may hold a long poll.
	requestTimeout = proxyfeed.MaxPollWait + 10*time.Second
	// retryDelay is the time to wait after a failed request.
	retryDelay = time.Second
	// saveInterval is the maximum age of an unchanged snapshot on disk.
	saveInterval = 30 * time.Second
	// freshnessInterval is the time between two checks for a stale feed.
	freshnessInterval = time.Second
	// noAccessTTL is longer than the lifetime of any token.
	noAccessTTL      = 70 * time.Minute
	maxResponseBytes = 16 << 20
)

// Config is the configuration of a Feed.
type Config struct {
	Identity    Identity
	Dir         Dir
	HTTP        *http.Client
	Revocations *revocation.Registry
	// RecentUsers returns the IDs of users who have recently presented a valid token.
	RecentUsers func() []string
	// SettingsChanged, when set, is called with changed settings.
	SettingsChanged func(s proxyfeed.Settings)
	// ExportKeys returns the issuer's keys for the snapshot; ImportKeys loads them from it.
	ExportKeys func() json.RawMessage
	ImportKeys func(keys json.RawMessage) error
	Now        func() time.Time
	Logger     *slog.Logger
}

// Feed receives updates from the Fairlead server. It is safe for concurrent use.
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

	checks singleflight.Group // access checks, by user ID
}

// EnrolmentRequest holds the server's URL, the one-time code, and the name that admins see for the proxy.
type EnrolmentRequest struct{ Server, Code, Name string }

// Enrol creates a key pair, enrols it at the server, and saves the identity in dir.
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

// Open returns a feed with the state of the snapshot in cfg.Dir. Without a valid snapshot it gets the
// state from the server.
func Open(ctx context.Context, cfg Config) (*Feed, error) {
	f := &Feed{cfg: cfg, rechecks: rechecks{checked: map[string]bool{}, pending: map[string]bool{}}}
	snapshot, err := cfg.Dir.LoadSnapshot(cfg.Identity)
	if err != nil {
		cfg.Logger.ErrorContext(ctx, "snapshot not loaded, getting the state from the server", "error", err)
	}
	if err == nil && snapshot != nil {
		return f, f.resume(snapshot)
	}
	update, err := f.poll(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("getting the first update from the Fairlead server: %w", err)
	}
	return f, f.applyUpdate(ctx, update)
}

// resume restores the state of a snapshot, including the time of its last contact.
func (f *Feed) resume(s *Snapshot) error {
	f.settings, f.seq, f.version, f.lastContact = s.Settings, s.Seq, s.Version, s.AsOf
	f.rechecks.rulesChanged, f.rechecks.serverUnreachable = s.RulesChanged, true
	f.cfg.Revocations.Revoke(revocations(s.Revocations)...)
	return f.cfg.ImportKeys(s.Keys)
}

// Settings returns the server's current settings for the cluster.
func (f *Feed) Settings() proxyfeed.Settings {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settings
}

// StreamGracePeriod returns how long a stream may outlive its token; negative means without limit.
func (f *Feed) StreamGracePeriod() time.Duration {
	if s := f.Settings(); s.StreamGraceSeconds > 0 {
		return time.Duration(s.StreamGraceSeconds) * time.Second
	}
	return -1
}

// LastContact returns the time of the last update from the server.
func (f *Feed) LastContact() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lastContact
}

// IsStale reports whether the last contact is longer ago than the settings allow.
func (f *Feed) IsStale() bool {
	return f.cfg.Now().Sub(f.LastContact()) > time.Duration(f.Settings().StaleAfterSeconds)*time.Second
}

// CheckFreshness refuses requests while the feed is stale, if the cluster fails closed.
func (f *Feed) CheckFreshness() *status.Error {
	if !f.Settings().FailClosed || !f.IsStale() {
		return nil
	}
	return status.FeedStale(f.LastContact())
}

// Run receives updates until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	go f.watchFreshness(ctx)
	for ctx.Err() == nil {
		update, err := f.poll(ctx, f.pollWait())
		if err == nil {
			err = f.applyUpdate(ctx, update)
		}
		if err != nil && ctx.Err() == nil {
			f.setServerUnreachable(true)
			f.cfg.Logger.WarnContext(ctx, "no contact with the Fairlead server", "error", err, "last_contact", f.LastContact())
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

// watchFreshness ends all streams when the feed becomes stale, if the cluster fails closed.
func (f *Feed) watchFreshness(ctx context.Context) {
	for ctx.Err() == nil {
		sleep(ctx, freshnessInterval)
		if reason := f.CheckFreshness(); reason != nil {
			if n := f.cfg.Revocations.EndAllStreams(reason); n > 0 {
				f.cfg.Logger.WarnContext(ctx, "streams ended: no contact with the Fairlead server for too long", "streams", n)
			}
		}
	}
}

func (f *Feed) poll(ctx context.Context, wait time.Duration) (*proxyfeed.Update, error) {
	f.mu.Lock()
	query := url.Values{"after": {strconv.FormatInt(f.seq, 10)}, "version": {strconv.FormatInt(f.version, 10)}, "wait": {strconv.Itoa(int(wait.Seconds()))}}
	f.mu.Unlock()
	var update proxyfeed.Update
	return &update, f.call(ctx, http.MethodGet, proxyfeed.FeedPath+"?"+query.Encode(), nil, &update)
}

func (f *Feed) call(ctx context.Context, method, path string, in, out any) error {
	pass, err := proxyfeed.SignAssertion(f.cfg.Identity.Key, f.cfg.Identity.ID, f.cfg.Identity.Server, f.cfg.Now())
	if err != nil {
		return err
	}
	return send(ctx, f.cfg.HTTP, request{method, f.cfg.Identity.Server + path, pass, in}, out)
}

// applyUpdate applies an update. After an error, the server sends the same update again.
func (f *Feed) applyUpdate(ctx context.Context, update *proxyfeed.Update) error {
	ended := f.cfg.Revocations.Revoke(revocations(update.Revocations)...)
	if ended > 0 {
		f.cfg.Logger.InfoContext(ctx, "streams ended by a revocation", "streams", ended)
	}
	f.cfg.Revocations.RemoveExpired(f.cfg.Now())
	if err := f.recheck(ctx, update); err != nil {
		return err
	}
	f.mu.Lock()
	other := f.settings != update.Settings
	changed := f.seq != update.Seq || f.version != update.Version || f.settings != update.Settings
	f.settings, f.seq, f.version, f.lastContact = update.Settings, update.Seq, update.Version, f.cfg.Now()
	due := changed || f.lastContact.Sub(f.savedAt) > saveInterval || !bytes.Equal(f.savedKeys, f.cfg.ExportKeys())
	f.mu.Unlock()
	if other && f.cfg.SettingsChanged != nil {
		f.cfg.SettingsChanged(update.Settings)
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

// request is a request to the server. A body is sent as JSON.
type request struct {
	method, address, assertion string
	body                       any
}

// send sends a request to the server. If the server refuses it, the error has the server's message.
func send(ctx context.Context, client *http.Client, r request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var body bytes.Buffer
	if r.body != nil {
		if err := json.NewEncoder(&body).Encode(r.body); err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.address, &body)
	if err != nil {
		return fmt.Errorf("creating the request: %w", err)
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
		return fmt.Errorf("reading the response: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		var refusal struct{ Message string }
		if json.Unmarshal(text, &refusal) != nil || refusal.Message == "" {
			refusal.Message = "the server answered " + res.Status
		}
		return errors.New(refusal.Message)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("decoding the response: %w", err)
	}
	return nil
}
