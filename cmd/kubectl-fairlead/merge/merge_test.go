package merge_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/merge"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

const server = "https://login.acme.example"

func cluster(id string) apitypes.Cluster {
	return apitypes.Cluster{ID: id, Name: "Cluster " + id, Context: "acme-" + id, Server: "https://" + id + ".k8s.acme.example", CA: "PEM " + id, Audience: "k8s-" + id, Namespace: "team"}
}

func desired(ids ...string) merge.Desired {
	d := merge.Desired{Account: merge.Account{Server: server}, Command: "/usr/local/bin/kubectl-fairlead"}
	for _, id := range ids {
		d.Clusters = append(d.Clusters, cluster(id))
	}
	return d
}

func mustMerge(t *testing.T, text string, d merge.Desired) merge.Result {
	t.Helper()
	r, err := merge.Merge([]byte(text), d)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r
}

func load(t *testing.T, text []byte) *api.Config {
	t.Helper()
	cfg, err := clientcmd.Load(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg
}

func changes(r merge.Result) string {
	var out []string
	for _, c := range r.Changes {
		text := string(c.Kind) + " " + c.Context
		if c.PreviousName != "" {
			text += " from " + c.PreviousName
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// foreignFile has no entry of Fairlead.
const foreignFile = `# mine, by hand
apiVersion: v1
kind: Config
preferences: {}   # nobody knows why
clusters:
# the old one
- name: old   # do not touch
  cluster:
    server: "https://old.example:6443"
    insecure-skip-tls-verify: true
contexts:
- context: {cluster: old, user: old, namespace: x}
  name: old
current-context: old # since 2019
users:
- name: old
  user:
    token: |
      # not a comment
      secret
# the end
`

// TestForeignEntriesStay adds and removes clusters in a file with entries of others.
func TestForeignEntriesStay(t *testing.T) {
	t.Parallel()
	r := mustMerge(t, foreignFile, desired("a", "b"))
	if got := changes(r); got != "added acme-a, added acme-b" {
		t.Error(got)
	}
	cfg := load(t, r.Text)
	if cfg.CurrentContext != "old" || len(cfg.Contexts) != 3 || cfg.Contexts["acme-b"].Namespace != "team" || cfg.AuthInfos["acme-a"].Exec.Command != "/usr/local/bin/kubectl-fairlead" {
		t.Errorf("%s", r.Text)
	}
	for line := range strings.Lines(foreignFile) {
		if !strings.Contains(string(r.Text), line) {
			t.Errorf("%q is gone:\n%s", line, r.Text)
		}
	}
	again := mustMerge(t, string(r.Text), desired("a", "b"))
	if string(again.Text) != string(r.Text) || len(again.Changes) != 0 {
		t.Errorf("a second run changes something: %s\n%s", changes(again), cmp.Diff(string(r.Text), string(again.Text)))
	}
	gone := mustMerge(t, string(r.Text), desired())
	if string(gone.Text) != foreignFile || changes(gone) != "removed acme-a, removed acme-b" {
		t.Errorf("%s\n%s", changes(gone), cmp.Diff(foreignFile, string(gone.Text)))
	}
}

// TestContextsFollowTheServer changes the address, the authority and the name of clusters.
func TestContextsFollowTheServer(t *testing.T) {
	t.Parallel()
	before := mustMerge(t, foreignFile, desired("a", "b"))
	moved := desired("a", "b")
	moved.Clusters[0].Server, moved.Clusters[0].CA = "https://proxy.example", "NEW"
	moved.Clusters[1].Context = "acme-production"
	r := mustMerge(t, string(before.Text), moved)
	if got := changes(r); got != "updated acme-a, renamed acme-production from acme-b" {
		t.Error(got)
	}
	cfg := load(t, r.Text)
	if a := cfg.Clusters["acme-a"]; a.Server != "https://proxy.example" || string(a.CertificateAuthorityData) != "NEW" {
		t.Errorf("%+v", a)
	}
	if c := cfg.Contexts["acme-production"]; c == nil || c.Cluster != "acme-production" || c.AuthInfo != "acme-production" || cfg.Contexts["acme-b"] != nil || cfg.Clusters["acme-production"] == nil {
		t.Errorf("%s", r.Text)
	}
	if r.Contexts["b"] != "acme-production" {
		t.Error(r.Contexts)
	}
	moved.Clusters[0].CA = ""
	if a := load(t, mustMerge(t, string(r.Text), moved).Text).Clusters["acme-a"]; len(a.CertificateAuthorityData) != 0 {
		t.Errorf("%+v", a)
	}
}

// TestUserChangesStay has a user rename a context, choose a namespace, set a proxy, and write
// a comment.
func TestUserChangesStay(t *testing.T) {
	t.Parallel()
	text := string(mustMerge(t, "", desired("a", "b")).Text)
	if cfg := load(t, []byte(text)); cfg.CurrentContext != "acme-a" {
		t.Errorf("an empty file has no current context: %q", cfg.CurrentContext)
	}
	text = strings.Replace(text, "  - name: acme-a\n    context:", "  - name: work # short\n    context:", 1)
	text = strings.Replace(text, "- name: acme-a\n  context:", "- name: work # short\n  context:", 1)
	text = strings.Replace(text, "namespace: team", "namespace: mine", 1)
	text = strings.Replace(text, "server: https://a.k8s.acme.example", "server: https://a.k8s.acme.example\n    proxy-url: socks5://localhost:1080 # office", 1)
	text = strings.Replace(text, "current-context: acme-a", "current-context: work", 1)
	d := desired("a", "b")
	d.Clusters[0].Context, d.Clusters[0].Server = "acme-new", "https://elsewhere.example"
	r := mustMerge(t, text, d)
	cfg := load(t, r.Text)
	if got := changes(r); got != "updated work" {
		t.Errorf("%s\n%s", got, text)
	}
	if c := cfg.Contexts["work"]; c == nil || c.Namespace != "mine" || cfg.CurrentContext != "work" || cfg.Contexts["acme-new"] != nil {
		t.Errorf("%s", r.Text)
	}
	if c := cfg.Clusters["acme-a"]; c.Server != "https://elsewhere.example" || c.ProxyURL != "socks5://localhost:1080" || !strings.Contains(string(r.Text), "# office") {
		t.Errorf("%+v\n%s", c, r.Text)
	}
}

// TestEmptiedEntryIsRepaired merges into a file whose cluster entry is null.
func TestEmptiedEntryIsRepaired(t *testing.T) {
	t.Parallel()
	text := string(mustMerge(t, "", desired("a")).Text)
	emptied := strings.Replace(text, "  cluster:\n    server: https://a.k8s.acme.example\n    certificate-authority-data: UEVNIGE=\n", "  cluster: null\n", 1)
	if emptied == text {
		t.Fatalf("the replacement did not match:\n%s", text)
	}
	if c := load(t, mustMerge(t, emptied, desired("a")).Text).Clusters["acme-a"]; c.Server != "https://a.k8s.acme.example" || string(c.CertificateAuthorityData) != "PEM a" {
		t.Errorf("%+v", c)
	}
}

func TestTakenNames(t *testing.T) {
	t.Parallel()
	foreign := strings.ReplaceAll(foreignFile, "old", "acme-a")
	d := desired("a", "b")
	d.UsedNames, d.InOtherFiles, d.CurrentCluster = []string{"acme-a-2"}, []string{"b"}, "a"
	r := mustMerge(t, foreign, d)
	if got := changes(r); got != "added acme-a-3" || r.Current != "acme-a-3" {
		t.Errorf("%s, current %s", got, r.Current)
	}
	if cfg := load(t, r.Text); cfg.Clusters["acme-a"].Server != "https://acme-a.example:6443" || cfg.Contexts["acme-a-3"].AuthInfo != "acme-a-3" {
		t.Errorf("%s", r.Text)
	}
	contents, err := merge.Read(r.Text)
	if ids := contents.Clusters(merge.Account{Server: server}); err != nil || !slices.Equal(ids, []string{"a"}) || !slices.Contains(contents.Names, "acme-a-3") || !slices.Contains(contents.Names, "acme-a") {
		t.Errorf("%+v %v", contents, err)
	}
}

// TestProfiles has two accounts at one server in one file, and removes one of them.
func TestProfiles(t *testing.T) {
	t.Parallel()
	mine, work := desired("a"), desired("a", "b")
	work.Account.Profile = "work"
	both := mustMerge(t, string(mustMerge(t, "", mine).Text), work)
	if got := changes(both); got != "added acme-a@work, added acme-b@work" {
		t.Error(got)
	}
	cfg := load(t, both.Text)
	if args := cfg.AuthInfos["acme-a@work"].Exec.Args; !slices.Contains(args, "--profile=work") || len(cfg.Contexts) != 3 {
		t.Errorf("%s", both.Text)
	}
	contents, err := merge.Read(both.Text)
	want := merge.Contents{
		Entries: []merge.Entry{
			{Account: work.Account, Cluster: "a", Contexts: []string{"acme-a@work"}}, {Account: work.Account, Cluster: "b", Contexts: []string{"acme-b@work"}},
			{Account: mine.Account, Cluster: "a", Contexts: []string{"acme-a"}},
		},
		Names: slices.Repeat([]string{"acme-a@work", "acme-b@work", "acme-a"}, 3), Current: "acme-a",
	}
	if diff := cmp.Diff(want, contents, cmpopts.SortSlices(func(a, b string) bool { return a < b })); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	work.Clusters = nil
	if got := changes(mustMerge(t, string(both.Text), work)); got != "removed acme-a@work, removed acme-b@work" {
		t.Error(got)
	}
}

// TestDeletedEntriesStayDeleted updates in the background: it adds new clusters, and not those
// that the user deleted.
func TestDeletedEntriesStayDeleted(t *testing.T) {
	t.Parallel()
	d := desired("a", "c")
	d.AddedBefore = []string{"a", "b"}
	if got := changes(mustMerge(t, foreignFile, d)); got != "added acme-c" {
		t.Error(got)
	}
	if r := mustMerge(t, "", merge.Desired{Account: merge.Account{Server: server}, AddedBefore: []string{"a"}}); len(r.Text) != 0 {
		t.Errorf("an empty file must stay empty: %s", r.Text)
	}
	// "kubectl config delete-context" deletes only the context.
	text := string(mustMerge(t, foreignFile, desired("a", "b")).Text)
	from := strings.Index(text, "- name: acme-a\n  context:")
	to := from + strings.Index(text[from+1:], "- ") + 1
	text = text[:from] + text[to:]
	if _, there := load(t, []byte(text)).Contexts["acme-a"]; there {
		t.Fatalf("the context is still there:\n%s", text)
	}
	d = desired("a", "b")
	d.AddedBefore = []string{"a", "b"}
	if r := mustMerge(t, text, d); string(r.Text) != text || len(r.Changes) != 0 {
		t.Errorf("%s\n%s", changes(r), r.Text)
	}
	r := mustMerge(t, text, desired("a", "b"))
	if c := load(t, r.Text).Contexts["acme-a"]; c == nil || c.Cluster != "acme-a" || c.AuthInfo != "acme-a" || c.Namespace != "team" || changes(r) != "added acme-a" {
		t.Errorf("%s\n%s", changes(r), r.Text)
	}
}

// TestUnusableFiles says what is wrong with files that kubectl can't read either.
func TestUnusableFiles(t *testing.T) {
	t.Parallel()
	utf16 := func(text string, bom ...byte) string {
		for _, c := range text {
			bom = append(bom, byte(c), 0)
		}
		return string(bom)
	}
	for text, want := range map[string]string{
		utf16("apiVersion: v1\nkind: Config\n", 0xff, 0xfe): "Set-Content -Encoding utf8",
		utf16("apiVersion: v1\nkind: Config\n"):             "Set-Content -Encoding utf8",
		"apiVersion: v1\nkind: List\nitems: []\n":           "kind List",
		"contexts:\n- name: 2026\n  context: {}\n":          `name: "2026"`,
		"users:\n- name: true\n  user: {}\n":                `name: "true"`,
	} {
		if _, err := merge.Merge([]byte(text), desired("a")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	// A mark of UTF-8 at the beginning is fine, and stays.
	r, err := merge.Merge([]byte("\ufeffapiVersion: v1\nkind: Config\n"), desired("a"))
	if err != nil || !strings.HasPrefix(string(r.Text), "\ufeffapiVersion: v1\n") {
		t.Errorf("with a mark of UTF-8: %v\n%s", err, r.Text)
	}
}

func TestFilesOfAllStyles(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "blank": "\n\n", "only a comment": "# nothing here\n", "null lists": "apiVersion: v1\nkind: Config\nclusters: null\ncontexts: # none\nusers: [] # nobody\n",
		"no line break at the end": "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\ncurrent-context: \"\"", "JSON": `{"apiVersion":"v1","kind":"Config","clusters":[{"name":"x","cluster":{"server":"https://x"}}],"contexts":[],"users":[]}`,
		"document markers": "---\napiVersion: v1\nkind: Config\n", "Windows": "apiVersion: v1\r\nkind: Config\r\nclusters:\r\n- name: x\r\n  cluster: {server: 'https://x'}\r\n",
		"flow lists": "apiVersion: v1\nkind: Config\nclusters: [{name: x, cluster: {server: 'https://x'}}]\n", "indented": "apiVersion: v1\nkind: Config\nclusters:\n    -   name: x\n        cluster:\n            server: https://x\n",
		"a dash on its own line": "clusters:\n-\n  name: x\n  cluster:\n    server: https://x\napiVersion: v1\nkind: Config\n",
	} {
		r := mustMerge(t, text, desired("a", "b"))
		cfg := load(t, r.Text)
		if len(cfg.Contexts) != 2 || cfg.CurrentContext != "acme-a" || strings.Contains(text, "https://x") && cfg.Clusters["x"].Server != "https://x" {
			t.Errorf("%s:\n%s", name, r.Text)
		}
		if comment := "# nobody"; strings.Contains(text, comment) && !strings.Contains(string(r.Text), comment) {
			t.Errorf("%s: the comment is gone:\n%s", name, r.Text)
		}
		gone := mustMerge(t, string(r.Text), desired())
		if cfg := load(t, gone.Text); len(cfg.Contexts) != 0 || len(cfg.AuthInfos) != 0 || len(cfg.Clusters) != strings.Count(text, "https://x") {
			t.Errorf("%s: after the removal:\n%s", name, gone.Text)
		}
	}
	for name, text := range map[string]string{"not YAML": "{", "a text": "hello", "a list": "- a", "clusters are a text": "clusters: x", "two documents": "kind: Config\n---\nkind: Config\n"} {
		if r, err := merge.Merge([]byte(text), desired("a")); err == nil || !strings.Contains(err.Error(), "not a valid kubeconfig") {
			t.Errorf("%s: %s %v", name, r.Text, err)
		}
	}
}

func FuzzMerge(f *testing.F) {
	f.Add(foreignFile)
	f.Add("{\"clusters\":[]}")
	f.Add("clusters:\n- &a {name: x}\n- *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := merge.Merge([]byte(text), desired("a", "b"))
		if err != nil {
			return
		}
		again, err := merge.Merge(r.Text, desired("a", "b"))
		if err != nil || string(again.Text) != string(r.Text) {
			t.Errorf("%v\n%s\n---\n%s", err, r.Text, again.Text)
		}
	})
}
