//go:build !windows

package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// ErrShared says that a cache folder is somebody else's, or that others may change it.
var ErrShared = errors.New("the cache folder is not yours alone")

// own refuses a folder in which others could put what we would then believe, and that of
// another person, whose files would be ours after the first write (sudo that keeps HOME).
func own(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at cache folder: %w", err)
	}
	stat, known := info.Sys().(*syscall.Stat_t)
	if known && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to %s. Run this as that person, without sudo, or set FAIRLEAD_CACHE_DIR to a folder of your own", ErrShared, dir, nameOf(stat.Uid))
	}
	const othersMayWrite fs.FileMode = 0o022
	if info.Mode().Perm()&othersMayWrite == 0 {
		return nil
	}
	return fmt.Errorf("%w: others may write into %s. Run: chmod 700 %[2]s", ErrShared, dir)
}

func nameOf(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}
