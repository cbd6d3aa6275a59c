package settings

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/form"
)

func has(root map[string]any, keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return root[key] != nil })
}

func isDex(root map[string]any) bool {
	return has(root, "staticClients", "staticPasswords", "enablePasswordDB") || has(root, "issuer") && has(root, "storage") ||
		has(root, "connectors") && !has(root, Clusters, Rules, Clients, LocalUsers, Issuers, Workloads, General, "admins")
}

func isGangway(root map[string]any) bool { return has(root, "clusterName", "apiServerURL") }

func isFairlead(root map[string]any) bool {
	return has(root, Connectors, Clusters, Rules, Clients, LocalUsers, Issuers, Workloads, General) &&
		!has(root, "staticClients", "staticPasswords", "enablePasswordDB")
}

// isObject reports whether a document is a Kubernetes object.
func isObject(root map[string]any) bool { return has(root, "apiVersion") && has(root, "kind") }

// found is a configuration inside a document.
type found struct {
	root map[string]any
	// path leads to it, such as "data.config.yaml". It is empty for the document itself.
	path string
}

// maxNesting is how deep a configuration may be inside Helm values.
const maxNesting = 5

// search finds configurations inside a ConfigMap, a Secret, Helm values or a list of them.
func search(root map[string]any, is func(map[string]any) bool) []found {
	if !isObject(root) && is(root) {
		return []found{{root: root}}
	}
	encoded := root["kind"] == "Secret"
	return searchIn("", root, is, encoded, maxNesting)
}

func searchIn(path string, v any, is func(map[string]any) bool, encoded bool, depth int) []found {
	if depth == 0 {
		return nil
	}
	var list []found
	switch value := v.(type) {
	case map[string]any:
		if path != "" && !isObject(value) && is(value) {
			return []found{{value, path}}
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			list = append(list, searchIn(join(path, key), value[key], is, encoded || value["kind"] == "Secret", depth-1)...)
		}
	case []any:
		for n := range value {
			list = append(list, searchIn(fmt.Sprintf("%s[%d]", path, n), value[n], is, encoded, depth)...)
		}
	case string:
		return searchText(path, value, is, encoded)
	}
	return list
}

// searchText looks into a text that is YAML, or YAML in base64 in a Secret.
func searchText(path, text string, is func(map[string]any) bool, encoded bool) []found {
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); encoded && err == nil {
		text = string(raw)
	}
	var root any
	if !strings.Contains(text, ":") || yaml.Unmarshal([]byte(text), &root) != nil {
		return nil
	}
	if object, ok := plain(root).(map[string]any); ok && is(object) {
		return []found{{object, path}}
	}
	return nil
}

// describe says what a document is.
func describe(root map[string]any) string {
	doc := form.Doc(root)
	switch {
	case isObject(root):
		return strings.TrimSpace("a Kubernetes object, " + doc.Text("kind") + " " + doc.Text("metadata.name"))
	case has(root, "image", "replicaCount", "ingress", "serviceAccount", "podAnnotations"):
		return "a file of Helm values without the configuration"
	case isGangway(root):
		return "a configuration of Gangway (format gangway)"
	case isDex(root):
		return "a configuration of Dex (format dex)"
	case isFairlead(root):
		return "a configuration of Fairlead (format fairlead)"
	}
	keys := slices.Sorted(maps.Keys(root))
	return "a file with the keys " + strings.Join(keys[:min(len(keys), 5)], ", ")
}

// each calls convert with each configuration in the documents. It names the rest, and refuses the text if there is none.
func (i *importer) each(documents []map[string]any, is func(map[string]any) bool, want string, convert func(root map[string]any)) {
	var others []string
	any := false
	for _, root := range documents {
		list := search(root, is)
		if len(list) == 0 {
			others = append(others, describe(root))
			continue
		}
		any = true
		for _, f := range list {
			if f.path != "" {
				i.ignoreAround(root, f.path)
			}
			i.argo = strings.HasSuffix(f.path, "dex.config")
			convert(f.root)
		}
	}
	for _, other := range others {
		if any {
			i.ignore("%s: left out", other)
			continue
		}
		i.refuse("This is %s, give me %s.", other, want)
	}
}

// ignoreAround names the other keys of a document with a configuration in it.
func (i *importer) ignoreAround(root map[string]any, path string) {
	around, at := root, ""
	if isObject(root) {
		at, _, _ = strings.Cut(path, ".")
		around, _ = root[at].(map[string]any)
	}
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(around)) {
		if whole := join(at, key); path != whole && !strings.HasPrefix(path, whole+".") {
			keys = append(keys, key)
		}
	}
	if len(keys) > 0 {
		i.ignore("%s: left out, because they are not in %s", strings.Join(keys, ", "), path)
	}
}
