package saml

import (
	"encoding/xml"
	"errors"
	"strings"

	samllib "github.com/crewjam/saml"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
)

// refused returns the error of a response that can't be accepted. Anyone can post one,
// so it never changes the connector's health.
func refused(cause error, reason, remedy string) *connectors.Error {
	e := connectors.NewError(connectors.OutcomeUnusableIdentity, cause, reason, remedy)
	e.Unverified = true
	return e
}

// outline is what an error reads from a response for its text.
type outline struct {
	XMLName    xml.Name   `xml:"urn:oasis:names:tc:SAML:2.0:protocol Response"`
	Issuer     string     `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
	Signatures []struct{} `xml:"http://www.w3.org/2000/09/xmldsig# Signature"`
	Encrypted  []struct{} `xml:"urn:oasis:names:tc:SAML:2.0:assertion EncryptedAssertion"`
	Status     struct {
		Code struct {
			Value string `xml:"Value,attr"`
			Code  struct {
				Value string `xml:"Value,attr"`
			} `xml:"urn:oasis:names:tc:SAML:2.0:protocol StatusCode"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:protocol StatusCode"`
		Message struct {
			Text string `xml:",chardata"`
			// Value is where Auth0 writes the text.
			Value string `xml:"Value,attr"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:protocol StatusMessage"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:protocol Status"`
}

// classify turns an error of the library into one with an outcome.
func (c *connector) classify(raw []byte, err error) error {
	var said outline
	if xml.Unmarshal(raw, &said) != nil { //nolint:gosec // it is read for the text of an error only
		return refused(err, "The provider's response is not readable.", "Sign in again. If it happens to everyone, compare the provider's settings with the connector's.")
	}
	if invalid, ok := errors.AsType[*samllib.InvalidResponseError](err); ok {
		err = invalid.PrivateErr // its own text says only that the sign-in failed
	}
	signed := len(said.Signatures) > 0
	if _, ok := errors.AsType[samllib.ErrBadStatus](err); ok {
		return statusError(&said, signed)
	}
	if errors.Is(err, samllib.ErrDecryptionFailed) || len(said.Encrypted) > 0 && !signed && !verified(err) {
		return c.unreadable(err)
	}
	for _, k := range kinds() {
		if errors.Is(err, k.is) && (k.and == nil || errors.Is(err, k.and)) {
			return k.refuse(c, &said, err)
		}
	}
	return refused(err, "Neither the response nor the assertion is signed.", "Let the provider sign one of them.")
}

// unreadable is the one text for everything that can be wrong with an encrypted
// assertion before its signature is verified. More detail would help an attacker who
// changes the ciphertext to learn what is in it (Jager and Somorovsky, 2011).
func (c *connector) unreadable(cause error) error {
	remedy := "Give the provider the certificate in this connector's SP metadata, and let it sign the response or the assertion."
	if c.settings.KeyPair.Empty() {
		remedy = "Generate a key pair in the connector's settings, or let the provider send the assertion unencrypted."
	}
	return refused(cause, "The encrypted assertion can't be read.", remedy)
}

// verified reports whether the library found the fault after it had verified the
// signature.
func verified(err error) bool {
	for _, after := range []error{
		samllib.ErrExpired, samllib.ErrNotYetValid, samllib.ErrIssuerMismatch, samllib.ErrDestinationMismatch, samllib.ErrRequestIDMismatch, samllib.ErrAudienceMismatch,
		samllib.ErrMissingElement, samllib.ErrAssertionReplayed,
	} {
		if errors.Is(err, after) {
			return true
		}
	}
	return errors.Is(err, samllib.ErrUnsupported) && !errors.Is(err, samllib.ErrInvalidSignature)
}

// kind is a kind of error of the library with its text.
type kind struct {
	// is, and and if set, must match.
	is, and        error
	reason, remedy string
	// show adds what the connector expects or what the response says.
	show func(c *connector, said *outline) string
}

func (k *kind) refuse(c *connector, said *outline, cause error) error {
	if errors.Is(cause, samllib.ErrAssertionReplayed) {
		return connectors.NewError(connectors.OutcomeSignInAgain, cause, k.reason, connectors.SignInAgain)
	}
	reason := k.reason
	if k.show != nil {
		reason = strings.TrimSuffix(reason, ".") + " (" + kubenames.SanitizeLine(k.show(c, said), kubenames.MaxLength) + ")."
	}
	return refused(cause, reason, k.remedy)
}

// kinds are tried in this order.
func kinds() []kind {
	const clocks = "Sign in again. If it happens to everyone, compare the clocks of the provider and of this server."
	return []kind{
		{is: samllib.ErrAssertionReplayed, reason: "The provider's response has been used before."},
		{is: samllib.ErrCertificateNotValidNow, reason: "The certificate that signed the response has ended.", remedy: "Paste the provider's new signing certificate into the connector's settings."},
		{is: samllib.ErrUntrustedCertificate, reason: "The response is signed with a certificate that the connector does not have.", remedy: "Paste the provider's current signing certificate into the connector's settings."},
		{is: samllib.ErrInvalidSignature, and: samllib.ErrUnsupported, reason: "The response is signed with SHA-1.", remedy: "Let the provider sign with SHA-256."},
		{is: samllib.ErrInvalidSignature, reason: "The signature of the response is not valid.", remedy: "Paste the provider's current signing certificate into the connector's settings."},
		{is: samllib.ErrExpired, reason: "The provider's response has expired.", remedy: clocks},
		{is: samllib.ErrNotYetValid, reason: "The provider's response is not valid yet.", remedy: clocks},
		{
			is: samllib.ErrIssuerMismatch, reason: "The response comes from another issuer.", remedy: "Enter the provider's Entity ID as the IdP issuer.",
			show: func(_ *connector, said *outline) string { return "it says " + strings.TrimSpace(said.Issuer) },
		},
		{
			is: samllib.ErrDestinationMismatch, reason: "The response is for another address.", remedy: "Enter this connector's ACS URL at the provider.",
			show: func(c *connector, _ *outline) string { return "the ACS URL is " + c.sp.AcsURL.String() },
		},
		{
			is: samllib.ErrAudienceMismatch, reason: "The response is for another service provider.", remedy: "Enter this connector's SP entity ID at the provider.",
			show: func(c *connector, _ *outline) string { return "the SP entity ID is " + c.sp.EntityID },
		},
		{is: samllib.ErrRequestIDMismatch, reason: "The response is not for this sign-in.", remedy: "Start the sign-in here, not at the provider."},
		{is: samllib.ErrMissingElement, reason: "The response lacks something that a sign-in needs.", remedy: "Let the provider send a NameID, our SP entity ID as the audience, and an authentication statement."},
		{is: samllib.ErrUnsupported, reason: "The response has a condition that this server does not know.", remedy: "Switch off special conditions at the provider."},
		{is: samllib.ErrMalformedMessage, reason: "The provider's response is not readable.", remedy: "Sign in again. If it happens to everyone, compare the provider's settings with the connector's."},
	}
}

// statusPrefix begins the status codes of SAML 2.0 core, section 3.2.2.2.
const statusPrefix = "urn:oasis:names:tc:SAML:2.0:status:"

// statusError returns the error of a response whose status is no success.
func statusError(said *outline, signed bool) error {
	top, second := strings.TrimPrefix(said.Status.Code.Value, statusPrefix), strings.TrimPrefix(said.Status.Code.Code.Value, statusPrefix)
	code := second
	if code == "" {
		code = top
	}
	e := statusOutcome(top, second)
	e.Code, e.Description = kubenames.SanitizeLine(code, maxCode), kubenames.SanitizeLine(strings.Join(strings.Fields(said.Status.Message.Text+" "+said.Status.Message.Value), " "), maxMessage)
	e.Unverified = !signed
	return e
}

// maxCode and maxMessage bound what is kept of a provider's own words, in characters.
const maxCode, maxMessage = 60, 300

func statusOutcome(top, second string) *connectors.Error {
	switch second {
	case "AuthnFailed", "NoPassive", "NoAuthnContext":
		return connectors.NewError(connectors.OutcomeSignInAgain, nil, "The provider could not authenticate the user.", connectors.SignInAgain)
	case "RequestDenied", "UnknownPrincipal":
		return connectors.NewError(connectors.OutcomeDenied, nil, "The provider refuses this account.", "")
	case "InvalidNameIDPolicy":
		return connectors.NewError(connectors.OutcomeMisconfigured, nil, "The provider can't send a NameID of the format that the connector asks for.", "Choose another NameID format in the connector's settings, or a user ID attribute.")
	}
	if top == "Responder" && second == "" || second == "PartialLogout" || second == "ProxyCountExceeded" {
		return connectors.NewError(connectors.OutcomeUnavailable, nil, "The provider reports an error of its own.", "Look into the provider's log.")
	}
	return connectors.NewError(connectors.OutcomeMisconfigured, nil, "The provider refuses the request of this server.", "Compare the ACS URL and the SP entity ID at the provider with the connector's, and look into the provider's log.")
}
