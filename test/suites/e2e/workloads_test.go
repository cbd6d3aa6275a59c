package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"go.yaml.in/yaml/v3"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauth "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// programs is a cluster, a page that says how programs use it, and platforms that sign tokens
// for them: what GitHub and GitLab do, and for Argo CD the API server itself.
type programs struct {
	*system
	key  *ecdsa.PrivateKey
	base string
	keys map[string]string
}

func setupPrograms(t *testing.T) *programs {
	t.Helper()
	s := prepare(t, needParts(t))
	p := &programs{system: s, keys: map[string]string{}}
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	ours, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	s.startKube(t, nil)
	its, err := s.kube.Kubectl(t.Context(), "", "get", "--raw", "/openid/v1/jwks")
	if err != nil {
		t.Fatal(err)
	}
	platform := writeFile(t, s.dir+"/platform.jwks", string(ours))
	p.keys = map[string]string{"github": platform, "gitlab": platform, "argocd-cluster": writeFile(t, s.dir+"/cluster.jwks", its)}
	a := freeAddress(t)
	p.base = localUsers(t) + "clusters:\n" + clusterEntry("a", a, s.dir)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), p.base+"rules:\n"+everyone)
	s.startProxy(t, "a", a, "")
	s.apply(t, strings.ReplaceAll(deployers, `- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: "local:developers"}`,
		`- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: "ci:deploy"}`))
	return p
}

const everyone = "- {id: everyone, description: Everybody, who: {everyone: true}, clusters: {ids: [a]}}\n"

// example is what the page says about a platform.
type example struct{ file, grant, kubeconfig string }

func (p *programs) example(t *testing.T, platform string) example {
	t.Helper()
	b := relyingparty.NewBrowser(t, p.issuer, p.client.Transport)
	page := b.SignIn(p.issuer+"/workloads?cluster=a", jane().Credentials)
	blocks := page.Doc.Find("#platform-" + platform + " + label + .tabset-panel pre code")
	if blocks.Length() != 2 {
		t.Fatalf("%s: %d blocks\n%s", platform, blocks.Length(), page.Text)
	}
	return example{file: blocks.Eq(0).Text(), grant: blocks.Eq(1).Text(), kubeconfig: b.Get(p.issuer + "/clusters/a/kubeconfig").Text}
}

// grant lets a program in with what the page says, as an admin does. The platform's keys are
// in a file, because it is not to be reached from here.
func (p *programs) grant(t *testing.T, text, issuer string) {
	t.Helper()
	var said map[string][]map[string]any
	if err := yaml.Unmarshal([]byte(text), &said); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	trusted := said["trustedIssuers"][0]
	trusted["keys"] = "file:" + p.keys[fmt.Sprint(trusted["id"])]
	if issuer != "" {
		trusted["url"] = issuer
	}
	var mine []map[string]any
	if err := yaml.Unmarshal([]byte(everyone), &mine); err != nil {
		t.Fatal(err)
	}
	said["rules"] = append(said["rules"], mine...)
	more, err := yaml.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	file := p.dir + "/fairlead.yaml"
	before := readFile(t, file)
	head := before[:strings.Index(before, "upstream: {maxAge: 1ms}\n")+len("upstream: {maxAge: 1ms}\n")]
	writeFile(t, file, head+p.base+string(more))
	loads := strings.Count(p.server.String(), `"settings.loaded"`)
	eventually(t, "the new configuration", 20*time.Second, func() bool { return strings.Count(p.server.String(), `"settings.loaded"`) > loads })
	time.Sleep(2500 * time.Millisecond) // what is configured is kept in memory for two seconds
}

func (p *programs) job(t *testing.T, issuer, audience string, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": issuer, "aud": audience, "sub": "job", "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
	maps.Copy(all, claims)
	return signES256(t, p.key, all)
}

// runs runs the commands of a job as its runner does.
func (p *programs) runs(t *testing.T, e example, commands []string, env ...string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/manifests", 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/kubeconfig.yaml", e.kubeconfig)
	writeFile(t, dir+"/manifests/text.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))+", namespace: demo}\n")
	script := strings.ReplaceAll(strings.Join(commands, "\n"), "sudo mv kubectl-fairlead /usr/local/bin/", "mkdir -p bin && mv kubectl-fairlead bin/")
	script += "\nkubectl --kubeconfig kubeconfig.yaml --context a auth whoami -o jsonpath='{.status.userInfo.username} {.status.userInfo.groups}'\n"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), env...), "CI=true", "HOME="+dir, "PATH="+dir+"/bin:"+p.parts.kube+":"+os.Getenv("PATH"), "CURL_CA_BUNDLE="+p.dir+"/ca.crt", "SSL_CERT_FILE="+p.dir+"/ca.crt")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "created") || !strings.Contains(string(out), `workload:deploy ["ci:deploy"`) {
		t.Errorf("%v\n%s\n%s", err, script, out)
	}
}

