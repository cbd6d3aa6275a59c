// Package downloads serves the files of the kubectl plugin for each system, and the commands that install them. The caller passes the folder of the files.
package downloads

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/version"
	"github.com/fairlead-auth/fairlead/server/base/web"
)

// Path is the path above the files. SumsPath is the list of their digests, in the format of sha256sum.
const (
	Path     = "/downloads"
	SumsPath = Path + "/SHA256SUMS"
)

// File is the plugin for one system.
type File struct {
	// System and Arch are values of GOOS and GOARCH.
	System, Arch string
	Name, SHA256 string
	Size         int64

	path string
}

// List has the files of a folder.
type List struct {
	Site  *web.Site
	Files []File
	// Other is the version of the files if it differs from that of this server. Then the list has no files.
	Other string
}

// versionFile says which version the plugins in a folder are of.
const versionFile = "VERSION"

// prefix begins each file's name: kubectl-fairlead-linux-amd64, kubectl-fairlead-windows-arm64.exe.
const prefix = "kubectl-fairlead-"

// Open reads a folder. Without a folder, or with files of another version, the list is empty.
func Open(dir string, site *web.Site) (*List, error) {
	l := &List{Site: site}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading plugins: %w", err)
	}
	of, err := os.ReadFile(filepath.Join(dir, versionFile)) //nolint:gosec // it is in the folder that the operator names
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading plugins: %w", err)
	}
	if found := strings.TrimSpace(string(of)); err == nil && found != version.String() {
		l.Other = found
		return l, nil
	}
	for _, e := range entries {
		platform, found := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".exe"), prefix)
		system, arch, both := strings.Cut(platform, "-")
		if !found || !both || !e.Type().IsRegular() {
			continue
		}
		f := File{System: system, Arch: arch, Name: e.Name(), path: filepath.Join(dir, e.Name())}
		if f.Size, f.SHA256, err = measure(f.path); err != nil {
			return nil, err
		}
		l.Files = append(l.Files, f)
	}
	slices.SortFunc(l.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return l, nil
}

func measure(file string) (size int64, digest string, err error) {
	in, err := os.Open(file) //nolint:gosec // it is in the folder that the operator names
	if err != nil {
		return 0, "", fmt.Errorf("reading plugin: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	sum := sha256.New()
	if size, err = io.Copy(sum, in); err != nil {
		return 0, "", fmt.Errorf("reading plugin: %w", err)
	}
	return size, hex.EncodeToString(sum.Sum(nil)), nil
}

// Mount adds the routes. They need no session: users install the plugin before they sign in.
func (l *List) Mount(g *echo.Group) {
	g.GET(SumsPath, l.sums)
	g.GET(Path+"/:file", l.file)
}

func (l *List) sums(c echo.Context) error {
	var text strings.Builder
	for _, f := range l.Files {
		fmt.Fprintf(&text, "%s  %s\n", f.SHA256, f.Name)
	}
	c.Response().Header().Set("Cache-Control", "no-cache")
	return c.String(http.StatusOK, text.String())
}

// patience is how long a download may take on a slow connection.
const patience = 15 * time.Minute

func (l *List) file(c echo.Context) error {
	i := slices.IndexFunc(l.Files, func(f File) bool { return f.Name == c.Param("file") })
	if i < 0 {
		return errs.New(errs.NotFound, "This file does not exist. Choose a download on the help page.")
	}
	f := l.Files[i]
	in, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("opening plugin: %w", err)
	}
	defer func() { _ = in.Close() }()
	res := c.Response()
	if err := http.NewResponseController(res).SetWriteDeadline(time.Now().Add(patience)); err != nil { //nolint:forbidigo // a deadline of the connection
		return fmt.Errorf("sending plugin: %w", err)
	}
	res.Header().Set("Content-Type", "application/octet-stream")
	res.Header().Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
	res.Header().Set("Cache-Control", "no-cache")
	res.Header().Set("ETag", `"`+f.SHA256+`"`)
	http.ServeContent(res, c.Request(), f.Name, time.Time{}, in)
	return nil
}

// Of returns the files for a system, the usual architecture first.
func (l *List) Of(system string) []File {
	var files []File
	for _, f := range l.Files {
		if f.System == system {
			files = append(files, f)
		}
	}
	usual := "amd64"
	if system == "darwin" {
		usual = "arm64"
	}
	slices.SortStableFunc(files, func(a, b File) int {
		switch usual {
		case a.Arch:
			return -1
		case b.Arch:
			return 1
		}
		return 0
	})
	return files
}

// Megabytes returns the size as text.
func (f File) Megabytes() string { return fmt.Sprintf("%.0f MB", max(float64(f.Size)/1e6, 1)) }

// Label names the computers that the file is for.
func (f File) Label() string {
	switch f.System + " " + f.Arch {
	case "darwin arm64":
		return "Apple silicon"
	case "darwin amd64":
		return "Intel"
	case "linux amd64", "windows amd64":
		return "x86-64"
	case "linux arm64", "windows arm64":
		return "ARM64"
	}
	return f.Arch
}

// URL returns the path of the file.
func (l *List) URL(f File) string { return l.Site.Absolute(Path + "/" + f.Name) }

// Install returns the shell command that downloads, checks and installs the plugin.
func (l *List) Install(f File) string {
	if f.System == "windows" {
		return fmt.Sprintf(`$dir = "$HOME\bin"; New-Item -ItemType Directory -Force $dir | Out-Null
Invoke-WebRequest %s -OutFile "$dir\kubectl-fairlead.exe"
if ((Get-FileHash "$dir\kubectl-fairlead.exe").Hash -ne "%s") { Remove-Item "$dir\kubectl-fairlead.exe"; throw "The file is not the one that was announced." }
[Environment]::SetEnvironmentVariable("Path", [Environment]::GetEnvironmentVariable("Path", "User") + ";$dir", "User")`, l.URL(f), strings.ToUpper(f.SHA256))
	}
	check := "sha256sum -c -"
	if f.System == "darwin" {
		check = "shasum -a 256 -c -"
	}
	return fmt.Sprintf(`curl -fLo kubectl-fairlead %s
echo "%s  kubectl-fairlead" | %s && chmod +x kubectl-fairlead && sudo mv kubectl-fairlead /usr/local/bin/`, l.URL(f), f.SHA256, check)
}
