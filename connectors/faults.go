package connectors

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Faults collects the problems that are there.
func Faults(found ...*Problem) []Problem {
	var list []Problem
	for _, p := range found {
		if p != nil {
			list = append(list, *p)
		}
	}
	return list
}

// Missing returns a problem if value is empty. what says what to enter.
func Missing(field, value, what string) *Problem {
	if value != "" {
		return nil
	}
	return &Problem{Field: field, Message: "must not be empty. " + what}
}

// NoneOf returns a problem if a list is empty. what says what to enter.
func NoneOf(field string, list []string, what string) *Problem {
	return Missing(field, strings.Join(list, "\n"), what)
}

// Address returns a problem unless value is empty or an https address. It allows http on loopback only, because the
// connector sends secrets to the address.
func Address(field, value, example string) *Problem {
	u, err := url.Parse(value)
	if value == "" || err == nil && u.Host != "" && u.User == nil && u.Fragment == "" && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil
	}
	return &Problem{Field: field, Message: fmt.Sprintf("must be an https address such as %s, not %q", example, value)}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// NoDisplayName returns a problem if a user name comes from a display name, which users may choose. More are names of
// display names besides displayName.
func NoDisplayName(field, path string, more ...string) *Problem {
	last := path[strings.LastIndexAny(path, "./")+1:]
	plain := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(last))
	if plain != "displayname" && !slices.Contains(more, strings.TrimPrefix(path, "/")) {
		return nil
	}
	return &Problem{Field: field, Message: "must not be the display name, because users may choose it freely. Name one that only admins change"}
}

// Certificate returns a problem unless value is empty or holds certificates in PEM format.
func Certificate(field, value string) *Problem {
	if value == "" || x509.NewCertPool().AppendCertsFromPEM([]byte(value)) {
		return nil
	}
	return &Problem{Field: field, Message: "must be a certificate in PEM format. Paste it from the line BEGIN CERTIFICATE on"}
}

// Date returns a problem unless value is empty or a date.
func Date(field, value string) *Problem {
	if _, err := time.Parse(time.DateOnly, value); value == "" || err == nil {
		return nil
	}
	return &Problem{Field: field, Message: fmt.Sprintf("must be a date such as 2027-05-31, not %q", value)}
}

// OneOf returns a problem unless value is one of the choices.
func OneOf(field, value string, choices ...string) *Problem {
	if slices.Contains(choices, value) {
		return nil
	}
	return &Problem{Field: field, Message: fmt.Sprintf("must be one of %s, not %q", strings.Join(choices[1:], ", "), value)}
}
