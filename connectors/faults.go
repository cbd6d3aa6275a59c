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

// Missing is a problem when value is empty. what says what to write.
func Missing(field, value, what string) *Problem {
	if value != "" {
		return nil
	}
	return &Problem{Field: field, Message: "is missing: " + what}
}

// NoneOf is a problem when a list is empty. what says what to write.
func NoneOf(field string, list []string, what string) *Problem {
	return Missing(field, strings.Join(list, "\n"), what)
}

// Address is a problem when value is neither empty nor an https address. Plain
// http is for loopback only: secrets travel there.
func Address(field, value, example string) *Problem {
	u, err := url.Parse(value)
	if value == "" || err == nil && u.Host != "" && u.User == nil && u.Fragment == "" && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil
	}
	return &Problem{Field: field, Message: fmt.Sprintf("want an https address such as %s, got %q", example, value)}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Certificate is a problem when value is neither empty nor PEM certificates.
func Certificate(field, value string) *Problem {
	if value == "" || x509.NewCertPool().AppendCertsFromPEM([]byte(value)) {
		return nil
	}
	return &Problem{Field: field, Message: "holds no certificate in PEM form"}
}

// Date is a problem when value is neither empty nor a day.
func Date(field, value string) *Problem {
	if _, err := time.Parse(time.DateOnly, value); value == "" || err == nil {
		return nil
	}
	return &Problem{Field: field, Message: fmt.Sprintf("want a date such as 2027-05-31, got %q", value)}
}

// OneOf is a problem when value is none of the choices.
func OneOf(field, value string, choices ...string) *Problem {
	if slices.Contains(choices, value) {
		return nil
	}
	return &Problem{Field: field, Message: fmt.Sprintf("want one of %s, got %q", strings.Join(choices[1:], ", "), value)}
}
