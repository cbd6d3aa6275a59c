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

// fileLockTimeout is how long to wait for another program that writes the same kubeconfig.
const fileLockTimeout = 10 * time.Second

// lockFile locks a kubeconfig with the same lock file as kubectl
// (client-go/tools/clientcmd/config.go).
func lockFile(name string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, fmt.Errorf("creating the kubeconfig's folder: %w", err)
	}
	lock := name + ".lock"
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL, 0) //nolint:gosec // beside the user's own kubeconfig
		if err == nil {
			_ = f.Close() // it is empty
			return func() { _ = os.Remove(lock) }, nil
		}
		// Windows returns ErrPermission while another process removes the lock file.
		beingRemoved := runtime.GOOS == "windows" && errors.Is(err, fs.ErrPermission)
		if !errors.Is(err, fs.ErrExist) && !beingRemoved {
			return nil, fmt.Errorf("locking the kubeconfig: %w", err)
		}
		if time.Since(start) > fileLockTimeout {
			return nil, fmt.Errorf("%s is locked by %s for more than %s: another kubectl is writing it, or was killed. Wait for it or, if none is running, remove %[2]s", name, lock, fileLockTimeout)
		}
	}
}

// replaceFile replaces a file atomically, keeps its mode, and keeps the previous content in
// NAME.fairlead-backup.
func replaceFile(name string, before, after []byte) error {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	if len(before) > 0 {
		if err := os.WriteFile(name+".fairlead-backup", before, 0o600); err != nil { //nolint:gosec // beside the user's own kubeconfig
			return fmt.Errorf("writing the backup of the kubeconfig: %w", err)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.part")
	if err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	_, errWrite := f.Write(after)
	if err := errors.Join(errWrite, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing the kubeconfig: %w", err), os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}

// sameFile reports whether two paths lead to the same file.
func sameFile(a, b string) bool {
	first, errFirst := os.Stat(a)
	second, errSecond := os.Stat(b)
	return errFirst == nil && errSecond == nil && os.SameFile(first, second)
}
