package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
)

// probe is a request that is sent twice: straight to the API server by an admin who says who
// it is from, and through the proxy by that person.
type probe struct {
	method, path, body string
	header             http.Header
	// as is the user that the caller impersonates; empty for none.
	as http.Header
}

func (p probe) String() string {
	text := p.method + " " + p.path
	if len(p.header) > 0 || len(p.as) > 0 {
		text += fmt.Sprintf(" %v %v", p.header, p.as)
	}
	return text
}

// kinds are resources with a body that makes one, and the address of where they are.
var kinds = []struct{ base, one, body string }{
	{"/api/v1/namespaces/work/configmaps", "settings", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s"},"data":{"a":"b"}}`},
	{"/api/v1/namespaces/work/secrets", "key", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"%s"},"stringData":{"a":"b"}}`},
	{"/api/v1/namespaces/work/services", "front", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"%s"},"spec":{"ports":[{"port":80}],"clusterIP":"None"}}`},
	{"/api/v1/namespaces/work/serviceaccounts", "robot", `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"%s"}}`},
	{"/api/v1/namespaces/work/pods", "shell", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s"},"spec":{"serviceAccountName":"robot","containers":[{"name":"a","image":"b"}]}}`},
	{"/apis/apps/v1/namespaces/work/deployments", "web", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"%s"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"b"}]}}}}`},
	{"/apis/batch/v1/namespaces/work/jobs", "once", `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"%s"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"b"}]}}}}`},
	{"/apis/coordination.k8s.io/v1/namespaces/work/leases", "leader", `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"%s"}}`},
	{"/apis/rbac.authorization.k8s.io/v1/namespaces/work/roles", "reader", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"%s"},"rules":[]}`},
	{"/apis/example.test/v1/namespaces/work/widgets", "blue", `{"apiVersion":"example.test/v1","kind":"Widget","metadata":{"name":"%s"},"spec":{"size":1}}`},
	// Requests that the user may not make.
	{"/api/v1/namespaces", "work", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"%s"}}`},
	{"/api/v1/nodes", "fake", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"%s"}}`},
	{"/api/v1/namespaces/kube-system/secrets", "key", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"%s"}}`},
	{"/apis/rbac.authorization.k8s.io/v1/clusterroles", "cluster-admin", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"%s"},"rules":[]}`},
}

func asJSON(kind string) http.Header { return http.Header{"Content-Type": {kind}} }

// everyVerb is each verb on each kind, also where it is not there, twice, or not allowed.
func everyVerb() []probe {
	var out []probe
	add := func(method, path, body string, header http.Header) {
		out = append(out, probe{method: method, path: path, body: body, header: header})
	}
	for _, k := range kinds {
		one, none := k.base+"/"+k.one, k.base+"/nowhere"
		add("GET", k.base, "", nil)
		add("GET", k.base+"?limit=1", "", nil)
		add("GET", k.base+"?fieldSelector=metadata.name%3D"+k.one, "", nil)
		add("GET", k.base+"?watch=1&timeoutSeconds=1&resourceVersion=0&fieldSelector=metadata.name="+k.one, "", nil)
		add("GET", one, "", nil)
		add("HEAD", one, "", nil)
		add("GET", none, "", nil)
		add("POST", k.base+"?dryRun=All", fmt.Sprintf(k.body, "fresh"), asJSON("application/json"))
		add("POST", k.base+"?dryRun=All", fmt.Sprintf(k.body, k.one), asJSON("application/json"))
		add("POST", k.base+"?dryRun=All&fieldValidation=Strict", strings.Replace(fmt.Sprintf(k.body, "fresh"), `"metadata"`, `"odd":1,"metadata"`, 1), asJSON("application/json"))
		add("PUT", none+"?dryRun=All", fmt.Sprintf(k.body, "nowhere"), asJSON("application/json"))
		add("PATCH", one+"?dryRun=All", `{"metadata":{"labels":{"a":"b"}}}`, asJSON("application/merge-patch+json"))
		add("PATCH", one+"?dryRun=All", `[{"op":"add","path":"/metadata/annotations","value":{"a":"b"}}]`, asJSON("application/json-patch+json"))
		add("PATCH", one+"?dryRun=All&fieldManager=test&force=true", fmt.Sprintf(k.body, k.one), asJSON("application/apply-patch+yaml"))
		add("PATCH", none+"?dryRun=All", `{}`, asJSON("application/strategic-merge-patch+json"))
		add("DELETE", one+"?dryRun=All", "", nil)
		add("DELETE", none, "", nil)
		add("DELETE", k.base+"?dryRun=All&labelSelector=a%3Dnobody", "", nil)
	}
	return out
}

