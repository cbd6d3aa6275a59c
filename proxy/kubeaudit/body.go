package kubeaudit

import (
	"encoding/json"
	"io"
	"mime"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// maxBody is the largest body that is kept, in bytes.
const maxBody = 256 << 10

// body keeps what passes through, up to a limit. It holds nothing up.
type body struct {
	io.ReadCloser
	kind string

	mu   sync.Mutex // an answer can come before the body is read to its end
	text []byte
	over bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
	case len(b.text)+n > maxBody:
		b.text, b.over = nil, true
	default:
		b.text = append(b.text, p[:n]...)
	}
	return n, err
}

// object is the body as JSON, or nil and a note why not.
func (b *body) object(note func(key, value string), bare bool) *runtime.Unknown {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.text) == 0 && !b.over {
		return nil
	}
	text, why := b.json()
	if why == "" && bare {
		text = withoutManagedFields(text)
	}
	if why != "" {
		note("request-object-left-out", why)
		return nil
	}
	return &runtime.Unknown{Raw: text, ContentType: runtime.ContentTypeJSON}
}

// json is the body as JSON, or why it is not.
func (b *body) json() (text []byte, why string) {
	if b.over {
		return nil, "larger than 256 KiB"
	}
	kind, _, err := mime.ParseMediaType(b.kind)
	if err != nil {
		kind = "application/json" // as an API server takes it
	}
	switch {
	case strings.HasSuffix(kind, "json"):
		text = b.text
	case strings.HasSuffix(kind, "yaml"):
		if text, err = yaml.YAMLToJSON(b.text); err != nil {
			return nil, "not YAML"
		}
	default:
		return nil, "of type " + kind
	}
	if !json.Valid(text) {
		return nil, "not JSON"
	}
	return text, ""
}

// withoutManagedFields leaves out who set which field, of an object or of a list of them.
func withoutManagedFields(text []byte) []byte {
	var object map[string]any
	if json.Unmarshal(text, &object) != nil {
		return text // a patch in the form of a list
	}
	strip(object)
	if items, ok := object["items"].([]any); ok {
		for _, item := range items {
			if o, ok := item.(map[string]any); ok {
				strip(o)
			}
		}
	}
	stripped, err := json.Marshal(object)
	if err != nil {
		return text
	}
	return stripped
}

func strip(object map[string]any) {
	if meta, ok := object["metadata"].(map[string]any); ok {
		delete(meta, "managedFields")
	}
}
