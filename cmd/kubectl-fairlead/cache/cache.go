// Package cache keeps what the plugin knows between two calls: the session with
// a server and the tokens for its clusters. Files are readable by their owner
// only and are replaced whole, so that a killed process leaves the old or the
// new one. The refresh token goes to the system's keyring when there is one.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/zalando/go-keyring"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

const service = "kubectl-fairlead"

// Account is who somebody is at a server. Profile tells several accounts there apart; empty
// is the usual one.
type Account struct {
	Server  string `json:"server"`
	Profile string `json:"profile,omitempty"`
}

// String names it, for people and for the keyring.
func (a Account) String() string {
	if a.Profile == "" {
		return a.Server
	}
	return a.Server + " as " + a.Profile
}

// Cache is the files of one account in one person's cache folder.
type Cache struct {
	dir     string
	account Account
	prefix  string
	// keyring is off where a person or a test says so.
	keyring bool
	// step, in tests, is told of each step of a write, and may end the process there.
	step func(name string)
}

// New returns the cache for an account below a folder, which is made. A folder that others
// may write into is ErrShared.
func New(dir string, account Account, useKeyring bool) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making cache folder: %w", err)
	}
	if err := own(dir); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(account.String()))
	return &Cache{dir: dir, account: account, prefix: hex.EncodeToString(sum[:8]), keyring: useKeyring}, nil
}

// Accounts lists those that there are sessions for.
func Accounts(dir string) ([]Account, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.session.json"))
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	var accounts []Account
	for _, file := range files {
		var s stored
		if readJSON(file, &s) == nil && s.Server != "" {
			accounts = append(accounts, s.Account)
		}
	}
	slices.SortFunc(accounts, func(a, b Account) int { return strings.Compare(a.String(), b.String()) })
	return accounts, nil
}

func (c *Cache) path(name string) string { return filepath.Join(c.dir, c.prefix+"."+name) }

// Session is a sign-in at a server.
type Session struct {
	// User is the name that clusters see.
	User string
	// AccessToken is for the server, until AccessExpires.
	AccessToken   secret.Value
	AccessExpires time.Time
	RefreshToken  secret.Value
	// CA is the PEM of the authority to trust for the server, or empty.
	CA string
	// Clusters is what the server said last.
	Clusters []apitypes.Cluster
	// InKeyring says where the refresh token is.
	InKeyring bool
}

// stored is the file.
type stored struct {
	Account
	User          string             `json:"user"`
	AccessToken   string             `json:"accessToken"`
	AccessExpires time.Time          `json:"accessExpires"`
	RefreshToken  string             `json:"refreshToken,omitempty"`
	InKeyring     bool               `json:"inKeyring"`
	CA            string             `json:"ca,omitempty"`
	Clusters      []apitypes.Cluster `json:"clusters"`
}

// Session returns the session, or nil when there is none. A file that can't be
// read counts as none: signing in again repairs it.
func (c *Cache) Session() *Session {
	var f stored
	if readJSON(c.path("session.json"), &f) != nil || f.Account != c.account {
		return nil
	}
	s := &Session{
		User: f.User, AccessToken: secret.NewValue(f.AccessToken), AccessExpires: f.AccessExpires,
		RefreshToken: secret.NewValue(f.RefreshToken), CA: f.CA, Clusters: f.Clusters, InKeyring: f.InKeyring,
	}
	if f.InKeyring {
		token, err := keyring.Get(service, c.account.String())
		if err != nil {
			return nil
		}
		s.RefreshToken = secret.NewValue(token)
	}
	return s
}

// Offered is what the server said last, without a look at any secret.
func (c *Cache) Offered() []apitypes.Cluster {
	var f stored
	if readJSON(c.path("session.json"), &f) != nil || f.Account != c.account {
		return nil
	}
	return f.Clusters
}

// SaveSession replaces the session. The refresh token is written first: it must
// not be lost once the server has rotated it.
func (c *Cache) SaveSession(s *Session) error {
	s.InKeyring = c.keyring && keyring.Set(service, c.account.String(), s.RefreshToken.Reveal()) == nil
	f := stored{
		Account: c.account, User: s.User, AccessToken: s.AccessToken.Reveal(), AccessExpires: s.AccessExpires,
		InKeyring: s.InKeyring, CA: s.CA, Clusters: s.Clusters,
	}
	if !s.InKeyring {
		f.RefreshToken = s.RefreshToken.Reveal()
	}
	c.tidy()
	return c.write(c.path("session.json"), f)
}

