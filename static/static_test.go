package static_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/static"
)

func TestAssetsAreServedForEver(t *testing.T) {
	t.Parallel()
	f, err := static.New("/base/static")
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]string{"app.css": "text/css", "app.js": "text/javascript", "mark.svg": "image/svg+xml"} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, f.Path(name), nil))
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) ||
			!strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/base/static/../static.go", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("outside: %d, want 404", w.Code)
	}
}

// TestAssetsAreCompressed serves gzip only to a browser that accepts it.
func TestAssetsAreCompressed(t *testing.T) {
	t.Parallel()
	f, err := static.New("/s")
	if err != nil {
		t.Fatal(err)
	}
	for accept, want := range map[string]string{"": "", "br": "", "gzip": "gzip", "gzip, deflate, br, zstd": "gzip", "br, gzip;q=0.5": "gzip", "gzip;q=0": "", "gzip; q=0, *": ""} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, f.Path("app.css"), nil)
		r.Header.Set("Accept-Encoding", accept)
		f.ServeHTTP(w, r)
		body := io.Reader(w.Body)
		if got := w.Header().Get("Content-Encoding"); got != want || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", accept, w.Header())
		} else if got != "" {
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := io.ReadAll(body); err != nil || !strings.Contains(string(text), ":root {") {
			t.Errorf("%q: %d bytes, error %v", accept, len(text), err)
		}
	}
}

func TestTheScriptStaysSmall(t *testing.T) {
	t.Parallel()
	f, err := static.New("/s")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, f.Path("app.js"), nil))
	if w.Body.Len() > 25<<10 {
		t.Errorf("script has %d bytes, at most 25 KB", w.Body.Len())
	}
}

// TestClassesAreDefinedOnce fails when two rules of the style sheet define the same class: the
// second one would change pages that use the first. Rules inside @media adapt a class.
func TestClassesAreDefinedOnce(t *testing.T) {
	t.Parallel()
	f, err := static.New("/s")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, f.Path("app.css"), nil))
	text := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(w.Body.String(), "")
	class := regexp.MustCompile(`^\.[a-z0-9-]+$`)
	defined := map[string]int{}
	for _, selectors := range topLevelSelectors(text) {
		if class.MatchString(selectors) {
			defined[selectors]++
		}
	}
	for selector, times := range defined {
		if times > 1 {
			t.Errorf("%s is defined %d times", selector, times)
		}
	}
	if len(defined) < 50 {
		t.Errorf("%d classes found", len(defined))
	}
}

// topLevelSelectors returns the selector lists of the rules outside of any @ rule.
func topLevelSelectors(css string) []string {
	var list []string
	depth, from := 0, 0
	for i, letter := range css {
		switch letter {
		case '{':
			if selectors := strings.TrimSpace(css[from:i]); depth == 0 && !strings.HasPrefix(selectors, "@") {
				list = append(list, selectors)
			}
			depth++
		case '}':
			depth--
			from = i + 1
		}
	}
	return list
}
