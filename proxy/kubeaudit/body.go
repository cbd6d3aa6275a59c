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

// maxBodyBytes is the largest request body that an event keeps.
const maxBodyBytes = 256 << 10

// body copies a request body while it is read, up to maxBodyBytes. It does not delay the request.
type body struct {
	io.ReadCloser
	contentType string

	mu       sync.Mutex // the response can arrive before the body has been read to its end
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

// object returns the body as JSON. Without an object it passes the reason to annotate.
func (b *body) object(annotate func(key, value string), omitManagedFields bool) *runtime.Unknown {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.data) == 0 && !b.tooLarge {
		return nil
	}
	text, reason := b.json()
	if reason == "" && omitManagedFields {
		text = withoutManagedFields(text)
	}
	if reason != "" {
		annotate("request-object-omitted", reason)
		return nil
	}
	return &runtime.Unknown{Raw: text, ContentType: runtime.ContentTypeJSON}
}

// json returns the body as JSON, or the reason why it cannot.
func (b *body) json() (text []byte, reason string) {
	if b.tooLarge {
		return nil, "larger than 256 KiB"
	}
	kind, _, err := mime.ParseMediaType(b.contentType)
	if err != nil {
		kind = "application/json" // an API server assumes this as well
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

// withoutManagedFields removes metadata.managedFields from an object or from the items of a list.
func withoutManagedFields(text []byte) []byte {
	var object map[string]any
	if json.Unmarshal(text, &object) != nil {
		return text // a JSON patch, which is a list
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
