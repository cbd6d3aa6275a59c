package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// The formats of an import.
const (
	FormatFairlead = "fairlead"
	FormatDex      = "dex"
	FormatGangway  = "gangway"
)

// ImportFile is the content of a text to import.
type ImportFile struct {
	// Docs are the entries. A kind that the text names without an entry is there, and empty.
	Docs Docs
	// Notes say what an admin must still do. Ignored name what the import does not take over.
	Notes, Ignored []string
	// Variables are the environment variables that the text names, sorted.
	Variables []string
	// Refused say why the whole text cannot be imported.
	Refused []string
	// Faults are those of single entries, by EntryKey.
	Faults map[string][]string
}

// EntryKey identifies an entry in ImportFile.Faults.
func EntryKey(kind, id string) string { return kind + "/" + id }

// ReadImport reads a text in a format. env returns the value of an environment variable that the text names. The
// error's kind is Invalid.
func ReadImport(text []byte, format string, env func(name string) (string, bool)) (*ImportFile, error) {
	documents, err := yamlDocuments(text)
	if err != nil {
		return nil, err
	}
	in := newImporter(env)
	switch format {
	case FormatDex:
		in.dex(documents)
	case FormatGangway:
		in.gangway(documents)
	case FormatFairlead, "":
		in.fairlead(documents)
	default:
		return nil, errs.New(errs.Invalid, "The format %q is not known. Use fairlead, dex or gangway.", format)
	}
	in.refuseDoubles()
	slices.Sort(in.Ignored)
	slices.Sort(in.Variables)
	in.Variables = slices.Compact(in.Variables)
	return &in.ImportFile, nil
}

// yamlDocuments decodes all documents of a text. Each must be a mapping.
func yamlDocuments(text []byte) ([]map[string]any, error) {
	var list []map[string]any
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var root any
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "The text is not valid YAML: %s. Correct it and import again.", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		object, ok := plain(root).(map[string]any)
		if !ok && root != nil {
			return nil, errs.New(errs.Invalid, "The text is not a configuration: it has no keys. Paste a configuration of Fairlead, Dex or Gangway.")
		}
		if len(object) > 0 {
			list = append(list, object)
		}
	}
	if len(list) == 0 {
		return nil, errs.New(errs.Invalid, "The text is empty. Paste a configuration of Fairlead, Dex or Gangway.")
	}
	return list, nil
}

// plain turns what YAML has and JSON has not into texts: keys that are no texts, and dates.
func plain(v any) any {
	switch value := v.(type) {
	case map[string]any:
		for key := range value {
			value[key] = plain(value[key])
		}
	case map[any]any:
		object := make(map[string]any, len(value))
		for key := range value {
			object[fmt.Sprint(key)] = plain(value[key])
		}
		return object
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	case time.Time:
		return value.Format(time.DateOnly)
	}
	return v
}

// fairlead reads configuration files. The import ignores their other settings, which belong to the process.
func (i *importer) fairlead(documents []map[string]any) {
	i.each(documents, isFairlead, "fairlead.yaml or an export", i.fairleadEntries)
}

func (i *importer) fairleadEntries(root map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(root)) {
		k, known := KindOf(key)
		list, isList := root[key].([]any)
		if !known || k.Name != key || !isList && root[key] != nil {
			i.ignore("%s: left out, because it is not a list of entries", key)
			continue
		}
		i.name(k.Name)
		for n, item := range list {
			doc, _ := item.(map[string]any)
			id, named := doc[k.IDKey].(string)
			if !named {
				i.ignore("%s[%d]: left out, because it has no %s", key, n, k.IDKey)
				continue
			}
			i.Docs[k.Name] = append(i.Docs[k.Name], Entry{ID: id, Doc: form.Doc(doc), Origin: store.Origin{Origin: store.OriginPage}})
		}
	}
}

// name records that the text names a kind.
func (i *importer) name(kind string) {
	if i.Docs[kind] == nil {
		i.Docs[kind] = []Entry{}
	}
}

// refuseDoubles refuses a text in which two entries have the same id.
func (i *importer) refuseDoubles() {
	for _, k := range Kinds() {
		seen := map[string]string{}
		for n, e := range i.Docs[k.Name] {
			key, name := e.ID, e.ID
			if k.Name == LocalUsers {
				key = kubenames.Key(e.ID)
			}
			if names := i.names[k.Name]; n < len(names) {
				name = names[n]
			}
			if other, twice := seen[key]; twice {
				i.refuse("%s: %q and %q both have the %s %s. Rename one of them in the text.", k.Name, other, name, k.IDKey, e.ID)
			}
			seen[key] = name
		}
	}
}
