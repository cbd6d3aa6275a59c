package saml_test

import (
	"errors"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
)

// TestStatusCodes checks what each status code of SAML 2.0 core, section 3.2.2.2, does.
// Without a signature anyone could have made it, so it does not change the health.
func TestStatusCodes(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	for _, c := range []struct {
		top, second string
		want        connectors.Outcome
	}{
		{"Responder", "", connectors.OutcomeUnavailable},
		{"Responder", "AuthnFailed", connectors.OutcomeSignInAgain},
		{"Requester", "AuthnFailed", connectors.OutcomeSignInAgain},
		{"Responder", "NoPassive", connectors.OutcomeSignInAgain},
		{"Requester", "NoAuthnContext", connectors.OutcomeSignInAgain},
		{"Responder", "RequestDenied", connectors.OutcomeDenied},
		{"Requester", "RequestDenied", connectors.OutcomeDenied},
		{"Responder", "UnknownPrincipal", connectors.OutcomeDenied},
		{"Requester", "", connectors.OutcomeMisconfigured},
		{"Requester", "InvalidNameIDPolicy", connectors.OutcomeMisconfigured},
		{"Responder", "InvalidNameIDPolicy", connectors.OutcomeMisconfigured},
		{"Requester", "RequestUnsupported", connectors.OutcomeMisconfigured},
		{"Requester", "UnsupportedBinding", connectors.OutcomeMisconfigured},
		{"Responder", "NoAvailableIDP", connectors.OutcomeMisconfigured},
		{"VersionMismatch", "RequestVersionTooHigh", connectors.OutcomeMisconfigured},
		{"", "", connectors.OutcomeMisconfigured},
	} {
		for _, signed := range []bool{true, false} {
			b := begin(t, p)
			response := fakesaml.Jane(b.request, connectortest.Callback, time.Now()).Response()
			setStatus(response, c.top, c.second)
			if signed {
				response = p.Sign(t, response)
			}
			_, err := b.answer(t, response)
			e, ok := errors.AsType[*connectors.Error](err)
			if !ok || e.Outcome != c.want || e.Unverified == signed || e.Reason == "" || e.Remedy == "" && c.want != connectors.OutcomeDenied {
				t.Errorf("%s/%s, signed %v: %+v, want %s", c.top, c.second, signed, e, c.want)
			}
			if ok && e.Description != "A text of the provider." {
				t.Errorf("%s/%s: the provider's text is %q", c.top, c.second, e.Description)
			}
		}
	}
}

// TestForgedStatus: a signature that is there and not the provider's proves nothing. The response is refused before its
// status counts, and the connector stays healthy.
func TestForgedStatus(t *testing.T) {
	t.Parallel()
	p, stranger := fakesaml.New(t, time.Now().AddDate(1, 0, 0)), fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	for name, forge := range map[string]func(*etree.Element) *etree.Element{
		"a stranger's": func(response *etree.Element) *etree.Element { return stranger.Sign(t, response) },
		"an empty one": func(response *etree.Element) *etree.Element {
			response.CreateElement("ds:Signature").CreateAttr("xmlns:ds", "http://www.w3.org/2000/09/xmldsig#")
			return response
		},
		"two": func(response *etree.Element) *etree.Element {
			signed := p.Sign(t, response)
			signed.AddChild(signed.FindElement("./Signature").Copy())
			return signed
		},
	} {
		b := begin(t, p)
		response := fakesaml.Jane(b.request, connectortest.Callback, time.Now()).Response()
		setStatus(response, "Requester", "InvalidNameIDPolicy")
		_, err := b.answer(t, forge(response))
		if err == nil || !connectors.Unverified(err) {
			t.Errorf("%s: %v counts for the connector", name, err)
		}
	}
}

func setStatus(response *etree.Element, top, second string) {
	const prefix = "urn:oasis:names:tc:SAML:2.0:status:"
	code := response.FindElement("./Status/StatusCode")
	code.CreateAttr("Value", prefix+top)
	if second != "" {
		code.CreateElement("samlp:StatusCode").CreateAttr("Value", prefix+second)
	}
	response.FindElement("./Status").CreateElement("samlp:StatusMessage").SetText("A \u202etext of\nthe provider.")
}
