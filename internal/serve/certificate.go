package serve

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// reloadInterval is the time between two checks of the certificate files.
const reloadInterval = 10 * time.Second

// Certificate serves a key pair from two files, and reloads it when the files change. If the new pair is
// not valid, it logs an error and keeps the old one.
type Certificate struct {
	certFile, keyFile string
	now               func() time.Time
	logger            *slog.Logger

	mu       sync.Mutex
	loaded   *tls.Certificate
	modified time.Time
	checked  time.Time
}

// LoadCertificate reads a key pair in PEM form.
func LoadCertificate(certFile, keyFile string, now func() time.Time, logger *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, now: now, logger: logger}
	if err := c.load(); err != nil {
		return nil, err
	}
	c.checked = now()
	return c, nil
}

// Get is a function for tls.Config.GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= reloadInterval {
		c.checked = now
		if err := c.load(); err != nil {
			c.logger.Error("certificate not reloaded, keeping the old one", "error", err)
		}
	}
	return c.loaded, nil
}

// Expires returns the expiry of the current certificate.
func (c *Certificate) Expires() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded == nil || c.loaded.Leaf == nil {
		return time.Time{}
	}
	return c.loaded.Leaf.NotAfter
}

// load reads the pair if one of the files is newer than the loaded pair.
func (c *Certificate) load() error {
	modified, err := latestModTime(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	if c.loaded != nil && modified.Equal(c.modified) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("loading key pair: %w", err)
	}
	c.loaded, c.modified = &pair, modified
	return nil
}

func latestModTime(files ...string) (time.Time, error) {
	var latest time.Time
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return time.Time{}, fmt.Errorf("looking at certificate file: %w", err)
		}
		if info.ModTime().After(latest) {
			latest = info.ModTime()
		}
	}
	return latest, nil
}
