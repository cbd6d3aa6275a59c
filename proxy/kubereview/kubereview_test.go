package kubereview_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/proxy/kubereview"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	code, text := 0, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/prefix/apis/x" || string(body) != `{"question":1}` || r.Header.Get("Authorization") != "Bearer t" || r.Method != http.MethodPost {
			t.Errorf("%s %s %s", r.Method, r.URL.Path, body)
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	c, err := kubereview.New(&rest.Config{Host: server.URL + "/prefix", BearerToken: "t"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(status int, body string) (string, error) {
		code, text = status, body
		var answer struct{ Said string }
		err := c.Create(t.Context(), "/apis/x", map[string]int{"question": 1}, &answer)
		return answer.Said, err
	}
	if said, err := ask(201, `{"said":"yes"}`); said != "yes" || err != nil {
		t.Error(said, err)
	}
	if said, err := ask(200, `{}`); said != "" || err != nil {
		t.Error(said, err)
	}
	if _, err := ask(403, `{}`); !errors.Is(err, kubereview.ErrForbidden) {
		t.Error(err)
	}
	for status, body := range map[int]string{500: `{"said":"yes"}`, 200: "<html>", 302: ""} {
		if said, err := ask(status, body); err == nil || said != "" {
			t.Errorf("%d: %s", status, said)
		}
	}
	if _, err := kubereview.New(&rest.Config{Host: "https://%zz"}); err == nil {
		t.Error("an address that is none")
	}
	if _, err := kubereview.New(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: []byte(strings.Repeat("x", 10))}}); err == nil {
		t.Error("an authority that is none")
	}
}
