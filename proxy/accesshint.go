package proxy

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxHinted is the largest refusal that a hint is added to, in bytes.
const maxHintedBody = 64 << 10

// hint adds to the API server's refusals where somebody sees what they may do and why. What
// is no refusal, or none that can be read, stays as it is.
func addAccessHint(address string) func(resp *http.Response) {
	return func(resp *http.Response) {
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if resp.StatusCode != http.StatusForbidden || kind != "application/json" || resp.Header.Get("Content-Encoding") != "" {
			return
		}
		head, err := io.ReadAll(io.LimitReader(resp.Body, maxHintedBody+1))
		rest := resp.Body
		resp.Body = &prefixedBody{io.MultiReader(bytes.NewReader(head), rest), rest}
		var said metav1.Status
		if err != nil || len(head) > maxHintedBody || json.Unmarshal(head, &said) != nil || said.Kind != "Status" {
			return
		}
		said.Message += "\nWhat you may do here, and why: " + address
		text, err := json.Marshal(&said)
		if err != nil {
			return
		}
		resp.Body = &prefixedBody{bytes.NewReader(text), rest}
		resp.ContentLength = int64(len(text))
		resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
	}
}

// again is a body of which something was read already.
type prefixedBody struct {
	io.Reader
	io.Closer
}
