package forward

import (
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/oauth2"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

// bearerRoundTripper sets the proxy's token as the Authorization header. It differs from client-go's
// wrapper in two ways: it does not copy the headers, which were made for this request, and it
// replaces an Authorization header that is already there.
type bearerRoundTripper struct {
	source oauth2.TokenSource
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bearerRoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.source.Token()
	if err != nil {
		return nil, fmt.Errorf("reading the proxy's token: %w", err)
	}
	r.Header["Authorization"] = []string{"Bearer " + token.AccessToken}
	return b.next.RoundTrip(r)
}

// withCredential returns a transport that authenticates the proxy as cfg says. It sets a token
// itself, and reads it again if it is in a file. client-go sets every other kind of credential.
func withCredential(cfg *rest.Config, base http.RoundTripper) (http.RoundTripper, error) {
	others := rest.CopyConfig(cfg)
	others.BearerToken, others.BearerTokenFile = "", ""
	next, err := rest.HTTPWrappersForConfig(others, base)
	if err != nil {
		return nil, err
	}
	var source oauth2.TokenSource
	switch {
	case cfg.BearerTokenFile != "":
		source = transport.NewCachedFileTokenSource(cfg.BearerTokenFile)
	case cfg.BearerToken != "":
		source = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: cfg.BearerToken})
	default:
		return next, nil
	}
	if cfg.Username != "" {
		return nil, errors.New("the configuration has both a token and a user name: remove one of them")
	}
	if _, err := source.Token(); err != nil {
		return nil, fmt.Errorf("reading the proxy's token: %w", err)
	}
	return &bearerRoundTripper{source, next}, nil
}
