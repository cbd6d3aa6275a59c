// Package requestinfo says what a request is about, as an API server reads it: what the
// proxy took for something else could go on after its person has lost their access, or be
// missing in its account.
package requestinfo

import (
	"net/http"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// Info says what a request is about, as an API server reads it.
type Info struct{ *request.RequestInfo }

// resolver has the prefixes of every API server (k8s.io/apiserver/pkg/server/config.go).
//
//nolint:gochecknoglobals // made once, because it is asked for every request, and never changed
var resolver = request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// Read says what a request is about. What can't be read is what an API server makes of
// it as well: a path without a resource.
func Parse(r *http.Request) *Info {
	info, err := resolver.NewRequestInfo(r)
	if err != nil {
		info = &request.RequestInfo{Path: r.URL.Path, Verb: strings.ToLower(r.Method)}
	}
	return &Info{info}
}

// LongRunning reports whether the answer may take long, as kube-apiserver has it
// (BasicLongRunningRequestCheck in pkg/kubeapiserver/server of k8s.io/kubernetes).
func (i *Info) IsLongRunning() bool {
	switch i.Verb {
	case "watch", "proxy":
		return true
	}
	if !i.IsResourceRequest {
		return strings.HasPrefix(i.Path, "/debug/pprof/")
	}
	return i.Subresource == "log" || i.IsInteractive()
}

// Interactive reports whether the request opens a way into a container or to a service.
func (i *Info) IsInteractive() bool {
	switch i.Subresource {
	case "attach", "exec", "proxy", "portforward":
		return true
	}
	return false
}

// Shell reports whether the request opens a way to a program in a container, with a screen:
// through the pod, or past it through the node's kubelet.
func (i *Info) IsShell() bool {
	if !i.IsResourceRequest || i.APIGroup != "" {
		return false
	}
	switch i.kubeletEndpoint() {
	case "exec", "attach", "cri":
		return true
	}
	return i.Resource == "pods" && (i.Subresource == "exec" || i.Subresource == "attach")
}

// Runs reports whether the request lets a kubelet run a command without a screen that could
// be recorded (pkg/kubelet/server/server.go of k8s.io/kubernetes).
func (i *Info) IsKubeletRun() bool {
	return i.IsResourceRequest && i.APIGroup == "" && i.kubeletEndpoint() == "run"
}

// Proxied reports whether the API server asks a service, a pod or a node, and passes on what
// that one answers.
func (i *Info) IsProxied() bool { return i.Verb == "proxy" || i.Subresource == "proxy" }

// kubelet is the first part of what a node's kubelet is asked for through the API server,
// without detours.
func (i *Info) kubeletEndpoint() string {
	const after = 3 // nodes, the name, proxy
	if i.Resource != "nodes" || i.Subresource != "proxy" || len(i.Parts) <= after {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(path.Clean("/"+strings.Join(i.Parts[after:], "/")), "/"), "/")
	return first
}