// subresources are those of a pod and others, asked for in ways that end at once.
func subresources() []probe {
	var out []probe
	pod := "/api/v1/namespaces/demo/pods/hello"
	for _, sub := range []string{"status", "log?tailLines=1", "exec", "exec?command=true&stdout=1", "attach", "portforward", "portforward?ports=80", "proxy", "proxy/deep/er?a=b", "ephemeralcontainers", "resize", "nonsense"} {
		for _, method := range []string{"GET", "POST", "PATCH"} {
			out = append(out, probe{method: method, path: pod + "/" + sub, body: "{}", header: asJSON("application/merge-patch+json")})
		}
	}
	eviction := `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"hello","namespace":"demo"}}`
	out = append(out,
		probe{method: "POST", path: pod + "/eviction?dryRun=All", body: eviction, header: asJSON("application/json")},
		probe{method: "POST", path: pod + "/binding?dryRun=All", body: `{"apiVersion":"v1","kind":"Binding","target":{"name":"fake"}}`, header: asJSON("application/json")},
		probe{method: "GET", path: "/apis/apps/v1/namespaces/work/deployments/web/scale"},
		probe{method: "PATCH", path: "/apis/apps/v1/namespaces/work/deployments/web/scale?dryRun=All", body: `{"spec":{"replicas":3}}`, header: asJSON("application/merge-patch+json")},
		probe{method: "GET", path: "/apis/example.test/v1/namespaces/work/widgets/blue/status"},
		probe{method: "POST", path: "/api/v1/namespaces/work/serviceaccounts/robot/token?dryRun=All", body: `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`, header: asJSON("application/json")},
		probe{method: "GET", path: "/api/v1/namespaces/work/services/front/proxy/"},
		probe{method: "GET", path: "/api/v1/nodes/fake/proxy/healthz"},
		probe{method: "GET", path: "/api/v1/namespaces/work/finalize"},
	)
	return out
}

// oddPaths are addresses that an intermediary could read in another way.
func oddPaths() []probe {
	var out []probe
	for _, path := range []string{
		"/", "/api", "/api/", "/apis", "/apis/", "/api/v1", "/api/v2", "/apis/apps", "/apis/apps/v1", "/apis/apps/v9", "/apis/nothing.test", "/version", "/version/", "/healthz", "/livez",
		"/livez/ping", "/readyz?verbose", "/readyz?exclude=etcd", "/metrics", "/openapi/v2?x", "/openapi/v3", "/openapi/v3/api/v1?hash=0", "/swagger.json", "/logs", "/debug/pprof/", "/.well-known/openid-configuration", "/openid/v1/jwks",
		"/nothing", "//", "//api/v1/namespaces/work/configmaps", "/api//v1/namespaces/work/configmaps", "/api/v1//namespaces/work/configmaps", "/api/v1/namespaces//configmaps", "/api/v1/namespaces/work//configmaps",
		"/api/v1/namespaces/work/configmaps/", "/api/v1/namespaces/work/configmaps//settings", "/api/v1/./namespaces/work/configmaps", "/api/v1/namespaces/work/../kube-system/secrets", "/api/v1/namespaces/work/configmaps/../secrets/key",
		"/api/v1/namespaces/work/configmaps/%2e%2e/secrets/key", "/api/v1/namespaces/work%2fconfigmaps", "/api/v1/namespaces/work/configmaps/settings%2f..%2fother", "/api/v1/namespaces/%77ork/configmaps/settings",
		"/api/v1/namespaces/work/configmaps/%E2%82%AC", "/api/v1/namespaces/work/configmaps/a%20b", "/api/v1/namespaces/work/configmaps/a%00b", "/api/v1/namespaces/work/configmaps/a%0d%0ab", "/api/v1/namespaces/work/configmaps/settings%3fwatch=1",
		"/api/v1/namespaces/work/configmaps/settings;a=b", "/api/v1/namespaces/work/configmaps/settings%3B", "/api/v1/namespaces/WORK/configmaps", "/API/v1/namespaces/work/configmaps", "/api/v1/Namespaces/work/configmaps",
		"/api/v1/namespaces/work/configmaps?", "/api/v1/namespaces/work/configmaps?&&", "/api/v1/namespaces/work/configmaps?a=1;b=2", "/api/v1/namespaces/work/configmaps?limit=%zz", "/api/v1/namespaces/work/configmaps?limit=-1", "/api/v1/namespaces/work/configmaps?limit=x",
		"/api/v1/namespaces/work/configmaps?labelSelector=a%20in%20(b%2Cc)", "/api/v1/namespaces/work/configmaps?labelSelector=%21%21", "/api/v1/namespaces/work/configmaps?fieldSelector=nothing%3D1", "/api/v1/namespaces/work/configmaps?resourceVersion=x",
		"/api/v1/namespaces/work/configmaps?resourceVersion=999999999", "/api/v1/namespaces/work/configmaps?continue=bogus", "/api/v1/namespaces/work/configmaps?watch=maybe&timeoutSeconds=1&fieldSelector=metadata.name=none&resourceVersion=0", "/api/v1/namespaces/work/configmaps?watch&timeoutSeconds=1&fieldSelector=metadata.name=none&resourceVersion=0", "/api/v1/namespaces/work/configmaps?watch=true&watch=false&timeoutSeconds=1&fieldSelector=metadata.name=none&resourceVersion=0",
		"/api/v1/watch/namespaces/work/configmaps?timeoutSeconds=1&fieldSelector=metadata.name=settings&resourceVersion=0", "/api/v1/watch/namespaces/work/configmaps/settings?timeoutSeconds=1&resourceVersion=0", "/api/v1/proxy/namespaces/work/services/front", "/api/v1/redirect/namespaces/work/services/front",
		"/api/v1/namespaces/work/configmaps/settings?pretty=true", "/api/v1/namespaces/work/configmaps/settings?a=" + strings.Repeat("x", 4000), "/api/v1/namespaces/work/configmaps/" + strings.Repeat("x", 300),
		"/apis/aggregated.test/v1", "/apis/aggregated.test/v1/things", "/apis/aggregated.test/v1/namespaces/work/things/one?a=1;b=2", "/apis/aggregated.test/v1/teapot", "/apis/missing.test/v1", "/apis/missing.test/v1/things",
	} {
		out = append(out, probe{method: "GET", path: path})
	}
	for _, method := range []string{"HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FROB", "get"} {
		for _, path := range []string{"/", "/api/v1/namespaces/work/configmaps?dryRun=All", "/healthz", "/apis/aggregated.test/v1/things"} {
			out = append(out, probe{method: method, path: path})
		}
	}
	return out
}

