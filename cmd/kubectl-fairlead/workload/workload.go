// Package workload finds the OIDC token that a platform issues to a workload, such as a CI job
// or a pod. The server decides whether it accepts the token.
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

// The environment variables of a workload.
const (
	// TokenVariable holds the token itself, for example an id_token of GitLab.
	TokenVariable = "FAIRLEAD_WORKLOAD_TOKEN"
	// TokenFileVariable names a file with the token, for example a projected volume in a pod.
	TokenFileVariable = "FAIRLEAD_WORKLOAD_TOKEN_FILE"
	// GitHub Actions sets these variables in a job with the permission id-token: write.
	gitHubURL   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	gitHubToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

const (
	// maxToken limits the size of a token, in bytes.
	maxToken = 64 << 10
	// gitHubTimeout limits the request to GitHub.
	gitHubTimeout = 15 * time.Second
)

// Source is a source of a workload's token.
type Source struct {
	// name describes the source in messages.
	name string
	get  func(ctx context.Context) (string, error)
}

// Find returns the source of the workload's token for a server, or nil if the environment has
// none: then a user runs the plugin. Fairlead's own variables take precedence over GitHub's,
// which are set in every job.
func Find(getenv func(string) string, server string) *Source {
	switch {
	case getenv(TokenVariable) != "":
		return &Source{name: TokenVariable, get: func(context.Context) (string, error) { return getenv(TokenVariable), nil }}
	case getenv(TokenFileVariable) != "":
		return &Source{name: getenv(TokenFileVariable), get: func(context.Context) (string, error) { return read(getenv(TokenFileVariable)) }}
	case getenv(gitHubURL) != "" && getenv(gitHubToken) != "":
		return &Source{name: "GitHub", get: func(ctx context.Context) (string, error) {
			return requestGitHubToken(ctx, getenv(gitHubURL), getenv(gitHubToken), server)
		}}
	}
	return nil
}

// Token reads the token. Call it for each use, because platforms rotate tokens.
func (s *Source) Token(ctx context.Context) (secret.Value, error) {
	token, err := s.get(ctx)
	token = strings.TrimSpace(token)
	if err == nil && token == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("reading the workload token (%s): %w", s.name, err)
	}
	return secret.NewValue(token), nil
}

func read(file string) (string, error) {
	f, err := os.Open(file) //nolint:gosec // named by an environment variable
	if err != nil {
		return "", err //nolint:wrapcheck // Token adds the context
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxToken))
	return string(text), err
}

// requestGitHubToken requests a token with the server as audience.
func requestGitHubToken(ctx context.Context, address, bearer, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gitHubTimeout)
	defer cancel()
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New(gitHubURL + " is not a URL")
	}
	q := u.Query()
	q.Set("audience", audience)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return "", errors.New(gitHubURL + " is not a URL")
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", errors.Unwrap(err) // without the URL, which may hold a secret
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GitHub responded with %s", resp.Status)
	}
	var response struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxToken)).Decode(&response); err != nil {
		return "", errors.New("the response of GitHub is not the expected JSON")
	}
	return response.Value, nil
}
