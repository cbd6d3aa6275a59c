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
	create := func(status int, body string) (string, error) {
		code, text = status, body
		var answer struct{ Result string }
		err := c.Create(t.Context(), "/apis/x", map[string]int{"question": 1}, &answer)
		return answer.Result, err
	}
	if result, err := create(201, `{"result":"yes"}`); result != "yes" || err != nil {
		t.Error(result, err)
	}
	if result, err := create(200, `{}`); result != "" || err != nil {
		t.Error(result, err)
	}
	if _, err := create(403, `{}`); !errors.Is(err, kubereview.ErrForbidden) {
		t.Error(err)
	}
	for status, body := range map[int]string{500: `{"result":"yes"}`, 200: "<html>", 302: ""} {
		if result, err := create(status, body); err == nil || result != "" {
			t.Errorf("%d: %s", status, result)
		}
	}
	if _, err := kubereview.New(&rest.Config{Host: "https://%zz"}); err == nil {
		t.Error("no error for an invalid address")
	}
	if _, err := kubereview.New(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAData: []byte(strings.Repeat("x", 10))}}); err == nil {
		t.Error("no error for an invalid CA")
	}
}
