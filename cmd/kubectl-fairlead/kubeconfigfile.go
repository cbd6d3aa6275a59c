package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// lockWait is how long another program may write the same file.
const lockWait = 10 * time.Second

// lockFile takes the lock that kubectl itself takes (client-go/tools/clientcmd/config.go).
func lockFile(name string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, fmt.Errorf("making the kubeconfig's folder: %w", err)
	}
	lock := name + ".lock"
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL, 0) //nolint:gosec // beside the person's own kubeconfig
		if err == nil {
			_ = f.Close() // it holds nothing
			return func() { _ = os.Remove(lock) }, nil
		}
		// Windows says so of a lock that is just being removed.
		going := runtime.GOOS == "windows" && errors.Is(err, fs.ErrPermission)
		if !errors.Is(err, fs.ErrExist) && !going {
			return nil, fmt.Errorf("locking the kubeconfig: %w", err)
		}
		if time.Since(began) > lockWait {
			return nil, fmt.Errorf("another program is writing %s, or was killed while it did; if none is running, remove %s: %w", name, lock, err)
		}
	}
}

// replace writes a file whole, and keeps what was there before beside it.
func replace(name string, before, after []byte) error {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	if len(before) > 0 {
		if err := os.WriteFile(name+".fairlead-backup", before, 0o600); err != nil { //nolint:gosec // beside the person's own kubeconfig
			return fmt.Errorf("keeping a copy of the kubeconfig: %w", err)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.part")
	if err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	_, errWrite := f.Write(after)
	if err := errors.Join(errWrite, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing kubeconfig: %w", err), os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	return nil
}

func sameFile(a, b string) bool {
	first, errFirst := os.Stat(a)
	second, errSecond := os.Stat(b)
	return errFirst == nil && errSecond == nil && os.SameFile(first, second)
}
