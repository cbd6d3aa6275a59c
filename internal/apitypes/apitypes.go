// Package apitypes defines the JSON types and paths of Fairlead's own HTTP API, which
// kubectl-fairlead calls. It leaves out what OAuth 2.0 and OpenID Connect define.
package apitypes

import "time"

// Paths of the API, relative to the server's address.
const (
	// ClustersPath lists the clusters of the user whose access token is the bearer token.
	// The response is a Clusters.
	ClustersPath = "/api/v1/clusters"
	// SignOutPath, with POST, ends every sign-in and device of the user whose access token is
	// the bearer token. It accepts only tokens of the client kubectl-fairlead. The response
	// is empty.
	SignOutPath = "/api/v1/sign-out"
	// WorkloadsPath is the page that explains how CI jobs and other programs sign in.
	WorkloadsPath = "/workloads"
)

// Clusters are the clusters that a user may use.
type Clusters struct {
	// User is the user name that clusters see.
	User string `json:"user"`
	// Clusters are sorted by context name.
	Clusters []Cluster `json:"clusters"`
	// SignInEnds is when the user must sign in again on this device, at the latest.
	SignInEnds time.Time `json:"signInEnds,omitzero"`
}

// Cluster is a Kubernetes cluster, with everything that a kubeconfig needs.
type Cluster struct {
	// ID identifies the cluster and never changes.
	ID string `json:"id"`
	// Name is the display name.
	Name string `json:"name"`
	// Context names the context, the cluster and the user entry in a kubeconfig.
	Context string `json:"context"`
	// Server is the https address of the API server, or of the proxy in front of it.
	Server string `json:"server"`
	// CA holds the certificate authorities of Server in PEM; empty means those of the system.
	CA string `json:"ca,omitempty"`
	// Audience is the audience to request in the token exchange.
	Audience string `json:"audience"`
	// Namespace is the default namespace of the context.
	Namespace string `json:"namespace,omitempty"`
	// Environment and Labels are set by admins, to group and select clusters.
	Environment string            `json:"environment,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}