// TestProgramsOfThePage does what the page for programs says, for each platform: its file as
// the platform reads it, and what an admin adds, against a real API server.
func TestProgramsOfThePage(t *testing.T) {
	t.Parallel()
	p := setupPrograms(t)
	t.Run("GitHub", func(t *testing.T) { runsOnGitHub(t, p) })
	t.Run("GitLab", func(t *testing.T) { runsOnGitLab(t, p) })
	t.Run("Terraform", func(t *testing.T) { runsTerraform(t, p) })
	t.Run("ArgoCD", func(t *testing.T) { runsArgoCD(t, p) })
}

func runsOnGitHub(t *testing.T, p *programs) {
	e := p.example(t, "github")
	p.grant(t, e.grant, "")
	const issuer = "https://token.actions.githubusercontent.com"
	claims := map[string]any{"repository": "acme/shop", "ref": "refs/heads/main"}
	actions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-the-runner" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"value": p.job(t, issuer, r.URL.Query().Get("audience"), claims)})
	}))
	t.Cleanup(actions.Close)
	var workflow struct {
		Permissions map[string]string
		Jobs        map[string]struct{ Steps []struct{ Run string } }
	}
	if err := yaml.Unmarshal([]byte(e.file), &workflow); err != nil {
		t.Fatalf("%v\n%s", err, e.file)
	}
	if workflow.Permissions["id-token"] != "write" {
		t.Errorf("permissions %v", workflow.Permissions)
	}
	var commands []string
	for _, step := range workflow.Jobs["deploy"].Steps {
		commands = append(commands, step.Run)
	}
	env := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + actions.URL + "?api-version=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=of-the-runner"}
	p.runs(t, e, commands, env...)
	// Without the plugin, as the how-to has it.
	howTo := readFile(t, "../../../docs/howto/workloads.md")
	command := regexp.MustCompile("(?s)```sh\n(curl .*?)```").FindStringSubmatch(howTo)[1]
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", strings.NewReplacer("https://login.example.com", p.issuer, "clusters/staging", "clusters/a").Replace(command))
	cmd.Env = append(os.Environ(), "CURL_CA_BUNDLE="+p.dir+"/ca.crt", "TOKEN="+p.job(t, issuer, p.issuer, claims))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `"issued_token_type"`) {
		t.Errorf("%v: %s", err, out)
	}
	// Another branch is refused, at once and with the reason, and leaves nothing on the runner.
	claims["ref"] = "refs/heads/other"
	me := p.person(t, jane())
	me.env = append(me.env, append(env, "CI=true")...)
	if r := me.run("", "kubectl-fairlead", "get-token", "--server", p.issuer, "--cluster", "a"); r.code != 4 || !strings.Contains(r.err, "rule") || r.out != "" {
		t.Errorf("%+v", r)
	}
	if kept := me.cacheFiles("*token-*"); len(kept) != 0 {
		t.Errorf("kept: %v", kept)
	}
}

func runsOnGitLab(t *testing.T, p *programs) {
	e := p.example(t, "gitlab")
	p.grant(t, e.grant, "")
	var pipeline struct {
		Deploy struct {
			IDTokens map[string]struct{ Aud string } `yaml:"id_tokens"`
			Script   []string
		}
	}
	if err := yaml.Unmarshal([]byte(e.file), &pipeline); err != nil {
		t.Fatalf("%v\n%s", err, e.file)
	}
	var env []string
	for name, token := range pipeline.Deploy.IDTokens {
		env = append(env, name+"="+p.job(t, "https://gitlab.com", token.Aud, map[string]any{"project_path": "acme/shop", "ref_protected": "true"}))
	}
	p.runs(t, e, pipeline.Deploy.Script, env...)
}

// whoIs asks the cluster who a program is, with the credential that its platform makes of the
// example: both Terraform's provider and Argo CD are built on client-go.
func (p *programs) whoIs(t *testing.T, cfg *rest.Config, env ...string) string {
	t.Helper()
	home := t.TempDir()
	for _, v := range append(env, "HOME="+home, "XDG_CACHE_HOME="+home, "SSL_CERT_FILE="+p.dir+"/ca.crt", "CI=true") {
		name, value, _ := strings.Cut(v, "=")
		cfg.ExecProvider.Env = append(cfg.ExecProvider.Env, api.ExecEnvVar{Name: name, Value: value})
	}
	if cfg.ExecProvider.Command != "kubectl-fairlead" {
		t.Errorf("command %s", cfg.ExecProvider.Command)
	}
	cfg.ExecProvider.Command = p.bin + "/kubectl-fairlead"
	cfg.ExecProvider.InteractiveMode = api.NeverExecInteractiveMode
	client, err := clientauth.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	who, err := client.SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return who.Status.UserInfo.Username
}

