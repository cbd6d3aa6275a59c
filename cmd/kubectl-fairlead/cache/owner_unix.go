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

// ErrUnsafeFolder means that another user owns the cache folder or may write to it.
var ErrUnsafeFolder = errors.New("the cache folder is not safe")

// checkFolder refuses a folder that other users may write to, because the plugin would use
// their files. It also refuses a folder of another user (sudo that keeps HOME), because the
// files would belong to this user after the first write.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("checking the cache folder: %w", err)
	}
	stat, known := info.Sys().(*syscall.Stat_t)
	if known && int(stat.Uid) != os.Geteuid() {
		owner := userName(stat.Uid)
		return fmt.Errorf("%w: %s belongs to %s. Run the command as %s without sudo, or set FAIRLEAD_CACHE_DIR to a folder of your own", ErrUnsafeFolder, dir, owner, owner)
	}
	const writableByOthers fs.FileMode = 0o022
	if info.Mode().Perm()&writableByOthers == 0 {
		return nil
	}
	return fmt.Errorf("%w: other users may write to %s. Run: chmod 700 %[2]s", ErrUnsafeFolder, dir)
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}
