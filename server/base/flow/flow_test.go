package flow_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

type browser struct{ cookies []*http.Cookie }

func (b *browser) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	return r
}

func (b *browser) seal(t *testing.T, s *flow.Sealer, f *flow.Flow) string {
	t.Helper()
	w := httptest.NewRecorder()
	sealed, err := s.Seal(w, b.request(), f)
	if err != nil {
		t.Fatal(err)
	}
	b.cookies = append(b.cookies, w.Result().Cookies()...)
	return sealed
}

func TestFlowIsBoundToItsBrowser(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := &flow.Sealer{Keyring: storetest.Keyring(t), Now: func() time.Time { return now }, Secure: true}
	jane, eve := &browser{}, &browser{}
	want := &flow.Flow{Request: &flow.Request{ClientID: "c", State: "s&=é", Scopes: []string{"openid"}}, ReturnTo: "/x"}
	sealed := jane.seal(t, s, want)
	second := jane.seal(t, s, &flow.Flow{ReturnTo: "/tab2"})
	eve.seal(t, s, &flow.Flow{})

	if len(jane.cookies) != 1 {
		t.Errorf("%d cookies, want one for all tabs", len(jane.cookies))
	}
	c := jane.cookies[0]
	if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
		t.Errorf("cookie %+v", c)
	}
	got, err := s.Open(jane.request(), sealed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := s.Open(jane.request(), second); err != nil {
		t.Errorf("second tab: %v", err)
	}
	for name, try := range map[string]func() (*flow.Flow, error){
		"other browser": func() (*flow.Flow, error) { return s.Open(eve.request(), sealed) },
		"no cookie":     func() (*flow.Flow, error) { return s.Open((&browser{}).request(), sealed) },
		"changed":       func() (*flow.Flow, error) { return s.Open(jane.request(), sealed[:len(sealed)-3]+"AAA") },
		"empty":         func() (*flow.Flow, error) { return s.Open(jane.request(), "") },
	} {
		if _, err := try(); !errors.Is(err, flow.ErrInvalid) {
			t.Errorf("%s: %v, want ErrLost", name, err)
		}
	}
	now = now.Add(flow.Lifetime)
	if _, err := s.Open(jane.request(), sealed); !errors.Is(err, flow.ErrInvalid) {
		t.Errorf("expired: %v, want ErrLost", err)
	}
}

func TestLocalPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/clusters/a?x=1": "/clusters/a?x=1", "/": "/",
		"": "/", "clusters": "/", "//evil.test": "/", "/\\evil.test": "/", "/\t/evil.test": "/", "/ /evil.test": "/",
		"/x\r\nSet-Cookie: a": "/", "https://evil.test/": "/", "javascript:alert(1)": "/", "/x\\..\\": "/", "/\u00a0/evil": "/",
	} {
		if got := flow.LocalPath(path); got != want {
			t.Errorf("LocalPath(%q) = %q, want %q", path, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	f.Add("//evil.test")
	f.Add("/\\evil")
	base, err := url.Parse("https://login.test/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := flow.LocalPath(path)
		u, err := base.Parse(got)
		if err != nil {
			return // a browser does not follow an address that does not parse
		}
		if u.Host != "login.test" || strings.HasPrefix(got, "//") || strings.Contains(got, "\\") {
			t.Errorf("LocalPath(%q) = %q leads to %s", path, got, u)
		}
	})
}

// FuzzOpen gives a browser's own cookie with a text that the server did not seal.
func FuzzOpen(f *testing.F) {
	s := &flow.Sealer{Keyring: storetest.Keyring(f), Now: time.Now}
	w := httptest.NewRecorder()
	good, err := s.Seal(w, httptest.NewRequest(http.MethodGet, "/", nil), &flow.Flow{ReturnTo: "/x"})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good, good[:len(good)-1], strings.ToUpper(good), "", ".", "a.b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sealed string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(w.Result().Cookies()[0])
		if _, err := s.Open(r, sealed); (err == nil) != (sealed == good) {
			t.Errorf("%q: %v", sealed, err)
		}
	})
}
