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

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/merge"
)

// writer writes random kubeconfigs in the styles of people and tools.
type writer struct {
	*rand.Rand
	out    strings.Builder
	serial int
}

func (w *writer) pick(from ...string) string { return from[w.IntN(len(from))] }

// noise writes a comment or an empty line now and then.
func (w *writer) noise(indent string) {
	if w.IntN(5) == 0 {
		w.serial++
		fmt.Fprintf(&w.out, "%s# comment %d - name: x\n", indent, w.serial)
	}
	if w.IntN(8) == 0 {
		w.out.WriteString("\n")
	}
}

func (w *writer) scalar(text string) string { return w.pick(text, `"`+text+`"`, `'`+text+`'`) }

// list writes a list with some entries.
func (w *writer) list(key, inner string, names []string) {
	w.noise("")
	if len(names) == 0 {
		w.out.WriteString(w.pick(key+": []\n", key+":\n", key+": null # none\n", ""))
		return
	}
	w.out.WriteString(key + ":" + w.pick("", " # all") + "\n")
	indent := w.pick("", "  ", "    ")
	for _, name := range names {
		w.noise(indent)
		body := map[string]string{
			"cluster": "server: " + w.scalar("https://"+name+".example"), "context": "cluster: " + name + "\n%[1]s    user: " + name, "user": w.pick("token: abc", "password: |-\n%[1]s      # no comment\n%[1]s      - name: y\n%[1]s      x", "username: x # y"),
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
		names = append(names, fmt.Sprintf("%s%d", w.pick("kind-", "arn-aws-eks-", "gke_", "dev"), i))
	}
	parts := []func(){
		func() { w.out.WriteString("apiVersion: v1\n") }, func() { w.out.WriteString("kind: Config\n") }, func() { w.list("clusters", "cluster", names) },
		func() { w.list("contexts", "context", names) }, func() { w.list("users", "user", names) }, func() { w.out.WriteString(w.pick("", "preferences: {}\n", "preferences:\n  colors: true\n")) },
	}
	if len(names) > 0 {
		parts = append(parts, func() { w.out.WriteString("current-context: " + w.scalar(names[0]) + w.pick("", " # today") + "\n") })
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

// hasLines reports whether the lines of one text are in another, in the same order.
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

// TestForeignEntriesAreNeverTouched adds, changes and removes entries in ten thousand random
// kubeconfigs. Every line of other entries stays unchanged, and in its order.
func TestForeignEntriesAreNeverTouched(t *testing.T) {
	t.Parallel()
	for shard := range uint64(10) {
		t.Run(strconv.FormatUint(shard, 10), func(t *testing.T) {
			t.Parallel()
			checkForeignLines(t, &writer{Rand: rand.New(rand.NewPCG(1, shard))})
		})
	}
}

func checkForeignLines(t *testing.T, w *writer) {
	ids := []string{"a", "b", "c", "d"}
	for n := range files / 10 {
		text := w.file()
		foreign := load(t, []byte(text))
		// A merge may replace "clusters: []" and the like; no other foreign line may change.
		var foreignLines strings.Builder
		for line := range strings.Lines(text) {
			if bare := strings.TrimSpace(line); bare != "" && !strings.HasSuffix(bare, "[]") && !strings.Contains(bare, "null") && bare != "clusters:" && bare != "contexts:" && bare != "users:" {
				foreignLines.WriteString(line)
			}
		}
		current := []byte(text)
		for range 3 {
			subset := slices.DeleteFunc(slices.Clone(ids), func(string) bool { return w.IntN(3) == 0 })
			d := desired(subset...)
			for i := range d.Clusters {
				d.Clusters[i].Server += w.pick("", ":6443")
				d.Clusters[i].Context += w.pick("", "", "-x")
				d.Clusters[i].CA = w.pick("", "PEM", "OTHER")
			}
			r, err := merge.Merge(current, d)
			if err != nil {
				t.Fatalf("file %d: %v\n%s", n, err, current)
			}
			if missing, ok := hasLines(foreignLines.String(), string(r.Text)); !ok {
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
			if len(now.Contexts) != len(foreign.Contexts)+len(subset) || foreign.CurrentContext != "" && now.CurrentContext != foreign.CurrentContext {
				t.Fatalf("file %d: %d contexts, current %s:\n%s", n, len(now.Contexts), now.CurrentContext, r.Text)
			}
			for _, c := range d.Clusters {
				context := now.Contexts[r.Contexts[c.ID]]
				if context == nil || now.Clusters[context.Cluster].Server != c.Server || string(now.Clusters[context.Cluster].CertificateAuthorityData) != c.CA {
					t.Fatalf("file %d: the entries of %s differ from the desired ones:\n%s", n, c.ID, r.Text)
				}
			}
			current = r.Text
		}
	}
}
