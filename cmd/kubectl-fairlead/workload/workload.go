// Package workload finds the token that a platform gives to a program: a CI job, or a pod.
// What it is worth is for the server to say.
package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/internal/secret"
)

// The environment variables that say that a program is no person.
const (
	// Token holds the token itself, as GitLab puts it there (id_tokens).
	Token = "FAIRLEAD_WORKLOAD_TOKEN"
	// TokenFile names a file with it, as Kubernetes projects it into a pod.
	TokenFile = "FAIRLEAD_WORKLOAD_TOKEN_FILE"
	// GitHub Actions says where to ask for it, in a job with the permission id-token: write.
	gitHubURL   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	gitHubToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

const (
	// maxToken bounds what is read, in bytes, and timeout how long GitHub is waited for.
	maxToken = 64 << 10
	timeout  = 15 * time.Second
)

// Source is where a program's token is.
type Source struct {
	// what it is, for messages
	name string
	get  func(ctx context.Context) (string, error)
}

// Find returns where the token for a server is, or nil: then a person is at work. What is set
// on purpose comes before what GitHub sets for every job.
func Find(getenv func(string) string, server string) *Source {
	switch {
	case getenv(Token) != "":
		return &Source{name: Token, get: func(context.Context) (string, error) { return getenv(Token), nil }}
	case getenv(TokenFile) != "":
		return &Source{name: getenv(TokenFile), get: func(context.Context) (string, error) { return read(getenv(TokenFile)) }}
	case getenv(gitHubURL) != "" && getenv(gitHubToken) != "":
		return &Source{name: "GitHub", get: func(ctx context.Context) (string, error) {
			return askGitHub(ctx, getenv(gitHubURL), getenv(gitHubToken), server)
		}}
	}
	return nil
}

// Get returns the token as it is now: files and answers change.
func (s *Source) Get(ctx context.Context) (secret.Value, error) {
	token, err := s.get(ctx)
	token = strings.TrimSpace(token)
	if err == nil && token == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("the token of this program (%s): %w", s.name, err)
	}
	return secret.NewValue(token), nil
}

func read(file string) (string, error) {
	f, err := os.Open(file) //nolint:gosec // the person who set the variable names it
	if err != nil {
		return "", err //nolint:wrapcheck // Get says what it is about
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxToken))
	return string(text), err
}

// askGitHub asks for a token that is made for the server.
func askGitHub(ctx context.Context, address, bearer, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New(gitHubURL + " is no address")
	}
	q := u.Query()
	q.Set("audience", audience)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return "", errors.New(gitHubURL + " is no address")
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", errors.Unwrap(err) // without the address
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("it answered %s", resp.Status)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxToken)).Decode(&answer); err != nil {
		return "", errors.New("its answer is not the JSON that was expected")
	}
	return answer.Value, nil
}