func runsTerraform(t *testing.T, p *programs) {
	e := p.example(t, "terraform")
	p.grant(t, e.grant, "")
	file, problems := hclparse.NewParser().ParseHCL([]byte(e.file), "main.tf")
	if problems.HasErrors() {
		t.Fatalf("%v\n%s", problems, e.file)
	}
	var config struct {
		Provider struct {
			Name string `hcl:"name,label"`
			Host string `hcl:"host"`
			CA   string `hcl:"cluster_ca_certificate"`
			Exec struct {
				APIVersion string   `hcl:"api_version"`
				Command    string   `hcl:"command"`
				Args       []string `hcl:"args"`
			} `hcl:"exec,block"`
		} `hcl:"provider,block"`
	}
	decode := function.New(&function.Spec{
		Params: []function.Parameter{{Name: "s", Type: cty.String}}, Type: function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			text, err := base64.StdEncoding.DecodeString(args[0].AsString())
			return cty.StringVal(string(text)), err
		},
	})
	if problems := gohcl.DecodeBody(file.Body, &hcl.EvalContext{Functions: map[string]function.Function{"base64decode": decode}}, &config); problems.HasErrors() {
		t.Fatalf("%v\n%s", problems, e.file)
	}
	provider := config.Provider
	cfg := func() *rest.Config {
		return &rest.Config{
			Host: provider.Host, TLSClientConfig: rest.TLSClientConfig{CAData: []byte(provider.CA)},
			ExecProvider: &api.ExecConfig{APIVersion: provider.Exec.APIVersion, Command: provider.Exec.Command, Args: provider.Exec.Args},
		}
	}
	token := p.job(t, "https://token.actions.githubusercontent.com", p.issuer, map[string]any{"repository": "acme/infrastructure", "environment": "production"})
	if got := p.whoIs(t, cfg(), "FAIRLEAD_WORKLOAD_TOKEN="+token); provider.Name != "kubernetes" || got != "workload:terraform" {
		t.Errorf("%s is %s", provider.Name, got)
	}
	// The same block on a user's computer authenticates that user.
	me := p.person(t, jane())
	me.must("kubectl-fairlead", "login", p.issuer)
	if got := p.whoIs(t, cfg(), "XDG_CACHE_HOME="+me.home+"/cache", "FAIRLEAD_KEYRING=off", "FAIRLEAD_CACHE_DIR="+me.home+"/cache/fairlead"); got != "local:jane@example.test" {
		t.Errorf("at the desk: %s", got)
	}
}

func runsArgoCD(t *testing.T, p *programs) {
	e := p.example(t, "argocd")
	var discovery struct{ Issuer string }
	text, err := p.kube.Kubectl(t.Context(), "", "get", "--raw", "/.well-known/openid-configuration")
	if err != nil || json.Unmarshal([]byte(text), &discovery) != nil {
		t.Fatal(err, text)
	}
	p.grant(t, e.grant, discovery.Issuer)
	manifests := strings.Split(e.file, "\n---\n")
	var secret struct {
		Metadata   struct{ Labels map[string]string }
		StringData struct{ Name, Server, Config string } `yaml:"stringData"`
	}
	var patch struct {
		Spec struct {
			Template struct {
				Spec struct {
					Volumes []struct {
						Projected struct {
							Sources []struct {
								Token struct{ Path, Audience string } `yaml:"serviceAccountToken"`
							}
						}
					}
					Containers []struct {
						Name   string
						Mounts []struct {
							Path string `yaml:"mountPath"`
						} `yaml:"volumeMounts"`
					}
				}
			}
		}
	}
	if len(manifests) != 2 || yaml.Unmarshal([]byte(manifests[0]), &secret) != nil || yaml.Unmarshal([]byte(manifests[1]), &patch) != nil {
		t.Fatalf("%s", e.file)
	}
	// As Argo CD reads it (ClusterConfig).
	var config struct {
		Exec struct {
			APIVersion, Command string
			Args                []string
			Env                 map[string]string
		} `json:"execProviderConfig"`
		TLS struct {
			CAData []byte `json:"caData"`
		} `json:"tlsClientConfig"`
	}
	if err := json.Unmarshal([]byte(secret.StringData.Config), &config); err != nil {
		t.Fatal(err)
	}
	projected, mount := patch.Spec.Template.Spec.Volumes[0].Projected.Sources[0].Token, patch.Spec.Template.Spec.Containers[0].Mounts[0].Path
	if secret.Metadata.Labels["argocd.argoproj.io/secret-type"] != "cluster" || config.Exec.Env["FAIRLEAD_WORKLOAD_TOKEN_FILE"] != mount+"/"+projected.Path {
		t.Errorf("%+v %+v", config, projected)
	}
	for _, args := range [][]string{{"create", "namespace", "argocd"}, {"create", "serviceaccount", "argocd-server", "-n", "argocd"}} {
		if out, err := p.kube.Kubectl(t.Context(), "", args...); err != nil {
			t.Fatal(err, out)
		}
	}
	token, err := p.kube.Kubectl(t.Context(), "", "create", "token", "argocd-server", "-n", "argocd", "--audience", projected.Audience)
	if err != nil {
		t.Fatal(err)
	}
	got := p.whoIs(t, &rest.Config{
		Host: secret.StringData.Server, TLSClientConfig: rest.TLSClientConfig{CAData: config.TLS.CAData},
		ExecProvider: &api.ExecConfig{APIVersion: config.Exec.APIVersion, Command: config.Exec.Command, Args: config.Exec.Args},
	}, "FAIRLEAD_WORKLOAD_TOKEN_FILE="+writeFile(t, t.TempDir()+"/token", token))
	if got != "workload:argocd" {
		t.Errorf("it is %s", got)
	}
}
