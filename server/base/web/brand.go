package web

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/brand"
)

// BrandPath is where the installation's own logo and colours are.
const BrandPath = "/brand/"

// Parts of a brand, by the end of their address.
const (
	logoFile  = "logo.svg"
	styleFile = "style.css"
)

// brandFile is a part of the brand; empty when it is Fairlead's own.
func (s *Site) brandFile(name string) (body, contentType string) {
	v := s.live.Get()
	switch {
	case name == logoFile && v.Logo != "":
		return v.Logo, "image/svg+xml"
	case name == styleFile && v.Color+v.ColorDark != "":
		return brand.Style(v.Color, v.ColorDark), "text/css; charset=utf-8"
	}
	return "", ""
}

// brandAddress is the address of a part of the brand, with the hash of what is there
// now; empty when it is Fairlead's own.
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

// Brand serves the installation's own logo and colours. Another replica may know a
// newer or an older one for some seconds: what is asked for by another hash is not kept.
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
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox") // a logo that is opened by itself
		h.Set("Cache-Control", "no-store")
		if hash == hashOf(body) {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		_, _ = w.Write([]byte(body)) // the browser is gone; there is nobody to tell
	})
}
