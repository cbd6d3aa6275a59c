package downloads_test

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/portal/downloads"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/web"
)

func open(t *testing.T, names ...string) *downloads.List {
	t.Helper()
	site, err := web.New(web.Config{URL: &url.URL{Scheme: "https", Host: "login.test", Path: "/sso"}, RuntimeSettings: runtimesettings.New(runtimesettings.Values{}), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(dir+"/"+name, []byte("program of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := downloads.Open(dir, site)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func get(t *testing.T, l *downloads.List, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if errs.Is(err, errs.NotFound) {
			_ = c.NoContent(http.StatusNotFound)
			return
		}
		_ = c.NoContent(http.StatusInternalServerError)
	}
	l.Mount(e.Group(""))
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	req, err := http.NewRequest(http.MethodGet, srv.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rec := httptest.NewRecorder()
	rec.Code = resp.StatusCode
	maps.Copy(rec.Header(), resp.Header)
	_, _ = rec.Body.ReadFrom(resp.Body)
	return rec
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	l := open(t, "kubectl-fairlead-linux-arm64", "kubectl-fairlead-linux-amd64", "kubectl-fairlead-darwin-amd64", "kubectl-fairlead-darwin-arm64", "kubectl-fairlead-windows-amd64.exe", "README", "kubectl-fairlead-odd")
	if len(l.Files) != 5 {
		t.Fatalf("%+v", l.Files)
	}
	for system, want := range map[string]string{"linux": "x86-64, ARM64", "darwin": "Apple silicon, Intel", "windows": "x86-64", "plan9": ""} {
		var labels []string
		for _, f := range l.Of(system) {
			labels = append(labels, f.Label())
		}
		if got := strings.Join(labels, ", "); got != want {
			t.Errorf("%s: %s", system, got)
		}
	}
	linux := l.Of("linux")[0]
	got := get(t, l, "/downloads/"+linux.Name, nil)
	if got.Code != http.StatusOK || got.Body.String() != "program of "+linux.Name || got.Header().Get("ETag") != `"`+linux.SHA256+`"` || !strings.HasPrefix(got.Header().Get("Content-Disposition"), "attachment") || got.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d %v %s", got.Code, got.Header(), got.Body)
	}
	if got := get(t, l, "/downloads/"+linux.Name, http.Header{"If-None-Match": {`"` + linux.SHA256 + `"`}}); got.Code != http.StatusNotModified {
		t.Errorf("it is sent again: %d", got.Code)
	}
	if got := get(t, l, "/downloads/"+linux.Name, http.Header{"Range": {"bytes=8-9"}}); got.Code != http.StatusPartialContent || got.Body.String() != "of" {
		t.Errorf("a download that goes on: %d %s", got.Code, got.Body)
	}
	if got := get(t, l, downloads.SumsPath, nil); strings.Count(got.Body.String(), "\n") != 5 || !strings.Contains(got.Body.String(), linux.SHA256+"  "+linux.Name+"\n") {
		t.Errorf("%s", got.Body)
	}
	for _, path := range []string{"/downloads/README", "/downloads/..%2fREADME", "/downloads/%2e%2e/README", "/downloads/kubectl-fairlead-odd"} {
		if got := get(t, l, path, nil); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	for system, want := range map[string][]string{
		"linux": {"https://login.test/sso/downloads/kubectl-fairlead-linux-amd64", "sha256sum -c -", linux.SHA256}, "darwin": {"shasum -a 256", "darwin-arm64"}, "windows": {"Get-FileHash", ".exe"},
	} {
		for _, w := range want {
			if text := l.Install(l.Of(system)[0]); !strings.Contains(text, w) {
				t.Errorf("%s: no %s in %s", system, w, text)
			}
		}
	}
}

func TestNoDownloads(t *testing.T) {
	t.Parallel()
	if l, err := downloads.Open(t.TempDir()+"/none", nil); err != nil || len(l.Files) != 0 {
		t.Errorf("%+v %v", l, err)
	}
}
