// Package review asks the API server questions: may somebody do something, whose is a token,
// what may I do. It does so over plain HTTP: client-go's typed client would bring every API
// group.
package kubereview

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"k8s.io/client-go/rest"
)

// ErrMayNot says that the proxy itself lacks the right to ask.
var ErrForbidden = errors.New("the proxy may not ask this")

// maxAnswer bounds an answer, in bytes.
const maxResponseBytes = 4 << 20

// Client asks one API server.
type Client struct {
	http   *http.Client
	target *url.URL
}

// New asks with the credentials of a client-go configuration.
func New(cfg *rest.Config) (*Client, error) {
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("making client for reviews: %w", err)
	}
	target, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("reading API server address: %w", err)
	}
	return &Client{client, target}, nil
}

// Create posts a review and reads the answer into another, which must be empty: an answer
// that says nothing is a no. The error is ErrMayNot when the question is not allowed.
func (c *Client) Create(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encoding review: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.target.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxResponseBytes))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return fmt.Errorf("reading review: %w", err)
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated:
		return json.Unmarshal(text, answer)
	case http.StatusForbidden:
		return ErrForbidden
	}
	return fmt.Errorf("the API server answered %s", res.Status)
}
