package web

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/brand"
)

// BrandPath is the path of the installation's own logo and colours.
const BrandPath = "/brand/"

// logoHeight is the height of the logo in templates/layout, in pixels.
const logoHeight = 24

// The files of a brand, by the last part of their path.
const (
	logoFile  = "logo.svg"
	styleFile = "style.css"
)

// brandFile returns a file of the brand, or "" if the installation uses Fairlead's own.
func (s *Site) brandFile(name string) (body, contentType string) {
	v := s.runtimeSettings.Get()
	switch {
	case name == logoFile && v.Logo != "":
		return v.Logo, "image/svg+xml"
	case name == styleFile && v.Color+v.ColorDark != "":
		return brand.Style(v.Color, v.ColorDark), "text/css; charset=utf-8"
	}
	return "", ""
}

// brandAddress returns the URL of a brand file, with the hash of its content. It returns "" if the installation
// uses Fairlead's own.
func (s *Site) brandAddress(name string) string {
	body, _ := s.brandFile(name)
	if body == "" {
		return ""
	}
	return s.Path(BrandPath + hashOf(body) + "/" + name)
}

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:6])
}

// Brand serves the installation's own logo and colours. Replicas may have different versions for some seconds, so a
// response to another hash must not be cached.
func (s *Site) Brand() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, s.Path(BrandPath)), "/")
		body, contentType := s.brandFile(name)
		if body == "" {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox") // for a logo that is opened in its own tab
		h.Set("Cache-Control", "no-store")
		if hash == hashOf(body) {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		_, _ = w.Write([]byte(body)) // the browser has closed the connection
	})
}
