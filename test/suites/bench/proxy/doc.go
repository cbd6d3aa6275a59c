// Package proxybench measures the proxy beside others, in one run and in turns: nginx, a bare
// httputil.ReverseProxy, and a proxy that is built as kube-oidc-proxy is, of the API
// server's own authenticator. Everything runs in a process of its own, so that what each
// uses can be told apart.
package proxybench
