package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTheProxysTokenIsRotated gives the proxy a token that the API server does not take, as one that has
// expired, and then a good one in the same file, as kubelet does. No user has to sign in again meanwhile, and no
// program has to be restarted.
func TestTheProxysTokenIsRotated(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	address := freeAddress(t)
	s.runFor(t, address)
	s.startKube(t, nil)
	credentials := s.serviceAccount(t)
	file := s.dir + "/service-account-token"
	good := readFile(t, file)
	writeFile(t, file, good[:len(good)-8]+"AAAAAAAA")
	s.startProxy(t, "a", address, credentials)
	me := s.person(t, jane())
	if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	if r := me.run("", "kubectl", "get", "pods", "-n", "demo", "--context", "a"); r.code == 0 || !strings.Contains(r.err, "does not accept the proxy's own credential") {
		t.Errorf("%+v", r)
	}
	token := me.token("a")
	if got := s.tryAs(t, s.client, "https://"+address, token, http.Header{}); got.Code != http.StatusServiceUnavailable {
		t.Errorf("%+v", got)
	}
	writeFile(t, file, good)
	began := time.Now()
	eventually(t, "the new token", 100*time.Second, func() bool {
		return s.tryAs(t, s.client, "https://"+address, token, http.Header{}).Code == http.StatusCreated
	})
	t.Logf("the new token was taken up after %v", time.Since(began).Round(time.Second))
	if me.tabs() != 1 {
		t.Errorf("%d browser tabs: somebody was sent to sign in again", me.tabs())
	}
	me.kubectl("get", "pods", "-n", "demo", "--context", "a")
}
