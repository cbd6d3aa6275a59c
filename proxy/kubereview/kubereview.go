// Package kubereview creates the API server's review objects (TokenReview, SubjectAccessReview,
// SelfSubjectRulesReview) over plain HTTP. It does not use client-go's typed client, which would
// link every API group into the binary.
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

// ErrForbidden says that the proxy's credential lacks the permission to create the review.
var ErrForbidden = errors.New("the proxy's credential may not create this review")

// maxResponseBytes bounds the size of a response.
const maxResponseBytes = 4 << 20

// Client creates reviews at one API server.
type Client struct {
	http   *http.Client
	target *url.URL
}

// New returns a client with the credentials of a client-go configuration.
func New(cfg *rest.Config) (*Client, error) {
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("creating the client for reviews: %w", err)
	}
	target, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("reading the API server's address: %w", err)
	}
	return &Client{client, target}, nil
}

// Create posts a review and decodes the response into answer. Answer must be an empty review: fields
// that are missing in the response then deny. The error is ErrForbidden for HTTP status 403.
func (c *Client) Create(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encoding the review: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.target.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("creating the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxResponseBytes))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return fmt.Errorf("reading the review: %w", err)
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated:
		return json.Unmarshal(text, answer)
	case http.StatusForbidden:
		return ErrForbidden
	}
	return fmt.Errorf("the API server answered %s", res.Status)
}
