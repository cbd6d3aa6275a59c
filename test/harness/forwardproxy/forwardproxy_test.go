package forwardproxy_test

import (
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/fairlead-auth/fairlead/test/harness/forwardproxy"
)

var proxy forwardproxy.Proxy

func TestMain(m *testing.M) { os.Exit(forwardproxy.Run(m, &proxy)) }

func TestHostsAreLedElsewhere(t *testing.T) { //nolint:paralleltest // one proxy
	proxy.Lead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "this is "+r.Host) }), "forge.example")
	res, err := http.Get("https://forge.example/path")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || string(body) != "this is forge.example" {
		t.Errorf("%q, %v", body, err)
	}
	if res, err := http.Get("https://elsewhere.example"); err == nil {
		res.Body.Close()
		t.Error("a host that nobody leads anywhere answers")
	}
	proxy.Lead(nil, "forge.example")
	if res, err := http.Get("https://forge.example"); err == nil {
		if res.Body.Close(); res.StatusCode == http.StatusOK {
			t.Error("a host that was taken down answers")
		}
	}
}
