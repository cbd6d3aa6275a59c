package requestinfo_test

import (
	"net/http/httptest"
	"testing"

	"github.com/fairlead-auth/fairlead/proxy/requestinfo"
)

// TestLongRunning checks the forms of long-running requests. To an API server, every value of watch
// except "0" and "false" means true, also an empty one.
func TestLongRunning(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]bool{
		"GET /api/v1/pods":                                false,
		"GET /api/v1/pods?watch=1":                        true,
		"GET /api/v1/pods?watch=true":                     true,
		"GET /api/v1/pods?watch=TRUE":                     true,
		"GET /api/v1/pods?watch=yes":                      true,
		"GET /api/v1/pods?watch=2":                        true,
		"GET /api/v1/pods?watch":                          true,
		"GET /api/v1/pods?watch=":                         true,
		"GET /api/v1/pods?watch=0":                        false,
		"GET /api/v1/pods?watch=false":                    false,
		"GET /api/v1/pods?watch=False":                    false,
		"GET /api/v1/pods?watch=false&watch=true":         false,
		"GET /api/v1/pods?watch=true&limit=x":             true,
		"GET /api/v1/pods?watch=true&resourceVersion=%zz": true,
		"GET /api/v1/watch/pods":                          true,
		"GET /apis/example.test/v1/widgets?watch=1":       true,
		"GET /api/v1/namespaces/a/pods/b":                 false,
		"GET /api/v1/namespaces/a/pods/b/log":             true,
		"GET /api/v1/namespaces/a/pods/b/exec":            true,
		"POST /api/v1/namespaces/a/pods/b/exec":           true,
		"GET /api/v1/namespaces/a/pods/b/portforward":     true,
		"POST /api/v1/namespaces/a/services/b/proxy/c":    true,
		"GET /api/v1/nodes/a/proxy/metrics":               true,
		"GET /api/v1/proxy/namespaces/a/services/b":       true,
		"POST /api/v1/namespaces/a/pods/b/eviction":       false,
		"GET /debug/pprof/profile":                        true,
		"GET /healthz":                                    false,
		"GET /":                                           false,
	} {
		var method, path string
		for i := range target {
			if target[i] == ' ' {
				method, path = target[:i], target[i+1:]
				break
			}
		}
		if got := requestinfo.Parse(httptest.NewRequest(method, path, nil)).IsLongRunning(); got != want {
			t.Errorf("%s: %v, want %v", target, got, want)
		}
	}
}

// TestShells checks the forms of terminal sessions, also directly through a kubelet.
func TestShells(t *testing.T) {
	t.Parallel()
	for target, want := range map[string][2]bool{
		"/api/v1/namespaces/a/pods/b/exec":               {true, false},
		"/api/v1/namespaces/a/pods/b/attach?stdin=1":     {true, false},
		"/api/v1/namespaces/a/pods/b/portforward":        {false, false},
		"/api/v1/namespaces/a/pods/b/log":                {false, false},
		"/apis/example.test/v1/namespaces/a/pods/b/exec": {false, false},
		"/api/v1/namespaces/a/services/b/proxy/exec":     {false, false},
		"/api/v1/nodes/n/proxy/exec/a/b/c":               {true, false},
		"/api/v1/nodes/https:n:10250/proxy/exec/a/b/c":   {true, false},
		"/api/v1/nodes/n/proxy//exec/a/b/c":              {true, false},
		"/api/v1/nodes/n/proxy/attach/a/b/c":             {true, false},
		"/api/v1/nodes/n/proxy/cri/exec/token":           {true, false},
		"/api/v1/nodes/n/proxy/run/a/b/c?cmd=id":         {false, true},
		"/api/v1/nodes/n/proxy/./x/../run/a/b/c":         {false, true},
		"/api/v1/nodes/n/proxy/metrics":                  {false, false},
		"/api/v1/nodes/n/proxy":                          {false, false},
		"/api/v1/nodes/n":                                {false, false},
		"/healthz":                                       {false, false},
	} {
		info := requestinfo.Parse(httptest.NewRequest("POST", target, nil))
		if got := [2]bool{info.IsShell(), info.IsKubeletRun()}; got != want {
			t.Errorf("%s: %v, want %v", target, got, want)
		}
	}
}
