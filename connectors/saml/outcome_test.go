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

func setStatus(response *etree.Element, top, second string) {
	const prefix = "urn:oasis:names:tc:SAML:2.0:status:"
	code := response.FindElement("./Status/StatusCode")
	code.CreateAttr("Value", prefix+top)
	if second != "" {
		code.CreateElement("samlp:StatusCode").CreateAttr("Value", prefix+second)
	}
	response.FindElement("./Status").CreateElement("samlp:StatusMessage").SetText("A \u202etext of\nthe provider.")
}
