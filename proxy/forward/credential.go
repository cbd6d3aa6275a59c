package forward

import (
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/oauth2"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

// bearer says who the proxy is with its token, as client-go's wrapper does. That one copies
// all headers first, and lets a credential that is there already stand: ours were made for this
// one request, and only the proxy's own credential may go this way.
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

// credential makes requests say who the proxy is, as a configuration has it: with a token,
// which is read again when it is in a file, or in another way, by client-go.
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
		return nil, errors.New("there is a token and a user's name: which of them?")
	}
	if _, err := source.Token(); err != nil {
		return nil, fmt.Errorf("reading token: %w", err)
	}
	return &bearerRoundTripper{source, next}, nil
}
