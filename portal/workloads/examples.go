// Package workloads serves the page that shows how workloads use a cluster: CI jobs, Terraform and Argo CD.
// A workload has a token of its own platform, so the page contains no secret. Package server/policy/access decides
// which users may see a cluster.
package workloads

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/kubeconfig"
	"github.com/fairlead-auth/fairlead/portal/page"
)

// Example shows how one platform uses a cluster.
type Example struct {
	// ID is used in element ids. Name is the name of the platform.
	ID, Name string
	// Before is the first step. It may be empty.
	Before i18n.Text
	// File is the file to save. Grant is the part that an admin adds to Fairlead's configuration.
	File, Grant page.Block
}

// Target is a cluster with the addresses that the examples need.
type Target struct {
	Cluster apitypes.Cluster
	// Server is Fairlead's address. Install is the command that installs the plugin on Linux.
	Server, Install string
}

// texts are the templates of the examples. They contain no secret.
const texts = `
{{define "github"}}# .github/workflows/deploy.yaml
on:
  push: {branches: [main]}
permissions: {contents: read, id-token: write}
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
      - name: Install the plugin
        run: |
{{indent 10 .Install}}
      - name: Deploy
        run: kubectl --kubeconfig kubeconfig.yaml --context {{.Cluster.Context}} apply -f manifests/
{{end}}
{{define "gitlab"}}# .gitlab-ci.yml
deploy:
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  id_tokens:
    FAIRLEAD_WORKLOAD_TOKEN: {aud: {{json .Server}}}
  script:
    - |
{{indent 6 .Install}}
    - kubectl --kubeconfig kubeconfig.yaml --context {{.Cluster.Context}} apply -f manifests/
{{end}}
{{define "terraform"}}provider "kubernetes" {
  host                   = {{json .Cluster.Server}}{{if .Cluster.CA}}
  cluster_ca_certificate = base64decode({{json .CA}}){{end}}
  exec {
    api_version = {{json .APIVersion}}
    command     = {{json .Command}}
    args        = ["get-token", {{json .ServerFlag}}, {{json .ClusterFlag}}]
  }
}
{{end}}
{{define "argocd"}}apiVersion: v1
kind: Secret
metadata:
  name: {{.Cluster.ID}}
  namespace: argocd
  labels: {argocd.argoproj.io/secret-type: cluster}
stringData:
  name: {{.Cluster.ID}}
  server: {{json .Cluster.Server}}
  config: |
{{indent 4 .ArgoCD}}
---
# Patch the StatefulSet argocd-application-controller, and the Deployment argocd-server alike.
spec:
  template:
    spec:
      volumes:
        - name: fairlead
          projected:
            sources:
              - serviceAccountToken: {path: token, audience: {{json .Server}}, expirationSeconds: 3600}
      containers:
        - name: argocd-application-controller
          volumeMounts:
            - {name: fairlead, mountPath: /var/run/secrets/fairlead, readOnly: true}
{{end}}
{{define "grant"}}trustedIssuers:
  - id: {{.Issuer}}
    url: {{json .URL}}
    audience: {{json .Server}}
workloads:
  - id: {{.Workload}}
    description: {{json .Description}}
    issuer: {{.Issuer}}
    claims:
{{indent 6 .Claims}}
    groups: ["ci:{{.Workload}}"]
rules:
  - id: {{.Workload}}
    description: {{json .Description}}
    who: {groups: ["ci:{{.Workload}}"]}
    clusters: {ids: [{{json .ClusterID}}]}
{{end}}`

