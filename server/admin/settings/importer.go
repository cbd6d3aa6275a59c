package settings

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// importer collects the entries that are converted from another program's configuration.
type importer struct {
	ImportFile
	lookup func(name string) (string, bool)
	// names are the ids of the entries in the text, by kind, in the order of Docs.
	names map[string][]string
	// argo reports that the text is a part of Argo CD's configuration, where the whole of a value such as
	// $dex.github.clientSecret names a key of a Secret.
	argo bool
}

func newImporter(lookup func(name string) (string, bool)) *importer {
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	return &importer{ImportFile: ImportFile{Docs: Docs{}, Faults: map[string][]string{}}, lookup: lookup, names: map[string][]string{}}
}

// env returns the value of an environment variable that the text names.
func (i *importer) env(name string) (string, bool) {
	if name != "" {
		i.Variables = append(i.Variables, name)
	}
	return i.lookup(name)
}

// add adds an entry. name is its id in the text.
func (i *importer) add(kind, id, name string, doc form.Doc) {
	i.Docs[kind] = append(i.Docs[kind], Entry{ID: id, Doc: doc.Compact(), Origin: store.Origin{Origin: store.OriginPage}})
	i.names[kind] = append(i.names[kind], name)
}

func (i *importer) note(format string, args ...any) {
	i.Notes = append(i.Notes, fmt.Sprintf(format, args...))
}

func (i *importer) ignore(format string, args ...any) {
	i.Ignored = append(i.Ignored, fmt.Sprintf(format, args...))
}

func (i *importer) refuse(format string, args ...any) {
	i.Refused = append(i.Refused, fmt.Sprintf(format, args...))
}

// fault adds a fault of an entry, which is then not imported.
func (i *importer) fault(kind, id, format string, args ...any) {
	key := EntryKey(kind, id)
	i.Faults[key] = append(i.Faults[key], fmt.Sprintf(format, args...))
}

var (
	variable = regexp.MustCompile(`\$(\w+|\{\w+\})`)
	argoKey  = regexp.MustCompile(`^\$[\w.:/-]+$`)
)

// expand replaces the environment variables in the texts of a value. It calls missing with the path and the name of each
// unknown variable. Its text becomes empty, because a name must not be stored as a secret.
func (i *importer) expand(path string, v any, missing func(path, name string)) any {
	switch value := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			value[key] = i.expand(join(path, key), value[key], missing)
		}
	case []any:
		for n := range value {
			value[n] = i.expand(path+"["+strconv.Itoa(n)+"]", value[n], missing)
		}
	case string:
		return i.expandText(path, value, missing)
	}
	return v
}

func (i *importer) expandText(path, text string, missing func(path, name string)) string {
	lookup := func(name string) string {
		value, known := i.env(name)
		if !known {
			missing(path, name)
		}
		return value
	}
	switch {
	case i.argo && argoKey.MatchString(text):
		return lookup(text[1:])
	case i.argo || !variable.MatchString(text):
		return text
	}
	return os.Expand(text, lookup)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// leaves lists the paths of all values of a document.
func leaves(path string, v any) []string {
	var list []string
	switch value := v.(type) {
	case nil:
	case form.Doc:
		return leaves(path, map[string]any(value))
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			list = append(list, leaves(join(path, key), value[key])...)
		}
	case []any:
		for n := range value {
			list = append(list, leaves(path+"["+strconv.Itoa(n)+"]", value[n])...)
		}
	default:
		return []string{path}
	}
	return list
}

// take returns the value at a path and removes it from the document, so that ignoreRest names the others.
func take(doc form.Doc, path string) any {
	value := doc.Get(path)
	doc.Set(path, nil)
	return value
}

func takeText(doc form.Doc, path string) string {
	text := doc.Text(path)
	doc.Set(path, nil)
	return text
}

// ignoreRest names everything that was not taken from a document.
func (i *importer) ignoreRest(what string, doc form.Doc) {
	if rest := leaves("", doc); len(rest) > 0 {
		i.ignore("%s: Fairlead does not know and ignores %s", what, strings.Join(rest, ", "))
	}
}

// objects returns the objects of a list.
func objects(v any) []form.Doc {
	var list []form.Doc
	items, _ := v.([]any)
	for _, item := range items {
		if object, ok := item.(map[string]any); ok {
			list = append(list, object)
		}
	}
	return list
}