// encodings are forms of answers and bodies.
func encodings() []probe {
	var out []probe
	for _, accept := range []string{
		"application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor", "text/html", "*/*", "nonsense", "", "application/json;as=Table;v=v1;g=meta.k8s.io",
		"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "application/json;as=Unknown;v=v1;g=meta.k8s.io", "application/json;stream=watch",
		"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json",
	} {
		for _, path := range []string{"/api/v1/namespaces/work/configmaps/settings", "/apis/example.test/v1/namespaces/work/widgets", "/api"} {
			out = append(out, probe{method: "GET", path: path, header: http.Header{"Accept": {accept}}})
		}
	}
	maps := "/api/v1/namespaces/work/configmaps?dryRun=All"
	for kind, body := range map[string]string{
		"application/json": `{`, "application/yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\n", "application/vnd.kubernetes.protobuf": "k8s\x00broken", "text/plain": "x", "": `{"kind":"ConfigMap"}`,
		"application/json; charset=utf-8": `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}`, "application/cbor": "\xd9\xd9\xf7\xa0",
	} {
		out = append(out, probe{method: "POST", path: maps, body: body, header: asJSON(kind)})
	}
	return append(out,
		probe{method: "POST", path: maps, body: `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"big"},"data":{"a":"` + strings.Repeat("x", 2<<20) + `"}}`, header: asJSON("application/json")},
		probe{method: "GET", path: "/api/v1/namespaces/work/configmaps/settings", header: http.Header{"If-None-Match": {`"x"`}, "X-Custom": {"a", "b"}, "Range": {"bytes=0-1"}}},
		probe{method: "GET", path: "/openapi/v3/api/v1", header: http.Header{"Accept-Encoding": {"gzip"}}},
		probe{method: "POST", path: "/apis/authentication.k8s.io/v1/selfsubjectreviews", body: `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`, header: asJSON("application/json")},
		probe{method: "POST", path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body: `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"verb":"get","resource":"secrets","namespace":"kube-system"}}}`, header: asJSON("application/json")},
		probe{method: "POST", path: "/apis/authorization.k8s.io/v1/namespaces/work/localsubjectaccessreviews", body: `{"apiVersion":"authorization.k8s.io/v1","kind":"LocalSubjectAccessReview","metadata":{"namespace":"work"},"spec":{"user":"x","resourceAttributes":{"namespace":"work","verb":"get","resource":"pods"}}}`, header: asJSON("application/json")},
	)
}

// actingAs are requests of a user who impersonates another user and may do so.
func actingAs() []probe {
	var out []probe
	for _, wish := range []http.Header{
		{"Impersonate-User": {"bob"}},
		{"Impersonate-User": {"bob"}, "Impersonate-Group": {"dev"}},
		{"Impersonate-User": {"bob"}, "Impersonate-Group": {"dev", "system:authenticated"}},
		{"Impersonate-User": {"bob"}, "Impersonate-Uid": {"42"}},
		{"Impersonate-User": {"bob"}, "Impersonate-Extra-Scopes": {"view"}},
		{"Impersonate-User": {"bob"}, "Impersonate-Extra-Example.com%2fa": {"view"}},
		{"Impersonate-User": {"system:serviceaccount:demo:default"}},
		{"Impersonate-User": {"system:anonymous"}},
	} {
		for _, path := range []string{"/api/v1/namespaces/work/configmaps", "/api/v1/namespaces/demo/pods/hello", "/healthz", "/apis/nothing.test", "/api/v1/namespaces/demo/pods/hello/log"} {
			out = append(out, probe{method: "GET", path: path, as: wish})
		}
		out = append(out, probe{method: "POST", path: "/apis/authentication.k8s.io/v1/selfsubjectreviews", body: `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`, header: asJSON("application/json"), as: wish})
	}
	return out
}

func probes() []probe {
	var all []probe
	for _, some := range [][]probe{everyVerb(), subresources(), oddPaths(), encodings(), actingAs()} {
		all = append(all, some...)
	}
	return all
}
