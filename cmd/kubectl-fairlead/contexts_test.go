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

func fleet(ids ...string) []apitypes.Cluster {
	var list []apitypes.Cluster
	for _, id := range ids {
		list = append(list, apitypes.Cluster{ID: id, Name: "Cluster " + id, Context: "acme-" + id, Server: "https://" + id + ".test"})
	}
	return list
}

// TestWritersLoseNothing has plugins of several accounts and kubectl write one file at once:
// each change of each is there afterwards.
func TestWritersLoseNothing(t *testing.T) {
	t.Parallel()
	const writers, times = 6, 15
	dir := t.TempDir()
	file := dir + "/config"
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			g := &global{profile: fmt.Sprintf("p%d", n)}
			c := client(t, dir+"/cache", g.profile)
			for i := range times {
				if err := g.writeContexts(io.Discard, c, fileOptions{file: file}, fleet(fmt.Sprintf("c%d", i%3), "all")); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() { // as "kubectl config set-cluster" does, which gives up when the lock is taken
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
				t.Errorf("kubectl's entry %d of %d is gone", i, n)
			}
		}
		for _, id := range []string{"all", fmt.Sprintf("c%d", (times-1)%3)} {
			if cfg.Contexts[fmt.Sprintf("acme-%s@p%d", id, n)] == nil {
				t.Errorf("the context of %s of %d is gone", id, n)
			}
		}
	}
	if len(cfg.Contexts) != 2*writers {
		t.Errorf("%d contexts", len(cfg.Contexts))
	}
	if left, err := filepath.Glob(dir + "/config.*"); err != nil || !slices.Equal(left, []string{file + ".fairlead-backup"}) {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// setCluster takes kubectl's lock for all of its reading and writing, and tries again.
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
	t.Errorf("%s could not be written", name)
}

// TestTheLockIsKubectls holds the lock's name equal to client-go's: with it taken, client-go
// does not write.
func TestTheLockIsKubectls(t *testing.T) {
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
		t.Error("client-go writes while the lock is taken")
	}
	unlock()
	if err := clientcmd.ModifyConfig(paths, *cfg, false); err != nil {
		t.Error(err)
	}
}

// TestSeveralFiles has own entries in the second file of KUBECONFIG; new ones go to the first.
func TestSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	first, second := dir+"/first", dir+"/second"
	g, c := &global{}, client(t, dir+"/cache", "")
	if err := g.writeContexts(io.Discard, c, fileOptions{file: second}, fleet("a")); err != nil {
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
	var words strings.Builder
	if err := g.writeContexts(&words, c, fileOptions{}, moved); err != nil {
		t.Fatal(err)
	}
	one, two := text(t, first), text(t, second)
	if !strings.Contains(one, "--cluster=b") || strings.Contains(one, "--cluster=a") || !strings.Contains(one, "# first") || !strings.Contains(two, "https://moved.test") || strings.Contains(two, "--cluster=b") {
		t.Errorf("first\n%s\nsecond\n%s", one, two)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link is none any more")
	}
	if info, err := os.Stat(first); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if _, err := os.Stat(dir + "/none"); err == nil {
		t.Error("a file was made that nobody needs")
	}
	if got := words.String(); !strings.Contains(got, "Updated the context acme-a.") || !strings.Contains(got, "acme-b") {
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

func TestChoose(t *testing.T) {
	t.Parallel()
	clusters := []apitypes.Cluster{
		{ID: "prod-eu", Context: "acme-prod-eu", Environment: "prod", Labels: map[string]string{"team": "a"}}, {ID: "prod-us", Context: "acme-prod-us", Environment: "prod"}, {ID: "dev", Context: "acme-dev", Environment: "dev", Labels: map[string]string{"team": "b"}},
	}
	for selector, want := range map[string]string{
		"all": "prod-eu prod-us dev", "prod-*": "prod-eu prod-us", "dev,prod-us": "prod-us dev", "acme-d*": "dev", "environment=prod": "prod-eu prod-us", "environment=prod,team=a": "prod-eu", "team in (a,b)": "prod-eu dev", "!team": "prod-us", "team!=a": "prod-us dev",
		"": "", "nothing": "", "environment=x": "", "[": "", "team in (": "",
	} {
		chosen, err := choose(clusters, selector)
		var ids []string
		for _, c := range chosen {
			ids = append(ids, c.ID)
		}
		if got := strings.Join(ids, " "); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v", selector, got, err)
		}
	}
}

// TestExitCodes: scripts rely on them.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{1: io.EOF, 2: usageError{io.EOF}, 3: errNobody(), 7: codeError{7}} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{-time.Hour: "0 minutes", 90 * time.Minute: "90 minutes", 12 * time.Hour: "12 hours", 170 * time.Hour: "7 days"} {
		if got := remaining(d); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
}
