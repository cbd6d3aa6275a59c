package static_test

import (
	"net/http"
	"net/http/httptest"
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

func TestTheScriptStaysSmall(t *testing.T) {
	t.Parallel()
	f, err := static.New("/s")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, f.Path("app.js"), nil))
	if w.Body.Len() > 8<<10 {
		t.Errorf("script has %d bytes, at most 8 KB", w.Body.Len())
	}
}
