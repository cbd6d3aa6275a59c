// Package requestinfo parses requests with the API server's own code
// (k8s.io/apiserver/pkg/endpoints/request). The proxy must not classify a request differently from the
// API server: a watch could then outlive a revocation, or be missing in the audit log.
package requestinfo

import (
	"net/http"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// Info describes a request.
type Info struct{ *request.RequestInfo }

// resolver has the prefixes that every API server uses (k8s.io/apiserver/pkg/server/config.go).
//
//nolint:gochecknoglobals // created once, because every request needs it, and never changed
var resolver = request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// Parse describes a request. For a request that cannot be parsed it returns only path and verb, as an
// API server does.
func Parse(r *http.Request) *Info {
	info, err := resolver.NewRequestInfo(r)
	if err != nil {
		info = &request.RequestInfo{Path: r.URL.Path, Verb: strings.ToLower(r.Method)}
	}
	return &Info{info}
}

// IsLongRunning reports whether the request may last long, by kube-apiserver's rules
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

// IsInteractive reports whether the request connects to a container or to a service.
func (i *Info) IsInteractive() bool {
	switch i.Subresource {
	case "attach", "exec", "proxy", "portforward":
		return true
	}
	return false
}

// IsShell reports whether the request opens a terminal session in a container: through the pod, or
// directly through the kubelet of its node.
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

// IsKubeletRun reports whether the request makes a kubelet run a command without a terminal, which
// cannot be recorded (pkg/kubelet/server/server.go of k8s.io/kubernetes).
func (i *Info) IsKubeletRun() bool {
	return i.IsResourceRequest && i.APIGroup == "" && i.kubeletEndpoint() == "run"
}

// IsProxied reports whether the API server forwards the request to a service, a pod or a node.
func (i *Info) IsProxied() bool { return i.Verb == "proxy" || i.Subresource == "proxy" }

// kubeletEndpoint returns the first path segment of a request to a kubelet, after cleaning the path.
func (i *Info) kubeletEndpoint() string {
	const after = 3 // "nodes", the node's name, "proxy"
	if i.Resource != "nodes" || i.Subresource != "proxy" || len(i.Parts) <= after {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(path.Clean("/"+strings.Join(i.Parts[after:], "/")), "/"), "/")
	return first
}
