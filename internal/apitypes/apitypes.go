// Package wire holds the few JSON types that the programs say to each other. It
// leaves out everything that a standard defines.
package apitypes

import "time"

// Paths of the server's own interface, below its address.
const (
	// ClustersPath lists the clusters of the person whose access token is sent
	// as a bearer token. The answer is a Clusters.
	ClustersPath = "/api/v1/clusters"
	// SignOutPath ends every sign-in and device of the person whose access token is sent as
	// a bearer token, with POST. Only kubectl-fairlead's own tokens may. The answer is empty.
	SignOutPath = "/api/v1/sign-out"
	// MachinesPath is the page for programs.
	MachinesPath = "/machines"
)

// Clusters is what a person may use.
type Clusters struct {
	// User is the name that clusters see.
	User string `json:"user"`
	// Clusters are sorted by context name.
	Clusters []Cluster `json:"clusters"`
	// SignInEnds is when this device has to sign in again at the latest.
	SignInEnds time.Time `json:"signInEnds,omitzero"`
}

// Cluster is one of them, with all that a kubeconfig needs.
type Cluster struct {
	// ID is the stable name of the cluster.
	ID string `json:"id"`
	// Name is for people.
	Name string `json:"name"`
	// Context is the name of the kubeconfig's context, cluster and user.
	Context string `json:"context"`
	// Server is the https address for kubectl.
	Server string `json:"server"`
	// CA is the PEM of the authorities that signed the server's certificate;
	// empty means the system's.
	CA string `json:"ca,omitempty"`
	// Audience is what to exchange for.
	Audience string `json:"audience"`
	// Namespace is the default one of the context.
	Namespace string `json:"namespace,omitempty"`
	// Environment and Labels are what admins sort clusters by.
	Environment string            `json:"environment,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}
