package oauth

import (
	"net/url"
	"strings"
)

// RedirectURL adds parameters to a validated redirect URI and keeps the query of the URI. It leaves out empty
// parameters.
func RedirectURL(uri string, params map[string]string) string {
	q := url.Values{}
	for name, value := range params {
		if value != "" {
			q.Set(name, value)
		}
	}
	switch {
	case len(q) == 0:
		return uri
	case strings.Contains(uri, "?"):
		return strings.TrimSuffix(uri, "&") + "&" + q.Encode()
	}
	return uri + "?" + q.Encode()
}

// Params returns the error as parameters of an authorization response (RFC 6749 section 4.1.2.1).
func (e *Error) Params() map[string]string {
	return map[string]string{"error": string(e.Code), "error_description": printable(e.Description)}
}