// Forget removes the session and every token. What is known of kubeconfigs stays, as they do.
func (c *Cache) Forget() error {
	if c.keyring {
		_ = keyring.Delete(service, c.account.String()) // often there is none
	}
	files, err := filepath.Glob(c.path("*.json"))
	if err != nil {
		return fmt.Errorf("listing cache: %w", err)
	}
	var faults []error
	for _, file := range files {
		if file == c.path("contexts.json") {
			continue
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// Contexts is what was written into kubeconfigs.
type Contexts struct {
	// Files are where, Known the ids of the clusters, At when they were compared last.
	Files []string  `json:"files"`
	Known []string  `json:"known"`
	At    time.Time `json:"at"`
}

// Contexts returns it; nothing when nothing was written.
func (c *Cache) Contexts() Contexts {
	var w Contexts
	if readJSON(c.path("contexts.json"), &w) != nil {
		return Contexts{}
	}
	return w
}

// SaveContexts replaces it.
func (c *Cache) SaveContexts(w Contexts) error { return c.write(c.path("contexts.json"), w) }

// Token is a token for a cluster.
type Token struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

func (c *Cache) tokenPath(cluster string) string {
	sum := sha256.Sum256([]byte(cluster))
	return c.path("token-" + hex.EncodeToString(sum[:8]) + ".json")
}

// Token returns the token for a cluster if it is good for at least so long.
func (c *Cache) Token(cluster string, now time.Time, atLeast time.Duration) (Token, bool) {
	var t Token
	if readJSON(c.tokenPath(cluster), &t) != nil || t.Token == "" {
		return Token{}, false
	}
	return t, t.Expires.Sub(now) > atLeast
}

// SaveToken replaces the token for a cluster.
func (c *Cache) SaveToken(cluster string, t Token) error { return c.write(c.tokenPath(cluster), t) }

// Attempt is a sign-in that was begun in a browser and has not ended well.
type Attempt struct {
	Began time.Time `json:"began"`
	// Failed says why, once it has ended; empty while it is waiting.
	Failed string `json:"failed,omitempty"`
}

// Attempt returns the last attempt if it is younger than so long.
func (c *Cache) Attempt(now time.Time, younger time.Duration) (Attempt, bool) {
	var a Attempt
	if readJSON(c.path("attempt.json"), &a) != nil {
		return Attempt{}, false
	}
	age := now.Sub(a.Began)
	return a, age >= 0 && age < younger
}

// SaveAttempt records an attempt.
func (c *Cache) SaveAttempt(a Attempt) error { return c.write(c.path("attempt.json"), a) }

// ClearAttempt forgets the attempt.
func (c *Cache) ClearAttempt() {
	_ = os.Remove(c.path("attempt.json")) // usually there is none
}

// lockPoll is how often a waiting process looks whether it is its turn.
const lockPoll = 25 * time.Millisecond

// Lock waits for the right to change the session until ctx ends. It reports
// whether it got it; then unlock must be called.
func (c *Cache) Lock(ctx context.Context) (unlock func(), locked bool, err error) {
	lock := flock.New(c.path("lock"))
	locked, err = lock.TryLockContext(ctx, lockPoll)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("locking the session: %w", err)
	}
	// The file stays: removing it would let two processes hold two locks.
	return func() { _ = lock.Unlock() }, locked, nil
}

func readJSON(file string, into any) error {
	body, err := os.ReadFile(file) //nolint:gosec // a file of the person's own cache
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// write replaces a file whole: written beside, synced, renamed.
func (c *Cache) write(file string, v any) error {
	step := func(name string) {
		if c.step != nil {
			c.step(filepath.Base(file) + " " + name)
		}
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(file), err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), strings.TrimSuffix(filepath.Base(file), ".json")+".*"+part) // mode 0600
	if err != nil {
		return fmt.Errorf("writing cache: %w", err)
	}
	step("made")
	_, errWrite := f.Write(body)
	step("written")
	if err := errors.Join(errWrite, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing cache: %w", err), os.Remove(f.Name()))
	}
	step("synced")
	if err := os.Rename(f.Name(), file); err != nil {
		return fmt.Errorf("writing cache: %w", err)
	}
	step("renamed")
	return nil
}

// part ends the name of a file that is not whole yet; after partLife its writer was killed.
const (
	part     = ".part"
	partLife = time.Hour
)

// tidy removes what writers that were killed have left.
func (c *Cache) tidy() {
	left, _ := filepath.Glob(c.path("*" + part)) // the pattern is good
	for _, file := range left {
		if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > partLife {
			_ = os.Remove(file) // another one may have
		}
	}
}
