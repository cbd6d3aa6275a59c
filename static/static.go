// Package static holds the style sheet, the script and the pictures. Each has
// its content's hash in its address, so that a browser may keep it for ever.
package static

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed files
var files embed.FS

// Files serves the assets.
type Files struct {
	prefix string
	paths  map[string]string
	bodies map[string]asset
}

type asset struct {
	contentType string
	body        []byte
}

// New reads the assets. Addresses begin with prefix, such as "/static".
func New(prefix string) (*Files, error) {
	f := &Files{prefix: prefix, paths: map[string]string{}, bodies: map[string]asset{}}
	entries, err := fs.ReadDir(files, "files")
	if err != nil {
		return nil, fmt.Errorf("reading assets: %w", err)
	}
	for _, entry := range entries {
		body, err := files.ReadFile(path.Join("files", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading assets: %w", err)
		}
		sum := sha256.Sum256(body)
		hashed := hex.EncodeToString(sum[:6]) + "/" + entry.Name()
		f.paths[entry.Name()] = prefix + "/" + hashed
		f.bodies[hashed] = asset{contentType: mime.TypeByExtension(path.Ext(entry.Name())), body: body}
	}
	return f, nil
}

// Path returns the address of an asset, or of nothing when there is none.
func (f *Files) Path(name string) string { return f.paths[name] }

// ServeHTTP answers with an asset and lets it be kept for a year.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, known := f.bodies[strings.TrimPrefix(r.URL.Path, f.prefix+"/")]
	if !known {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(a.body) // the browser is gone; there is nobody to tell
}