// Examples returns the examples for a cluster.
func Examples(target Target) ([]Example, error) {
	exec := kubeconfig.WithPlugin(kubeconfig.Plugin, target.Server, "")(target.Cluster)
	argoCD, err := argoConfig(target.Cluster, exec)
	if err != nil {
		return nil, err
	}
	data := struct {
		Target
		CA, APIVersion, Command, ServerFlag, ClusterFlag, ArgoCD string
	}{
		target, base64.StdEncoding.EncodeToString([]byte(target.Cluster.CA)), kubeconfig.APIVersion, exec.Command,
		"--server=" + target.Server, "--cluster=" + target.Cluster.ID, argoCD,
	}
	beside := i18n.T("Download the kubeconfig of the cluster and save it beside your code as kubeconfig.yaml. It contains no secret.")
	list := []Example{
		{ID: "github", Name: "GitHub Actions", Before: beside, File: page.Block{Label: i18n.T("Workflow for GitHub Actions")}},
		{ID: "gitlab", Name: "GitLab CI", Before: beside, File: page.Block{Label: i18n.T("Job for GitLab CI")}},
		{ID: "terraform", Name: "Terraform", Before: i18n.T("The same block works on your computer, where it signs in as you, and in a CI job, where it signs in as the job."), File: page.Block{Label: i18n.T("Provider for Terraform and OpenTofu")}},
		{ID: "argocd", Name: "Argo CD", Before: i18n.T("Add the plugin to the image of Argo CD, or to a volume with custom tools."), File: page.Block{Label: i18n.T("Manifests for Argo CD")}},
	}
	grants := map[string]grant{
		"github":    {Issuer: "github", URL: "https://token.actions.githubusercontent.com", Workload: "deploy", Description: "Deploys from GitHub", Claims: "repository: [acme/shop]\nref: [refs/heads/main]"},
		"gitlab":    {Issuer: "gitlab", URL: "https://gitlab.com", Workload: "deploy", Description: "Deploys from GitLab", Claims: "project_path: [acme/shop]\nref_protected: [\"true\"]"},
		"terraform": {Issuer: "github", URL: "https://token.actions.githubusercontent.com", Workload: "terraform", Description: "Terraform in GitHub Actions", Claims: "repository: [acme/infrastructure]\nenvironment: [production]"},
		"argocd":    {Issuer: "argocd-cluster", URL: "https://SERVICE-ACCOUNT-ISSUER-OF-ITS-CLUSTER", Workload: "argocd", Description: "Argo CD", Claims: "sub: [\"system:serviceaccount:argocd:argocd-application-controller\", \"system:serviceaccount:argocd:argocd-server\"]"},
	}
	for i := range list {
		e := &list[i]
		if e.File.Text, err = render(e.ID, data); err != nil {
			return nil, err
		}
		g := grants[e.ID]
		g.Server, g.ClusterID = target.Server, target.Cluster.ID
		e.Grant.Label = i18n.T("Configuration of Fairlead, for its admins")
		if e.Grant.Text, err = render("grant", g); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// grant is the configuration that allows a workload.
type grant struct {
	Issuer, URL, Workload, Description, Claims, Server, ClusterID string
}

func render(name string, data any) (string, error) {
	t, err := template.New("").Funcs(template.FuncMap{"json": quoted, "indent": indent}).Parse(texts)
	if err != nil {
		return "", fmt.Errorf("reading examples: %w", err)
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, name, data); err != nil {
		return "", fmt.Errorf("writing an example: %w", err)
	}
	return strings.TrimSpace(out.String()), nil
}

// quoted writes a string as JSON does, which YAML and HCL read alike.
func quoted(s string) (string, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return strings.TrimSuffix(out.String(), "\n"), err
}

func indent(by int, text string) string {
	space := strings.Repeat(" ", by)
	return space + strings.ReplaceAll(text, "\n", "\n"+space)
}

// argoConfig is the config of a cluster's secret, as Argo CD reads it.
func argoConfig(cluster apitypes.Cluster, exec kubeconfig.Exec) (string, error) {
	type provider struct {
		APIVersion string            `json:"apiVersion"`
		Command    string            `json:"command"`
		Args       []string          `json:"args"`
		Env        map[string]string `json:"env"`
	}
	type tls struct {
		CAData []byte `json:"caData,omitempty"`
	}
	text, err := json.MarshalIndent(struct {
		Exec provider `json:"execProviderConfig"`
		TLS  tls      `json:"tlsClientConfig"`
	}{
		provider{kubeconfig.APIVersion, exec.Command, exec.Args, map[string]string{"FAIRLEAD_WORKLOAD_TOKEN_FILE": "/var/run/secrets/fairlead/token"}},
		tls{[]byte(cluster.CA)},
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("writing an example: %w", err)
	}
	return string(text), nil
}
