//go:build !windows

package cache_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
)

// TestUnsafeFolderIsRefused has folders that other users may write to. They could replace the
// session, which the plugin sends to the server, and the tokens, which kubectl uses.
func TestUnsafeFolderIsRefused(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o770, 0o707, 0o777} {
		dir := filepath.Join(t.TempDir(), "fairlead")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		_, err := cache.New(dir, cache.Account{Server: "https://a.test"}, false)
		if !errors.Is(err, cache.ErrUnsafeFolder) || !strings.Contains(err.Error(), "chmod 700 "+dir) {
			t.Errorf("%o: %v", mode, err)
		}
	}
}
