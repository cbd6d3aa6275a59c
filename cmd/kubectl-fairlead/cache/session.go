package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Session is a session at a server.
type Session struct {
	// User is the user name that clusters see.
	User string
	// AccessToken is for the server's own API, until AccessExpires.
	AccessToken   secret.Value
	AccessExpires time.Time
	RefreshToken  secret.Value
	// SignInEnds is when the user must sign in again at the latest; zero if the server did
	// not say.
	SignInEnds time.Time
	// CA holds the certificate authorities to trust for the server in PEM; empty means those
	// of the system.
	CA string
	// Clusters is the last list from the server.
	Clusters []apitypes.Cluster
	// InKeyring reports whether the refresh token is in the system's keyring.
	InKeyring bool
}

// sessionFile is the JSON of a session file.
type sessionFile struct {
	Account
	User          string             `json:"user"`
	AccessToken   string             `json:"accessToken"`
	AccessExpires time.Time          `json:"accessExpires"`
	RefreshToken  string             `json:"refreshToken,omitempty"`
	SignInEnds    time.Time          `json:"signInEnds,omitzero"`
	InKeyring     bool               `json:"inKeyring"`
	CA            string             `json:"ca,omitempty"`
	Clusters      []apitypes.Cluster `json:"clusters"`
}

// Accounts returns the accounts with a session in a cache folder, sorted by name.
func Accounts(dir string) ([]Account, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.session.json"))
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	var accounts []Account
	for _, file := range files {
		var s sessionFile
		if readJSON(file, &s) == nil && s.Server != "" {
			accounts = append(accounts, s.Account)
		}
	}
	slices.SortFunc(accounts, func(a, b Account) int { return strings.Compare(a.String(), b.String()) })
	return accounts, nil
}

// Session returns the session, or nil if there is none. An unreadable file counts as none:
// the next sign-in replaces it.
func (c *Cache) Session() *Session {
	var f sessionFile
	if readJSON(c.path("session.json"), &f) != nil || f.Account != c.account {
		return nil
	}
	s := &Session{
		User: f.User, AccessToken: secret.NewValue(f.AccessToken), AccessExpires: f.AccessExpires,
		RefreshToken: secret.NewValue(f.RefreshToken), SignInEnds: f.SignInEnds, CA: f.CA, Clusters: f.Clusters, InKeyring: f.InKeyring,
	}
	if f.InKeyring {
		token, err := keyring.Get(keyringService, c.account.String())
		if err != nil {
			return nil
		}
		s.RefreshToken = secret.NewValue(token)
	}
	return s
}

// Clusters returns the last list of clusters from the server. It reads no secret, and does
// not open the keyring.
func (c *Cache) Clusters() []apitypes.Cluster {
	var f sessionFile
	if readJSON(c.path("session.json"), &f) != nil || f.Account != c.account {
		return nil
	}
	return f.Clusters
}

// SaveSession replaces the session. It writes the refresh token first, because the server has
// already rotated it.
func (c *Cache) SaveSession(s *Session) error {
	s.InKeyring = c.keyring && keyring.Set(keyringService, c.account.String(), s.RefreshToken.Reveal()) == nil
	f := sessionFile{
		Account: c.account, User: s.User, AccessToken: s.AccessToken.Reveal(), AccessExpires: s.AccessExpires,
		SignInEnds: s.SignInEnds, InKeyring: s.InKeyring, CA: s.CA, Clusters: s.Clusters,
	}
	if !s.InKeyring {
		f.RefreshToken = s.RefreshToken.Reveal()
	}
	c.removeStaleParts()
	return c.write(c.path("session.json"), f)
}

// Clear removes the session and every token. The record of kubeconfigs stays, because the
// contexts stay too.
func (c *Cache) Clear() error {
	if c.keyring {
		_ = keyring.Delete(keyringService, c.account.String()) // often there is none
	}
	files, err := filepath.Glob(c.path("*.json"))
	if err != nil {
		return fmt.Errorf("listing the cache: %w", err)
	}
	var faults []error
	for _, file := range files {
		if file == c.path(kubeconfigsFile) {
			continue
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}
