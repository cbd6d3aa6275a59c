package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/fairlead-auth/fairlead/connectors"
)

// FaultError is an error with a message for users and a remedy.
type FaultError struct{ Cause, Remedy string }

// Error implements error.
func (f *FaultError) Error() string { return f.Cause + " " + f.Remedy }

// Explain returns a message for users about an error, and what to change.
func Explain(err error) (cause, remedy string) {
	if fault, ok := errors.AsType[*FaultError](err); ok {
		return fault.Cause, fault.Remedy
	}
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		return e.Reason, e.Remedy
	}
	if cause, remedy = explainTLS(err); cause != "" {
		return cause, remedy
	}
	if cause, remedy = explainNet(err); cause != "" {
		return cause, remedy
	}
	if cause, remedy = explainOAuth(err.Error()); cause != "" {
		return cause, remedy
	}
	return short(err), "Look at the log of this server for more."
}

// explainOAuth finds the error code of a token endpoint in the text of an error (RFC 6749 section 5.2). Dex's
// connectors keep only the text.
func explainOAuth(text string) (cause, remedy string) {
	_, code, found := strings.Cut(text, `oauth2: "`)
	code, _, _ = strings.Cut(code, `"`)
	if _, status, failed := strings.Cut(text, "oauth2: cannot fetch token: "); failed {
		status, _, _ = strings.Cut(status, "\n")
		return "The token endpoint answered " + status + ".", tokenRemedy
	}
	switch {
	case !found:
		return "", ""
	case refusesClient(code):
		return "The provider refused the client (" + code + ").", "Copy the client’s ID and secret again. Most providers show a secret once: make a new one when in doubt."
	case code == "redirect_uri_mismatch":
		return "The provider does not know the callback address.", "Paste it there exactly, as the first step says."
	case code == "invalid_grant":
		return "The provider did not take its own code back (invalid_grant).", "Start again: a code is good once and for some minutes. If it stays so, check this server’s clock and the callback address."
	}
	return "The token endpoint answered " + code + ".", tokenRemedy
}

const tokenRemedy = "Check the address of the token endpoint, and the kind of client."

// refusesClient reports whether the code means a wrong client ID or secret.
func refusesClient(code string) bool {
	return code == "invalid_client" || code == "incorrect_client_credentials" || code == "unauthorized_client"
}

func explainTLS(err error) (cause, remedy string) {
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		by := ""
		if unknown.Cert != nil && unknown.Cert.Issuer.CommonName != "" {
			by = " (" + unknown.Cert.Issuer.CommonName + ")"
		}
		return "The certificate is signed by an authority that is not trusted here" + by + ".", "Paste that authority’s certificate into the field for the CA certificate."
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("The certificate is for %s and not for %s.", strings.Join(wrong.Certificate.DNSNames, ", "), wrong.Host), "Use a name that is in the certificate, or have the certificate made for this one."
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if invalid.Reason == x509.Expired {
			return fmt.Sprintf("The certificate is good from %s to %s.", invalid.Cert.NotBefore.Format("2 Jan 2006"), invalid.Cert.NotAfter.Format("2 Jan 2006")), "Have it renewed, or set this server’s clock."
		}
		return "The certificate may not be used for a server.", "Have another one made."
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "There is no TLS at this port.", "Use StartTLS, or the port that speaks TLS."
	}
	if strings.Contains(err.Error(), "signed by unknown authority") { // some libraries keep the text alone
		return explainTLS(x509.UnknownAuthorityError{})
	}
	if strings.Contains(err.Error(), "tls: ") {
		return "The TLS handshake failed: " + after(err, "tls: ") + ".", "Check which TLS versions the server allows: 1.2 or newer is needed."
	}
	return "", ""
}

func explainNet(err error) (cause, remedy string) {
	if unknown, ok := errors.AsType[*net.DNSError](err); ok {
		if unknown.IsNotFound {
			return fmt.Sprintf("There is no host %q.", unknown.Name), "Check the spelling, and that this server uses the right name servers."
		}
		return fmt.Sprintf("The name servers did not answer for %q.", unknown.Name), "Check this server’s name servers, and try again."
	}
	timeout := errors.Is(err, context.DeadlineExceeded)
	if fault, ok := errors.AsType[net.Error](err); ok {
		timeout = timeout || fault.Timeout()
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Nothing listens there: the connection was refused.", "Check the port, and that the service runs."
	case timeout:
		return "There was no answer in time.", "Check the address, and that firewalls let this server through."
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "The network has no way there.", "Check the address and this server’s routes."
	case errors.Is(err, syscall.ECONNRESET), strings.HasSuffix(err.Error(), "EOF"):
		return "The connection was cut.", "Check that the port speaks this protocol (https 443, LDAPS 636, StartTLS 389), and that no proxy is in between."
	}
	return "", ""
}

func after(err error, marker string) string {
	_, rest, _ := strings.Cut(err.Error(), marker)
	return rest
}

const maxCause = 300

func short(err error) string {
	text := err.Error()
	if len(text) > maxCause {
		text = text[:maxCause] + "…"
	}
	return text
}
