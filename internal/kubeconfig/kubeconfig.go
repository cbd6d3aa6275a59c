// Package kubeconfig renders kubeconfig files: an exec plugin per user, no
// token, no secret, no name of a person, so that a file is safe to share. It is
// pure text; who may have which cluster is decided elsewhere.
package kubeconfig

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

// APIVersion is the only one of the exec protocol that will last.
const APIVersion = "client.authentication.k8s.io/v1"

// Plugin is the command of our own plugin. People put it on allow lists, so it
// never changes.
const Plugin = "kubectl-fairlead"

// Kubelogin is the command of int128/kubelogin as its package manager installs
// it. "kubectl" itself must not be the command: wrappers of it would call
// themselves.
const Kubelogin = "kubectl-oidc_login"

// User makes the exec part for a cluster.
type User func(c apitypes.Cluster) Exec

// Exec is a user's exec section (client-go/tools/clientcmd/api/v1.ExecConfig).
type Exec struct {
	APIVersion         string   `yaml:"apiVersion"`
	Command            string   `yaml:"command"`
	Args               []string `yaml:"args"`
	InteractiveMode    string   `yaml:"interactiveMode"`
	ProvideClusterInfo bool     `yaml:"provideClusterInfo"`
	InstallHint        string   `yaml:"installHint"`
}

type file struct {
	APIVersion string    `yaml:"apiVersion"`
	Kind       string    `yaml:"kind"`
	Clusters   []cluster `yaml:"clusters"`
	Contexts   []context `yaml:"contexts"`
	Users      []user    `yaml:"users"`
	Current    string    `yaml:"current-context,omitempty"`
}

type cluster struct {
	Name    string      `yaml:"name"`
	Cluster clusterBody `yaml:"cluster"`
}

type clusterBody struct {
	Server string `yaml:"server"`
	CA     string `yaml:"certificate-authority-data,omitempty"`
}

type context struct {
	Name    string      `yaml:"name"`
	Context contextBody `yaml:"context"`
}

type contextBody struct {
	Cluster   string `yaml:"cluster"`
	User      string `yaml:"user"`
	Namespace string `yaml:"namespace,omitempty"`
}

type user struct {
	Name string   `yaml:"name"`
	User userBody `yaml:"user"`
}

type userBody struct {
	Exec  *Exec  `yaml:"exec,omitempty"`
	Token string `yaml:"token,omitempty"`
}

// RenderToken returns a file for one cluster that holds a token. It is a secret.
func RenderToken(c apitypes.Cluster, token string) ([]byte, error) {
	return render([]apitypes.Cluster{c}, func(apitypes.Cluster) userBody { return userBody{Token: token} })
}

// Render returns the file for the clusters. With exactly one cluster its
// context is the current one; a file of many is meant to be merged and has none.
func Render(clusters []apitypes.Cluster, as User) ([]byte, error) {
	return render(clusters, func(c apitypes.Cluster) userBody {
		exec := as(c)
		return userBody{Exec: &exec}
	})
}

func render(clusters []apitypes.Cluster, as func(apitypes.Cluster) userBody) ([]byte, error) {
	f := file{APIVersion: "v1", Kind: "Config", Clusters: []cluster{}, Contexts: []context{}, Users: []user{}}
	for _, c := range clusters {
		f.Clusters = append(f.Clusters, cluster{Name: c.Context, Cluster: clusterBody{
			Server: c.Server, CA: base64.StdEncoding.EncodeToString([]byte(c.CA)),
		}})
		f.Contexts = append(f.Contexts, context{Name: c.Context, Context: contextBody{
			Cluster: c.Context, User: c.Context, Namespace: c.Namespace,
		}})
		f.Users = append(f.Users, user{Name: c.Context, User: as(c)})
	}
	if len(clusters) == 1 {
		f.Current = clusters[0].Context
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("writing kubeconfig: %w", err)
	}
	return out.Bytes(), nil
}

// WithPlugin makes users that call our plugin. Command is Plugin, or the
// plugin's own absolute path, which programs that are not started from a shell
// need. Server is the address to sign in at, profile the account there when somebody has
// several.
func WithPlugin(command, server, profile string) User {
	return func(c apitypes.Cluster) Exec {
		args := []string{"get-token", "--server=" + server, "--cluster=" + c.ID}
		if profile != "" {
			args = append(args, "--profile="+profile)
		}
		return Exec{
			APIVersion: APIVersion, Command: command, InteractiveMode: "IfAvailable",
			Args: args,
			InstallHint: "kubectl-fairlead is needed to sign in to " + c.Name + ".\n" +
				"How to install it on Linux, macOS and Windows: " + server + "/help\n",
		}
	}
}

// WithKubelogin makes users that call kubelogin. The cluster is its client.
func WithKubelogin(server string) User {
	return func(c apitypes.Cluster) Exec {
		return Exec{
			APIVersion: APIVersion, Command: Kubelogin, InteractiveMode: "IfAvailable",
			Args: []string{
				"get-token", "--oidc-issuer-url=" + server, "--oidc-client-id=" + c.Audience,
				"--oidc-extra-scope=offline_access", "--oidc-pkce-method=S256",
			},
			InstallHint: "kubelogin is needed to sign in to " + c.Name + ". Install it with: kubectl krew install oidc-login\n",
		}
	}
}
