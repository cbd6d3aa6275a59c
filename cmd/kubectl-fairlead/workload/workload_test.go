package workload_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/workload"
)

func TestFind(t *testing.T) {
	t.Parallel()
	gitHub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer runner" || r.URL.Query().Get("api-version") != "2":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Query().Get("audience") == "https://odd.test":
			fmt.Fprint(w, `<html>`)
		default:
			fmt.Fprintf(w, `{"value": "for %s"}`, r.URL.Query().Get("audience"))
		}
	}))
	t.Cleanup(gitHub.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("projected\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	job := map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": gitHub.URL + "?api-version=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner"}
	with := func(more map[string]string, key, value string) map[string]string {
		all := map[string]string{key: value}
		for k, v := range more {
			if _, set := all[k]; !set {
				all[k] = v
			}
		}
		return all
	}
	for name, c := range map[string]struct {
		env           map[string]string
		server        string
		want, failure string
	}{
		"a user":             {},
		"GitHub, incomplete": {env: map[string]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner"}},
		"GitLab":             {env: map[string]string{workload.TokenVariable: "from gitlab"}, want: "from gitlab"},
		"a pod":              {env: map[string]string{workload.TokenFileVariable: file}, want: "projected"},
		"no file":            {env: map[string]string{workload.TokenFileVariable: file + "x"}, failure: "no such file"},
		"an empty file":      {env: map[string]string{workload.TokenFileVariable: os.DevNull}, failure: "it is empty"},
		"GitHub":             {env: job, server: "https://login.test", want: "for https://login.test"},
		"GitHub refuses":     {env: with(job, "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary"), failure: "401"},
		"GitHub, not JSON":   {env: job, server: "https://odd.test", failure: "not the expected JSON"},
		"GitHub, no network": {env: with(job, "ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:1/?key=canary"), failure: "refused"},
		"two sources":        {env: with(job, workload.TokenFileVariable, file), want: "projected"},
	} {
		source := workload.Find(func(name string) string { return c.env[name] }, c.server)
		if source == nil {
			if c.want+c.failure != "" {
				t.Errorf("%s: no source", name)
			}
			continue
		}
		got, err := source.Token(t.Context())
		if c.failure != "" {
			if err == nil || !strings.Contains(err.Error(), c.failure) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || got.Reveal() != c.want {
			t.Errorf("%s: %q %v", name, got.Reveal(), err)
		}
	}
}
