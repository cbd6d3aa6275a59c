// Package cache stores what kubectl-fairlead keeps between two calls: the session at a
// server, tokens for clusters, and which kubeconfigs it has written. Files are readable by
// their owner only. A write replaces the complete file, so that a killed process leaves
// either the old or the new content. The refresh token goes to the system's keyring if there
// is one, and to the session file otherwise.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	// keyringService is the service name of the refresh token in the system's keyring.
	keyringService  = "kubectl-fairlead"
	kubeconfigsFile = "kubeconfigs.json"
)

// Account is an account at a server.
type Account struct {
	Server string `json:"server"`
	// Profile distinguishes several accounts at one server; empty is the default account.
	Profile string `json:"profile,omitempty"`
}

// String returns the name of the account, for messages and for the keyring.
func (a Account) String() string {
	if a.Profile == "" {
		return a.Server
	}
	return a.Server + " as " + a.Profile
}

// Cache is the part of a cache folder that belongs to one account.
type Cache struct {
	dir     string
	account Account
	prefix  string
	keyring bool
	// step is called at each step of a write, in tests.
	step func(name string)
}

// New returns the cache of an account in a folder, and creates the folder. The error is
// ErrUnsafeFolder if another user owns the folder or may write to it. useKeyring allows the
// system's keyring for the refresh token.
func New(dir string, account Account, useKeyring bool) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the cache folder: %w", err)
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(account.String()))
	return &Cache{dir: dir, account: account, prefix: hex.EncodeToString(sum[:8]), keyring: useKeyring}, nil
}

func (c *Cache) path(name string) string { return filepath.Join(c.dir, c.prefix+"."+name) }

// Kubeconfigs records which kubeconfigs have contexts of the account.
type Kubeconfigs struct {
	// Files are the paths of the kubeconfigs.
	Files []string `json:"files"`
	// Clusters are the ids of the clusters at the last update.
	Clusters []string `json:"clusters"`
	// Updated is the time of the last update.
	Updated time.Time `json:"updated"`
}

// Kubeconfigs returns the record, or the zero value if no kubeconfig was written.
func (c *Cache) Kubeconfigs() Kubeconfigs {
	var k Kubeconfigs
	if readJSON(c.path(kubeconfigsFile), &k) != nil {
		return Kubeconfigs{}
	}
	return k
}

// SaveKubeconfigs replaces the record.
func (c *Cache) SaveKubeconfigs(k Kubeconfigs) error { return c.write(c.path(kubeconfigsFile), k) }

// Token is a token for a cluster.
type Token struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

func (c *Cache) tokenPath(cluster string) string {
	sum := sha256.Sum256([]byte(cluster))
	return c.path("token-" + hex.EncodeToString(sum[:8]) + ".json")
}

// Token returns the token for a cluster, and whether it is valid for longer than minLife.
func (c *Cache) Token(cluster string, now time.Time, minLife time.Duration) (Token, bool) {
	var t Token
	if readJSON(c.tokenPath(cluster), &t) != nil || t.Token == "" {
		return Token{}, false
	}
	return t, t.Expires.Sub(now) > minLife
}

// SaveToken replaces the token for a cluster.
func (c *Cache) SaveToken(cluster string, t Token) error { return c.write(c.tokenPath(cluster), t) }

// Attempt records a sign-in that was started and did not succeed yet.
type Attempt struct {
	Started time.Time `json:"started"`
	// Failure says why the sign-in failed; empty while it waits for the user.
	Failure string `json:"failure,omitempty"`
}

// Attempt returns the last attempt, and whether it started within maxAge.
func (c *Cache) Attempt(now time.Time, maxAge time.Duration) (Attempt, bool) {
	var a Attempt
	if readJSON(c.path("attempt.json"), &a) != nil {
		return Attempt{}, false
	}
	age := now.Sub(a.Started)
	return a, age >= 0 && age < maxAge
}

// SaveAttempt replaces the last attempt.
func (c *Cache) SaveAttempt(a Attempt) error { return c.write(c.path("attempt.json"), a) }

// ClearAttempt removes the last attempt.
func (c *Cache) ClearAttempt() {
	_ = os.Remove(c.path("attempt.json")) // usually there is none
}

// lockPoll is the interval at which Lock tries again.
const lockPoll = 25 * time.Millisecond

// Lock locks the session among all processes of the user. It waits until ctx ends, and
// returns locked=false at ctx's deadline. The caller must call unlock if locked is true.
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
	body, err := os.ReadFile(file) //nolint:gosec // a file of the user's own cache
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// write replaces a file atomically: it writes and syncs a temporary file and renames it.
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
	f, err := os.CreateTemp(filepath.Dir(file), strings.TrimSuffix(filepath.Base(file), ".json")+".*"+partSuffix) // mode 0600
	if err != nil {
		return fmt.Errorf("writing the cache: %w", err)
	}
	step("created")
	_, errWrite := f.Write(body)
	step("written")
	if err := errors.Join(errWrite, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing the cache: %w", err), os.Remove(f.Name()))
	}
	step("synced")
	if err := os.Rename(f.Name(), file); err != nil {
		return fmt.Errorf("writing the cache: %w", err)
	}
	step("renamed")
	return nil
}

const (
	// partSuffix is the suffix of temporary files.
	partSuffix = ".part"
	// partMaxAge is the age after which a temporary file belongs to a killed process.
	partMaxAge = time.Hour
)

// removeStaleParts removes temporary files that killed processes left.
func (c *Cache) removeStaleParts() {
	parts, _ := filepath.Glob(c.path("*" + partSuffix)) // the pattern is valid
	for _, file := range parts {
		if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > partMaxAge {
			_ = os.Remove(file) // another process may have removed it
		}
	}
}
