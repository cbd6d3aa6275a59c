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
const maxBodyBytes = 256 << 10

// body keeps what passes through, up to a limit. It holds nothing up.
type body struct {
	io.ReadCloser
	contentType string

	mu       sync.Mutex // an answer can come before the body is read to its end
	data     []byte
	tooLarge bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.tooLarge:
	case len(b.data)+n > maxBodyBytes:
		b.data, b.tooLarge = nil, true
	default:
		b.data = append(b.data, p[:n]...)
	}
	return n, err
}

// object is the body as JSON, or nil and a note why not.
func (b *body) object(note func(key, value string), bare bool) *runtime.Unknown {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.data) == 0 && !b.tooLarge {
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
	if b.tooLarge {
		return nil, "larger than 256 KiB"
	}
	kind, _, err := mime.ParseMediaType(b.contentType)
	if err != nil {
		kind = "application/json" // as an API server takes it
	}
	switch {
	case strings.HasSuffix(kind, "json"):
		text = b.data
	case strings.HasSuffix(kind, "yaml"):
		if text, err = yaml.YAMLToJSON(b.data); err != nil {
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
	stripManagedFields(object)
	if items, ok := object["items"].([]any); ok {
		for _, item := range items {
			if o, ok := item.(map[string]any); ok {
				stripManagedFields(o)
			}
		}
	}
	stripped, err := json.Marshal(object)
	if err != nil {
		return text
	}
	return stripped
}

func stripManagedFields(object map[string]any) {
	if meta, ok := object["metadata"].(map[string]any); ok {
		delete(meta, "managedFields")
	}
}
