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

// maxHintedBody is the largest response body to which a hint is added.
const maxHintedBody = 64 << 10

// addAccessHint returns a function that adds a link to the API server's 403 responses. Other responses,
// and responses that it cannot parse, stay unchanged.
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
		said.Message += "\nOpen this page to see what you may do, and why: " + address
		text, err := json.Marshal(&said)
		if err != nil {
			return
		}
		resp.Body = &prefixedBody{bytes.NewReader(text), rest}
		resp.ContentLength = int64(len(text))
		resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
	}
}

// prefixedBody is a body whose first bytes were already read.
type prefixedBody struct {
	io.Reader
	io.Closer
}
