package e2e_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

var long = flag.Bool("long", false, "keep traffic going for half an hour (make drills)")

// startNginx puts nginx in front of an address, with its defaults: it hangs up on a
// connection over which nothing came for a minute.
func (s *system) startNginx(t *testing.T, address, to string) {
	t.Helper()
	program := prerequisite.Program(t, "nginx", "/usr/sbin/nginx")
	dir := t.TempDir()
	config := writeFile(t, dir+"/nginx.conf", fmt.Sprintf(`
daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen %[2]s ssl http2;
    ssl_certificate %[3]s/tls.crt;
    ssl_certificate_key %[3]s/tls.key;
    location / {
      proxy_pass https://%[4]s;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      client_max_body_size 0;
    }
  }
}
`, dir, address, s.dir, to))
	start(t, program, nil, "-p", dir, "-c", config)
	eventually(t, "nginx", 20*time.Second, func() bool {
		resp, err := s.client.Get("https://" + address + "/version")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusUnauthorized
	})
}

// TestALoadBalancerInBetween has nginx before the proxy: shells that are quiet for longer
// than it waits stay open, over WebSocket and SPDY, and a port-forward carries on.
func TestALoadBalancerInBetween(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	address := freeAddress(t)
	s.runFor(t, address)
	s.startKube(t, nil)
	behind := freeAddress(t)
	s.apply(t, readFile(t, "../../../deploy/kubernetes/proxy-client-address-rbac.yaml"))
	s.proxyExtra = "trustedProxies: [127.0.0.0/8]\nsendClientAddress: true\naccessHint: true\n"
	s.startProxy(t, "a", behind, "")
	s.startNginx(t, address, behind)
	me := s.person(t, jane())
	if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	me.kubectl("get", "pods", "-n", "demo", "--context", "a")
	watchWorks(t, *me)
	seenThrough(t, s, me, address)
	var shells []*stream
	for _, env := range [][]string{nil, {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false"}} {
		shells = append(shells, me.stream(fmt.Sprint("quiet ", env), env, "exec", "-n", "demo", "--context", "a", "hello", "--", "sh", "-c", "echo begun; sleep 70; echo still here"))
	}
	duration := 70 * time.Second
	if *long {
		duration = 30 * time.Minute
	}
	portForwardLasts(t, *me, duration)
	for _, shell := range shells {
		eventually(t, shell.name, 30*time.Second, func() bool { return !shell.open() })
		if !strings.Contains(shell.out.String(), "still here") {
			t.Errorf("%s was cut: %q %q", shell.name, shell.out.String(), shell.err.String())
		}
	}
}

// seenThrough looks at what comes through nginx: the address of the client, which it can't choose, and where to
// see why a request is refused.
func seenThrough(t *testing.T, s *system, me *person, address string) {
	t.Helper()
	out := s.tryAs(t, s.client, "https://"+address, me.token("a"), http.Header{"X-Forwarded-For": {"192.0.2.7"}})
	if text := fmt.Sprint(out.Body); !strings.Contains(text, "fairlead.dev/client-address:[192.0.2.7]") { // nginx is trusted, and so is who asks it here
		t.Errorf("the API server sees %s", text)
	}
	if out := s.tryAs(t, s.client, "https://"+address, me.token("a"), http.Header{"X-Forwarded-For": {"6.6.6.6, 198.51.100.7, 127.0.0.9"}}); !strings.Contains(fmt.Sprint(out.Body), "fairlead.dev/client-address:[198.51.100.7]") {
		t.Errorf("the API server sees %+v", out)
	}
	if r := me.run("", "kubectl", "get", "nodes", "--context", "a"); !strings.Contains(r.err, "Open this page to see what you may do, and why: "+s.issuer+"/clusters/a") {
		t.Errorf("kubectl shows %+v", r)
	}
}

// portForwardLasts sends something through a port-forward every second.
func portForwardLasts(t *testing.T, p person, duration time.Duration) {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	t.Cleanup(backend.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(backend.URL, "http://"), ":")
	p.t = t
	local, out := p.forward(port)
	sent := 0
	for began := time.Now(); time.Since(began) < duration; sent++ {
		body := strings.Repeat("x", 1<<16)
		resp, err := http.Post("http://127.0.0.1:"+local, "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatalf("after %v and %d requests: %v\n%s", time.Since(began), sent, err, out)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != body {
			t.Fatalf("after %v: %d bytes, %v", time.Since(began), len(got), err)
		}
		time.Sleep(time.Second)
	}
	t.Logf("%d requests in %v", sent, duration)
}
