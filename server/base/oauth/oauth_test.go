package oauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
)

func TestWriteNamesTheError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err        error
		wantStatus int
		wantBody   string
		wantHeader string
	}{
		{oauth.Errorf(oauth.InvalidGrant, "Say \"please\"\r\n."), 400, `{"error":"invalid_grant","error_description":"Say 'please'."}`, ""},
		{oauth.Errorf(oauth.InvalidClient, "No."), 401, `{"error":"invalid_client","error_description":"No."}`, "Www-Authenticate"},
		{errs.New(errs.Unavailable, "The database does not answer."), 503, `{"error":"temporarily_unavailable","error_description":"The database does not answer."}`, "Retry-After"},
		{errors.New("password=hunter2"), 500, `{"error":"server_error","error_description":"The server had an internal error. Ask an admin to check its log."}`, ""},
	} {
		w := httptest.NewRecorder()
		oauth.FromError(c.err).Write(w)
		if w.Code != c.wantStatus || w.Body.String() != c.wantBody {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v: not marked no-store", c.err)
		}
		if c.wantHeader != "" && w.Header().Get(c.wantHeader) == "" {
			t.Errorf("%v: no %s", c.err, c.wantHeader)
		}
	}
}

func form(body, contentType string) (*httptest.ResponseRecorder, *http.Request) {
	r := httptest.NewRequest(http.MethodPost, "/token?code=from-query", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return httptest.NewRecorder(), r
}

func TestFormReadsTheBodyOnly(t *testing.T) {
	t.Parallel()
	w, r := form("grant_type=x&empty=", "application/x-www-form-urlencoded; charset=utf-8")
	got, err := oauth.ParseForm(w, r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(oauth.Params{"grant_type": "x"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, c := range map[string][2]string{
		"twice":        {"a=1&a=2", "application/x-www-form-urlencoded"},
		"json":         {`{"a":1}`, "application/json"},
		"no type":      {"a=1", ""},
		"bad encoding": {"a=%zz", "application/x-www-form-urlencoded"},
		"too large":    {"a=" + strings.Repeat("x", 70<<10), "application/x-www-form-urlencoded"},
	} {
		w, r := form(c[0], c[1])
		if _, err := oauth.ParseForm(w, r); err == nil || oauth.FromError(err).Code != oauth.InvalidRequest {
			t.Errorf("%s: %v, want invalid_request", name, err)
		}
	}
}

func TestSplitScope(t *testing.T) {
	t.Parallel()
	got := oauth.ParseScope("offline_access  openid evil openid")
	if diff := cmp.Diff([]string{"openid", "offline_access"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzForm(f *testing.F) {
	f.Add("grant_type=authorization_code&code=x&code_verifier=y")
	f.Add("a=1&a=2")
	f.Add("a;b=%")
	f.Fuzz(func(t *testing.T, body string) {
		w, r := form(body, "application/x-www-form-urlencoded")
		params, err := oauth.ParseForm(w, r)
		if err != nil {
			return
		}
		values, parseErr := url.ParseQuery(body)
		if parseErr != nil {
			t.Fatalf("accepted an unreadable body %q", body)
		}
		for name, value := range params {
			if len(values[name]) != 1 || values[name][0] != value {
				t.Errorf("%q = %q, body has %q", name, value, values[name])
			}
		}
	})
}
