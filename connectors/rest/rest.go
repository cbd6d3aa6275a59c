// Package rest sends requests to upstreams with JSON APIs. It limits the size of responses.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
)

// maxAnswer bounds a response, in bytes.
const maxAnswer = 4 << 20

// Request is an HTTP request.
type Request struct {
	Method, URL string
	// Header holds further headers.
	Header http.Header
	// Body, when not nil, is sent as JSON.
	Body any
	// FollowRedirects is for requests without credentials.
	FollowRedirects bool
}

// Answer is an HTTP response.
type Answer struct {
	Status int
	Header http.Header
	body   []byte
}

// Ask sends a request. Any status is a response; an error means that there was none. It follows redirects only with
// FollowRedirects, because a redirect would receive the token in the header.
func Ask(ctx context.Context, client *http.Client, r Request) (*Answer, error) {
	var body bytes.Buffer
	if r.Body != nil {
		if err := json.NewEncoder(&body).Encode(r.Body); err != nil {
			return nil, fmt.Errorf("encoding request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, &body)
	if err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	maps.Copy(req.Header, r.Header)
	req.Header.Set("Accept", "application/json")
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	direct := *client
	if !r.FollowRedirects {
		direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	res, err := direct.Do(req)
	if err != nil {
		return nil, err
	}
	read, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, fmt.Errorf("reading answer: %w", err)
	}
	return &Answer{Status: res.StatusCode, Header: res.Header, body: read}, nil
}

// Into decodes the body. Numbers become json.Number if into leaves the choice, because a float64 would change long
// numbers.
func (a *Answer) Into(into any) error {
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the answer is not the JSON that was expected: %w", err)
	}
	return nil
}

// Body returns the body, cut after 4 MB.
func (a *Answer) Body() []byte { return a.body }
