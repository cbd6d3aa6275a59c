// Package kubeconfig renders kubeconfig files whose users call an exec credential
// plugin. Apart from RenderToken, a file holds no token, no secret and no user name,
// so that it is safe to share. Callers decide which clusters a user gets.
package kubeconfig

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

// APIVersion is the stable version of the exec credential API; client-go removes the beta ones.
const APIVersion = "client.authentication.k8s.io/v1"

// Plugin is the command of Fairlead's own plugin. It never changes, because people put it
// on allow lists of plugins (kuberc).
const Plugin = "kubectl-fairlead"

// Kubelogin is the command of int128/kubelogin under the name that krew installs. "kubectl"
// must not be the command: a wrapper with that name would call itself without end.
const Kubelogin = "kubectl-oidc_login"

// ExecFunc returns the exec section of the user entry for a cluster.
type ExecFunc func(c apitypes.Cluster) Exec

// Exec is the exec section of a user entry (client-go/tools/clientcmd/api/v1.ExecConfig).
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

// RenderToken returns a kubeconfig for one cluster with a bearer token in it. The file is a
// secret.
func RenderToken(c apitypes.Cluster, token string) ([]byte, error) {
	return render([]apitypes.Cluster{c}, func(apitypes.Cluster) userBody { return userBody{Token: token} })
}

// Render returns a kubeconfig with a context per cluster. With exactly one cluster its
// context is the current one. A file with several clusters has no current context, because
// it is meant to be merged into another.
func Render(clusters []apitypes.Cluster, execFor ExecFunc) ([]byte, error) {
	return render(clusters, func(c apitypes.Cluster) userBody {
		exec := execFor(c)
		return userBody{Exec: &exec}
	})
}

func render(clusters []apitypes.Cluster, userFor func(apitypes.Cluster) userBody) ([]byte, error) {
	f := file{APIVersion: "v1", Kind: "Config", Clusters: []cluster{}, Contexts: []context{}, Users: []user{}}
	for _, c := range clusters {
		f.Clusters = append(f.Clusters, cluster{Name: c.Context, Cluster: clusterBody{
			Server: c.Server, CA: base64.StdEncoding.EncodeToString([]byte(c.CA)),
		}})
		f.Contexts = append(f.Contexts, context{Name: c.Context, Context: contextBody{
			Cluster: c.Context, User: c.Context, Namespace: c.Namespace,
		}})
		f.Users = append(f.Users, user{Name: c.Context, User: userFor(c)})
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

// WithPlugin returns exec sections that call kubectl-fairlead. Command is Plugin, or the
// plugin's absolute path, which programs without the shell's PATH need. Server is the
// address of the Fairlead server. Profile names one of several accounts there; empty is the
// default account.
func WithPlugin(command, server, profile string) ExecFunc {
	return func(c apitypes.Cluster) Exec {
		args := []string{"get-token", "--server=" + server, "--cluster=" + c.ID}
		if profile != "" {
			args = append(args, "--profile="+profile)
		}
		return Exec{
			APIVersion: APIVersion, Command: command, InteractiveMode: "IfAvailable",
			Args: args,
			InstallHint: "kubectl needs the plugin kubectl-fairlead to sign in to " + c.Name + ".\n" +
				"Install it as described for Linux, macOS and Windows: " + server + "/help\n",
		}
	}
}

// WithKubelogin returns exec sections that call kubelogin, with the cluster's audience as
// the OIDC client. Server is the issuer.
func WithKubelogin(server string) ExecFunc {
	return func(c apitypes.Cluster) Exec {
		return Exec{
			APIVersion: APIVersion, Command: Kubelogin, InteractiveMode: "IfAvailable",
			Args: []string{
				"get-token", "--oidc-issuer-url=" + server, "--oidc-client-id=" + c.Audience,
				"--oidc-extra-scope=offline_access", "--oidc-pkce-method=S256",
			},
			InstallHint: "kubectl needs the plugin kubelogin to sign in to " + c.Name + ".\nRun: kubectl krew install oidc-login\n",
		}
	}
}
