package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/cache"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

const server = "https://login.test"

func client(t *testing.T, dir, profile string) *session.Client {
	t.Helper()
	account := cache.Account{Server: server, Profile: profile}
	c, err := cache.New(dir, account, false)
	if err != nil {
		t.Fatal(err)
	}
	return &session.Client{Account: account, Cache: c, Now: time.Now}
}

// plain is an output that is not a terminal.
func plain(w io.Writer) *terminal.Output {
	return terminal.New(w, func(string) string { return "" })
}

func fleet(ids ...string) []apitypes.Cluster {
	var list []apitypes.Cluster
	for _, id := range ids {
		list = append(list, apitypes.Cluster{ID: id, Name: "Cluster " + id, Context: "acme-" + id, Server: "https://" + id + ".test"})
	}
	return list
}

// TestWritersLoseNothing has plugins of several accounts and kubectl write to one file at the
// same time. The file has every change afterwards.
func TestWritersLoseNothing(t *testing.T) {
	t.Parallel()
	const writers, times = 6, 15
	dir := t.TempDir()
	file := dir + "/config"
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			c := client(t, dir+"/cache", fmt.Sprintf("p%d", n))
			for i := range times {
				if err := updateContexts(plain(io.Discard), c, updateOptions{file: file}, fleet(fmt.Sprintf("c%d", i%3), "all")); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() { // as "kubectl config set-cluster", which fails if the file is locked
			for i := range times {
				setCluster(t, file, fmt.Sprintf("kubectl-%d-%d", n, i))
			}
		})
	}
	group.Wait()
	cfg, err := clientcmd.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range writers {
		for i := range times {
			if cfg.Clusters[fmt.Sprintf("kubectl-%d-%d", n, i)] == nil {
				t.Errorf("the file has lost entry %d of kubectl %d", i, n)
			}
		}
		for _, id := range []string{"all", fmt.Sprintf("c%d", (times-1)%3)} {
			if cfg.Contexts[fmt.Sprintf("acme-%s@p%d", id, n)] == nil {
				t.Errorf("the file has lost the context of %s of account %d", id, n)
			}
		}
	}
	if len(cfg.Contexts) != 2*writers {
		t.Errorf("the file has %d contexts, want %d", len(cfg.Contexts), 2*writers)
	}
	if left, err := filepath.Glob(dir + "/config.*"); err != nil || !slices.Equal(left, []string{file + ".fairlead-backup"}) {
		t.Errorf("left-over files: %v %v", left, err)
	}
}

// setCluster adds a cluster with client-go, under the lock, and tries again if that fails.
func setCluster(t *testing.T, file, name string) {
	t.Helper()
	for range 5000 {
		unlock, err := lockFile(file)
		if err != nil {
			t.Error(err)
			return
		}
		cfg, err := clientcmd.LoadFromFile(file)
		if os.IsNotExist(err) {
			cfg, err = api.NewConfig(), nil
		}
		if err == nil {
			cfg.Clusters[name] = &api.Cluster{Server: "https://kubectl.test"}
			err = clientcmd.WriteToFile(*cfg, file)
		}
		unlock()
		if err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("setting the cluster %s failed", name)
}

// TestLockFileIsThatOfKubectl checks that client-go does not write while the file is locked.
func TestLockFileIsThatOfKubectl(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/config"
	unlock, err := lockFile(file)
	if err != nil {
		t.Fatal(err)
	}
	paths := clientcmd.NewDefaultPathOptions()
	paths.LoadingRules.ExplicitPath = file
	cfg := api.NewConfig()
	cfg.CurrentContext = "x"
	if err := clientcmd.ModifyConfig(paths, *cfg, false); err == nil {
		t.Error("client-go must not write while the file is locked")
	}
	unlock()
	if err := clientcmd.ModifyConfig(paths, *cfg, false); err != nil {
		t.Error(err)
	}
}

// TestSeveralFiles has entries in the second file of KUBECONFIG. New entries go to the first.
func TestSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	first, second := dir+"/first", dir+"/second"
	c := client(t, dir+"/cache", "")
	if err := updateContexts(plain(io.Discard), c, updateOptions{file: second}, fleet("a")); err != nil {
		t.Fatal(err)
	}
	link := dir + "/link"
	if err := os.WriteFile(first, []byte("# first\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(first, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", link+string(os.PathListSeparator)+second+string(os.PathListSeparator)+dir+"/none")
	moved := fleet("a", "b")
	moved[0].Server = "https://moved.test"
	var report strings.Builder
	if err := updateContexts(plain(&report), c, updateOptions{}, moved); err != nil {
		t.Fatal(err)
	}
	one, two := text(t, first), text(t, second)
	if !strings.Contains(one, "--cluster=b") || strings.Contains(one, "--cluster=a") || !strings.Contains(one, "# first") || !strings.Contains(two, "https://moved.test") || strings.Contains(two, "--cluster=b") {
		t.Errorf("first\n%s\nsecond\n%s", one, two)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the symbolic link must stay")
	}
	if info, err := os.Stat(first); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if _, err := os.Stat(dir + "/none"); err == nil {
		t.Error("an unneeded file must not be created")
	}
	if got := report.String(); !strings.Contains(got, "Updated the context acme-a.") || !strings.Contains(got, "acme-b") {
		t.Error(got)
	}
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
