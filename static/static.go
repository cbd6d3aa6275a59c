// Package static serves the style sheet, the script and the pictures of the pages. The address of a
// file contains the hash of its content, so that browsers can cache it for a year.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
)

//go:embed files
var files embed.FS

// Files serves the assets, compressed for browsers that accept gzip.
type Files struct {
	prefix string
	paths  map[string]string
	bodies map[string]asset
}

type asset struct {
	contentType string
	body        []byte
	// gzipped is the body compressed with gzip; nil when that would not be smaller.
	gzipped []byte
}

// New reads the assets. Their addresses begin with prefix, such as "/static".
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
		gzipped, err := compress(body)
		if err != nil {
			return nil, err
		}
		f.bodies[hashed] = asset{contentType: mime.TypeByExtension(path.Ext(entry.Name())), body: body, gzipped: gzipped}
	}
	return f, nil
}

// compress returns the body compressed with gzip, or nil when that is not smaller.
func compress(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compressing assets: %w", err)
	}
	if _, err := w.Write(body); err != nil {
		return nil, fmt.Errorf("compressing assets: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compressing assets: %w", err)
	}
	if out.Len() >= len(body) {
		return nil, nil //nolint:nilnil // nothing to serve compressed
	}
	return out.Bytes(), nil
}

// Path returns the address of an asset, or "" when there is none of that name.
func (f *Files) Path(name string) string { return f.paths[name] }

// ServeHTTP serves an asset, to be cached for a year.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, known := f.bodies[strings.TrimPrefix(r.URL.Path, f.prefix+"/")]
	if !known {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Vary", "Accept-Encoding")
	body := a.body
	if a.gzipped != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "gzip")
		body = a.gzipped
	}
	_, _ = w.Write(body) // an error means that the browser has closed the connection
}

// acceptsGzip reports whether an Accept-Encoding header (RFC 9110, section 12.5.3) names gzip and
// does not exclude it with q=0.
func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, parameter, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return !slices.Contains([]string{"q=0", "q=0.0", "q=0.00", "q=0.000"}, strings.ReplaceAll(parameter, " ", ""))
		}
	}
	return false
}
