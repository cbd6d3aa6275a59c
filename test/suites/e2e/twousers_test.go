package e2e_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// TestTwoUsersOnOneHost has Jane and Bob on a jump host, both signing in at the same moment.
// Run as root, as in CI, they are users of the system too; otherwise they have homes of their
// own only.
func TestTwoUsersOnOneHost(t *testing.T) {
	t.Parallel()
	s := setupProxies(t)
	jane, bob := s.resident(t, jane(), 20001), s.resident(t, bob(), 20002)
	want := map[*resident]string{jane: "local:jane@example.test", bob: "local:bob@example.test"}
	var both sync.WaitGroup
	for r := range want {
		both.Go(func() {
			if got := r.do("kubectl-fairlead", "login", s.issuer, "--no-kubeconfig"); got.code != 0 || !strings.Contains(got.err, want[r]) {
				t.Errorf("%s: %+v\n%s", want[r], got, r.browserFault())
			}
		})
	}
	both.Wait()
	for r, name := range want {
		if got := r.do("kubectl-fairlead", "status"); got.code != 0 || !strings.Contains(got.out, name) {
			t.Errorf("%s: %+v", name, got)
		}
		onlyOwnersRead(t, r.home+"/cache/fairlead")
	}
	if os.Geteuid() != 0 {
		prerequisite.Missing(t, "only root can be two users of the system")
	}
	// Bob looks for what is Jane's, by mistake and on purpose.
	for _, file := range jane.cacheFiles("*") {
		if got := bob.do("cat", file); got.code == 0 || !strings.Contains(got.err, "Permission denied") {
			t.Errorf("%s: %+v", file, got)
		}
	}
	before := jane.cacheFiles("*")
	bob.env = append(bob.env, "XDG_CACHE_HOME="+jane.home+"/cache")
	if got := bob.do("kubectl-fairlead", "get-token", "--server", s.issuer, "--cluster", "a"); got.code == 0 || strings.Contains(got.out, "eyJ") {
		t.Errorf("%+v", got)
	}
	// As with sudo: an admin of the host with Jane's home would leave files that she can't read.
	root := *jane.person
	if got := root.run("", "kubectl-fairlead", "get-token", "--server", s.issuer, "--cluster", "a"); got.code != 1 || !strings.Contains(got.err, "without sudo") || strings.Contains(got.out, "eyJ") {
		t.Errorf("root: %+v", got)
	}
	if after := jane.cacheFiles("*"); len(after) != len(before) {
		t.Errorf("%v, before %v", after, before)
	}
	if got := jane.do("kubectl-fairlead", "get-token", "--server", s.issuer, "--cluster", "a"); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

// resident is a person with an account of the operating system.
type resident struct {
	*person
	uid uint32
}

func (s *system) resident(t *testing.T, login credentials, uid uint32) *resident {
	t.Helper()
	r := &resident{person: s.person(t, login), uid: uid}
	if os.Geteuid() != 0 {
		return r
	}
	// The programs and files must be in folders that both users may read.
	for name, from := range map[string]string{"kubectl-fairlead": s.bin + "/kubectl-fairlead", "browser-program": browserProgram(t), "ca.crt": s.dir + "/ca.crt"} {
		if err := os.WriteFile(r.home+"/"+name, []byte(readFile(t, from)), 0o500); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, r.home+"/browser", "#!/bin/sh\nexec "+r.home+"/browser-program \"$1\"\n")
	r.env = append(r.env, "SSL_CERT_FILE="+r.home+"/ca.crt")
	if err := filepath.WalkDir(r.home, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(uid), int(uid))
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(r.home), 0o711); err != nil {
		t.Fatal(err)
	}
	return r
}

// do runs a program as this user of the system.
func (r *resident) do(name string, args ...string) result {
	r.t.Helper()
	if os.Geteuid() != 0 {
		return r.run("", name, args...)
	}
	if _, err := os.Stat(r.home + "/" + name); err == nil {
		name = r.home + "/" + name
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = append(os.Environ(), r.env...), r.home
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: r.uid, Gid: r.uid}}
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return result{out: out.String(), err: errOut.String(), code: cmd.ProcessState.ExitCode()}
}

func onlyOwnersRead(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
