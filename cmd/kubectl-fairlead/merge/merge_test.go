package merge_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/merge"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

const server = "https://login.acme.example"

func cluster(id string) apitypes.Cluster {
	return apitypes.Cluster{ID: id, Name: "Cluster " + id, Context: "acme-" + id, Server: "https://" + id + ".k8s.acme.example", CA: "PEM " + id, Audience: "k8s-" + id, Namespace: "team"}
}

func wanted(ids ...string) merge.Wanted {
	w := merge.Wanted{Server: server, Command: "/usr/local/bin/kubectl-fairlead"}
	for _, id := range ids {
		w.Clusters = append(w.Clusters, cluster(id))
	}
	return w
}

func do(t *testing.T, text string, w merge.Wanted) merge.Result {
	t.Helper()
	r, err := merge.Merge([]byte(text), w)
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
		if c.Before != "" {
			text += " from " + c.Before
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

const others = `# mine, by hand
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

func TestOthersEntriesStay(t *testing.T) {
	t.Parallel()
	r := do(t, others, wanted("a", "b"))
	if got := changes(r); got != "added acme-a, added acme-b" {
		t.Error(got)
	}
	cfg := load(t, r.Text)
	if cfg.CurrentContext != "old" || len(cfg.Contexts) != 3 || cfg.Contexts["acme-b"].Namespace != "team" || cfg.AuthInfos["acme-a"].Exec.Command != "/usr/local/bin/kubectl-fairlead" {
		t.Errorf("%s", r.Text)
	}
	for line := range strings.Lines(others) {
		if !strings.Contains(string(r.Text), line) {
			t.Errorf("%q is gone:\n%s", line, r.Text)
		}
	}
	again := do(t, string(r.Text), wanted("a", "b"))
	if string(again.Text) != string(r.Text) || len(again.Changes) != 0 {
		t.Errorf("nothing is new, but: %s\n%s", changes(again), cmp.Diff(string(r.Text), string(again.Text)))
	}
	gone := do(t, string(r.Text), wanted())
	if string(gone.Text) != others || changes(gone) != "removed acme-a, removed acme-b" {
		t.Errorf("%s\n%s", changes(gone), cmp.Diff(others, string(gone.Text)))
	}
}

// TestContextsFollowTheServer changes at the server what can change there.
func TestContextsFollowTheServer(t *testing.T) {
	t.Parallel()
	before := do(t, others, wanted("a", "b"))
	moved := wanted("a", "b")
	moved.Clusters[0].Server, moved.Clusters[0].CA = "https://proxy.example", "NEW"
	moved.Clusters[1].Context = "acme-production"
	r := do(t, string(before.Text), moved)
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
	if a := load(t, do(t, string(r.Text), moved).Text).Clusters["acme-a"]; len(a.CertificateAuthorityData) != 0 {
		t.Errorf("%+v", a)
	}
}

// TestWhatThePersonChangedStays has a person rename a context, choose a namespace, set a
// proxy, write a remark, and delete a context.
func TestWhatThePersonChangedStays(t *testing.T) {
	t.Parallel()
	text := string(do(t, "", wanted("a", "b")).Text)
	if cfg := load(t, []byte(text)); cfg.CurrentContext != "acme-a" {
		t.Errorf("an empty file has no current context: %q", cfg.CurrentContext)
	}
	text = strings.Replace(text, "  - name: acme-a\n    context:", "  - name: work # short\n    context:", 1)
	text = strings.Replace(text, "- name: acme-a\n  context:", "- name: work # short\n  context:", 1)
	text = strings.Replace(text, "namespace: team", "namespace: mine", 1)
	text = strings.Replace(text, "server: https://a.k8s.acme.example", "server: https://a.k8s.acme.example\n    proxy-url: socks5://localhost:1080 # office", 1)
	text = strings.Replace(text, "current-context: acme-a", "current-context: work", 1)
	w := wanted("a", "b")
	w.Clusters[0].Context, w.Clusters[0].Server = "acme-new", "https://elsewhere.example"
	r := do(t, text, w)
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

// TestWhatSomebodyEmptiedIsFilled has own entries without what they need.
func TestWhatSomebodyEmptiedIsFilled(t *testing.T) {
	t.Parallel()
	text := string(do(t, "", wanted("a")).Text)
	emptied := strings.Replace(text, "  cluster:\n    server: https://a.k8s.acme.example\n    certificate-authority-data: UEVNIGE=\n", "  cluster: null\n", 1)
	if emptied == text {
		t.Fatalf("nothing is emptied:\n%s", text)
	}
	if c := load(t, do(t, emptied, wanted("a")).Text).Clusters["acme-a"]; c.Server != "https://a.k8s.acme.example" || string(c.CertificateAuthorityData) != "PEM a" {
		t.Errorf("%+v", c)
	}
}

func TestNamesThatAreTaken(t *testing.T) {
	t.Parallel()
	foreign := strings.ReplaceAll(others, "old", "acme-a")
	w := wanted("a", "b")
	w.Taken, w.Elsewhere, w.Use = []string{"acme-a-2"}, []string{"b"}, "a"
	r := do(t, foreign, w)
	if got := changes(r); got != "added acme-a-3" || r.Current != "acme-a-3" {
		t.Errorf("%s, current %s", got, r.Current)
	}
	if cfg := load(t, r.Text); cfg.Clusters["acme-a"].Server != "https://acme-a.example:6443" || cfg.Contexts["acme-a-3"].AuthInfo != "acme-a-3" {
		t.Errorf("%s", r.Text)
	}
	ids, names, err := merge.Own(r.Text, server, "")
	if err != nil || !slices.Equal(ids, []string{"a"}) || !slices.Contains(names, "acme-a-3") || !slices.Contains(names, "acme-a") {
		t.Errorf("%v %v %v", ids, names, err)
	}
}

// TestProfiles has two accounts at one server in one file, and one that leaves again.
func TestProfiles(t *testing.T) {
	t.Parallel()
	mine, work := wanted("a"), wanted("a", "b")
	work.Profile = "work"
	both := do(t, string(do(t, "", mine).Text), work)
	if got := changes(both); got != "added acme-a@work, added acme-b@work" {
		t.Error(got)
	}
	cfg := load(t, both.Text)
	if args := cfg.AuthInfos["acme-a@work"].Exec.Args; !slices.Contains(args, "--profile=work") || len(cfg.Contexts) != 3 {
		t.Errorf("%s", both.Text)
	}
	work.Clusters = nil
	if got := changes(do(t, string(both.Text), work)); got != "removed acme-a@work, removed acme-b@work" {
		t.Error(got)
	}
}

// TestWhatThePersonRemovedStaysAway updates in the background: new clusters come, those that
// somebody has thrown out don't come again.
func TestWhatThePersonRemovedStaysAway(t *testing.T) {
	t.Parallel()
	w := wanted("a", "c")
	w.Known = []string{"a", "b"}
	if got := changes(do(t, others, w)); got != "added acme-c" {
		t.Error(got)
	}
	if r := do(t, "", merge.Wanted{Server: server, Known: []string{"a"}}); len(r.Text) != 0 {
		t.Errorf("a file was begun for nothing: %s", r.Text)
	}
	// Only the context was deleted, as "kubectl config delete-context" does.
	text := string(do(t, others, wanted("a", "b")).Text)
	from := strings.Index(text, "- name: acme-a\n  context:")
	to := from + strings.Index(text[from+1:], "- ") + 1
	text = text[:from] + text[to:]
	if _, there := load(t, []byte(text)).Contexts["acme-a"]; there {
		t.Fatalf("it is not deleted:\n%s", text)
	}
	w = wanted("a", "b")
	w.Known = []string{"a", "b"}
	if r := do(t, text, w); string(r.Text) != text || len(r.Changes) != 0 {
		t.Errorf("%s\n%s", changes(r), r.Text)
	}
	r := do(t, text, wanted("a", "b"))
	if c := load(t, r.Text).Contexts["acme-a"]; c == nil || c.Cluster != "acme-a" || c.AuthInfo != "acme-a" || c.Namespace != "team" || changes(r) != "added acme-a" {
		t.Errorf("%s\n%s", changes(r), r.Text)
	}
}

func TestFilesOfAllKinds(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "blank": "\n\n", "only a remark": "# nothing here\n", "null lists": "apiVersion: v1\nkind: Config\nclusters: null\ncontexts: # none\nusers: [] # nobody\n",
		"no line at the end": "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\ncurrent-context: \"\"", "JSON": `{"apiVersion":"v1","kind":"Config","clusters":[{"name":"x","cluster":{"server":"https://x"}}],"contexts":[],"users":[]}`,
		"a document's marks": "---\napiVersion: v1\nkind: Config\n", "Windows": "apiVersion: v1\r\nkind: Config\r\nclusters:\r\n- name: x\r\n  cluster: {server: 'https://x'}\r\n",
		"flow lists": "apiVersion: v1\nkind: Config\nclusters: [{name: x, cluster: {server: 'https://x'}}]\n", "indented": "apiVersion: v1\nkind: Config\nclusters:\n    -   name: x\n        cluster:\n            server: https://x\n",
		"a dash alone": "clusters:\n-\n  name: x\n  cluster:\n    server: https://x\napiVersion: v1\nkind: Config\n",
	} {
		r := do(t, text, wanted("a", "b"))
		cfg := load(t, r.Text)
		if len(cfg.Contexts) != 2 || cfg.CurrentContext != "acme-a" || strings.Contains(text, "https://x") && cfg.Clusters["x"].Server != "https://x" {
			t.Errorf("%s:\n%s", name, r.Text)
		}
		if remark := "# nobody"; strings.Contains(text, remark) && !strings.Contains(string(r.Text), remark) {
			t.Errorf("%s: the remark is gone:\n%s", name, r.Text)
		}
		gone := do(t, string(r.Text), wanted())
		if cfg := load(t, gone.Text); len(cfg.Contexts) != 0 || len(cfg.AuthInfos) != 0 || len(cfg.Clusters) != strings.Count(text, "https://x") {
			t.Errorf("%s: what is left:\n%s", name, gone.Text)
		}
	}
	for name, text := range map[string]string{"no YAML": "{", "a text": "hello", "a list": "- a", "clusters are a text": "clusters: x", "two documents": "kind: Config\n---\nkind: Config\n"} {
		if r, err := merge.Merge([]byte(text), wanted("a")); err == nil || !strings.Contains(err.Error(), "kubectl could read") {
			t.Errorf("%s: %s %v", name, r.Text, err)
		}
	}
}

// writer writes kubeconfigs as people and tools do.
type writer struct {
	*rand.Rand
	out    strings.Builder
	serial int
}

func (w *writer) one(of ...string) string { return of[w.IntN(len(of))] }

func (w *writer) noise(indent string) {
	if w.IntN(5) == 0 {
		w.serial++
		fmt.Fprintf(&w.out, "%s# remark %d - name: x\n", indent, w.serial)
	}
	if w.IntN(8) == 0 {
		w.out.WriteString("\n")
	}
}

func (w *writer) scalar(text string) string { return w.one(text, `"`+text+`"`, `'`+text+`'`) }

// list writes some entries of others.
func (w *writer) list(key, inner string, names []string) {
	w.noise("")
	if len(names) == 0 {
		w.out.WriteString(w.one(key+": []\n", key+":\n", key+": null # none\n", ""))
		return
	}
	w.out.WriteString(key + ":" + w.one("", " # all") + "\n")
	indent := w.one("", "  ", "    ")
	for _, name := range names {
		w.noise(indent)
		body := map[string]string{
			"cluster": "server: " + w.scalar("https://"+name+".example"), "context": "cluster: " + name + "\n%[1]s    user: " + name, "user": w.one("token: abc", "password: |-\n%[1]s      # no remark\n%[1]s      - name: y\n%[1]s      x", "username: x # y"),
		}[inner]
		body = strings.ReplaceAll(body, "%[1]s", indent)
		if w.IntN(2) == 0 {
			fmt.Fprintf(&w.out, "%s- name: %s\n%s  %s:\n%s    %s\n", indent, w.scalar(name), indent, inner, indent, body)
		} else {
			fmt.Fprintf(&w.out, "%s- %s:\n%s    %s\n%s  name: %s\n", indent, inner, indent, body, indent, w.scalar(name))
		}
	}
}

func (w *writer) file() string {
	w.out.Reset()
	var names []string
	for i := range w.IntN(5) {
		names = append(names, fmt.Sprintf("%s%d", w.one("kind-", "arn-aws-eks-", "gke_", "dev"), i))
	}
	parts := []func(){
		func() { w.out.WriteString("apiVersion: v1\n") }, func() { w.out.WriteString("kind: Config\n") }, func() { w.list("clusters", "cluster", names) },
		func() { w.list("contexts", "context", names) }, func() { w.list("users", "user", names) }, func() { w.out.WriteString(w.one("", "preferences: {}\n", "preferences:\n  colors: true\n")) },
	}
	if len(names) > 0 {
		parts = append(parts, func() { w.out.WriteString("current-context: " + w.scalar(names[0]) + w.one("", " # today") + "\n") })
	}
	w.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	for _, part := range parts {
		part()
	}
	text := w.out.String()
	if w.IntN(5) == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	if w.IntN(8) == 0 {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}

// hasLines reports whether the lines of one text are in another, in their order.
func hasLines(text, in string) (missing string, ok bool) {
	rest := slices.Collect(strings.Lines(in))
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		at := slices.IndexFunc(rest, func(other string) bool { return strings.TrimRight(other, "\r\n") == line })
		if at < 0 {
			return line, false
		}
		rest = rest[at+1:]
	}
	return "", true
}

// TestForeignEntriesAreNeverTouched adds, changes and removes own entries in ten thousand
// kubeconfigs of others: each of their lines stays as it is, and in its place.
func TestForeignEntriesAreNeverTouched(t *testing.T) {
	t.Parallel()
	for shard := range uint64(10) {
		t.Run(strconv.FormatUint(shard, 10), func(t *testing.T) {
			t.Parallel()
			neverTouched(t, &writer{Rand: rand.New(rand.NewPCG(1, shard))})
		})
	}
}

func neverTouched(t *testing.T, w *writer) {
	ids := []string{"a", "b", "c", "d"}
	for n := range files / 10 {
		text := w.file()
		foreign := load(t, []byte(text))
		// An own line may take the place of "clusters: []"; nothing else of theirs may go.
		var theirs strings.Builder
		for line := range strings.Lines(text) {
			if bare := strings.TrimSpace(line); bare != "" && !strings.HasSuffix(bare, "[]") && !strings.Contains(bare, "null") && bare != "clusters:" && bare != "contexts:" && bare != "users:" {
				theirs.WriteString(line)
			}
		}
		current := []byte(text)
		for range 3 {
			some := slices.DeleteFunc(slices.Clone(ids), func(string) bool { return w.IntN(3) == 0 })
			want := wanted(some...)
			for i := range want.Clusters {
				want.Clusters[i].Server += w.one("", ":6443")
				want.Clusters[i].Context += w.one("", "", "-x")
				want.Clusters[i].CA = w.one("", "PEM", "OTHER")
			}
			r, err := merge.Merge(current, want)
			if err != nil {
				t.Fatalf("file %d: %v\n%s", n, err, current)
			}
			if missing, ok := hasLines(theirs.String(), string(r.Text)); !ok {
				t.Fatalf("file %d: %q is gone:\n%s\n--- was\n%s", n, missing, r.Text, current)
			}
			now := load(t, r.Text)
			for name, c := range foreign.Clusters {
				if !reflect.DeepEqual(c, now.Clusters[name]) {
					t.Fatalf("file %d, cluster %s: %s", n, name, cmp.Diff(c, now.Clusters[name]))
				}
			}
			for name, u := range foreign.AuthInfos {
				if !reflect.DeepEqual(u, now.AuthInfos[name]) {
					t.Fatalf("file %d, user %s: %s", n, name, cmp.Diff(u, now.AuthInfos[name]))
				}
			}
			if len(now.Contexts) != len(foreign.Contexts)+len(some) || foreign.CurrentContext != "" && now.CurrentContext != foreign.CurrentContext {
				t.Fatalf("file %d: %d contexts, current %s:\n%s", n, len(now.Contexts), now.CurrentContext, r.Text)
			}
			for _, c := range want.Clusters {
				context := now.Contexts[r.Contexts[c.ID]]
				if context == nil || now.Clusters[context.Cluster].Server != c.Server || string(now.Clusters[context.Cluster].CertificateAuthorityData) != c.CA {
					t.Fatalf("file %d: %s is not as the server says:\n%s", n, c.ID, r.Text)
				}
			}
			current = r.Text
		}
	}
}

func FuzzMerge(f *testing.F) {
	f.Add(others)
	f.Add("{\"clusters\":[]}")
	f.Add("clusters:\n- &a {name: x}\n- *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := merge.Merge([]byte(text), wanted("a", "b"))
		if err != nil {
			return
		}
		again, err := merge.Merge(r.Text, wanted("a", "b"))
		if err != nil || string(again.Text) != string(r.Text) {
			t.Errorf("%v\n%s\n---\n%s", err, r.Text, again.Text)
		}
	})
}
