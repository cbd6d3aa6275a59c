package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestHint(t *testing.T) {
	t.Parallel()
	const page = "https://login.example.test/clusters/a"
	refusal := `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"Forbidden","code":403}`
	for name, c := range map[string]struct {
		code                 int
		kind, encoding, body string
		hinted               bool
	}{
		"a refusal":           {403, "application/json", "", refusal, true},
		"with a charset":      {403, "application/json; charset=utf-8", "", refusal, true},
		"something else":      {404, "application/json", "", refusal, false},
		"in another form":     {403, "application/vnd.kubernetes.protobuf", "", "k8s", false},
		"compressed":          {403, "application/json", "gzip", refusal, false},
		"no status":           {403, "application/json", "", `{"kind":"Pod"}`, false},
		"not readable":        {403, "application/json", "", `{`, false},
		"nothing":             {403, "application/json", "", ``, false},
		"larger than a hint":  {403, "application/json", "", `{"kind":"Status","message":"` + strings.Repeat("x", 70<<10) + `"}`, false},
		"plain, at discovery": {403, "text/plain", "", "no", false},
	} {
		resp := &http.Response{StatusCode: c.code, Header: http.Header{"Content-Type": {c.kind}, "Content-Encoding": {c.encoding}}, Body: io.NopCloser(strings.NewReader(c.body)), ContentLength: int64(len(c.body))}
		addAccessHint(page)(resp)
		got, err := io.ReadAll(resp.Body)
		if err != nil || strings.Contains(string(got), page) != c.hinted || (!c.hinted && string(got) != c.body) || resp.ContentLength != int64(len(got)) {
			t.Errorf("%s: %v %.200s", name, err, got)
		}
	}
}
