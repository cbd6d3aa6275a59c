// Package rest asks an upstream that answers in JSON: one request, one bounded answer.
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

// maxAnswer bounds what is read, in bytes.
const maxAnswer = 4 << 20

// Request is what is asked.
type Request struct {
	Method, URL string
	// Header is sent along.
	Header http.Header
	// Body, when not nil, is sent as JSON.
	Body any
	// FollowRedirects is for documents that are read without credentials.
	FollowRedirects bool
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	body   []byte
}

// Ask sends a request. Every status is an answer; an error means that there was none.
// Unless told otherwise it follows no redirect: a token in the header must not
// travel on.
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

// Into decodes the answer. Numbers become json.Number where into leaves the choice:
// a long one would become another one.
func (a *Answer) Into(into any) error {
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the answer is not the JSON that was expected: %w", err)
	}
	return nil
}

// Body returns the answer as it came, cut after 4 MB.
func (a *Answer) Body() []byte { return a.body }
