package saml_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
)

const (
	entityStart = `<?xml version="1.0" encoding="UTF-8"?><EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" ID="_m" entityID="https://idp.example.test/metadata">`
	idpStart    = `<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">`
	endpoints   = `<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.test/redirect"/><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.test/sso"/>`
	end         = `</IDPSSODescriptor></EntityDescriptor>`
)

func descriptor(use, certificate string) string {
	return fmt.Sprintf(`<KeyDescriptor%s><ds:KeyInfo><ds:X509Data><ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data></ds:KeyInfo></KeyDescriptor>`, use, certificate)
}

func format(name string) string {
	return "<NameIDFormat>urn:oasis:names:tc:SAML:" + name + "</NameIDFormat>"
}

func TestMetadataFillsTheForm(t *testing.T) {
	t.Parallel()
	next := time.Now().AddDate(1, 0, 0)
	a, b := fakesaml.New(t, next).Certificate(), fakesaml.New(t, next).Certificate()
	signing := descriptor(` use="signing"`, bare(a))
	persistent, address, transient := format("2.0:nameid-format:persistent"), format("1.1:nameid-format:emailAddress"), format("2.0:nameid-format:transient")
	// Microsoft describes WS-Federation in the same document, and signs it.
	federation := `<RoleDescriptor xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706" xsi:type="fed:SecurityTokenServiceType" protocolSupportEnumeration="http://docs.oasis-open.org/wsfed/federation/200706"><fed:ClaimTypesOffered/></RoleDescriptor>`
	for name, c := range map[string]struct {
		text, certificates string
		format             any
	}{
		"Okta":          {entityStart + idpStart + signing + address + endpoints + end, a, "emailAddress"},
		"Entra, AD FS":  {"\ufeff" + entityStart + federation + idpStart + signing + descriptor(` use="signing"`, "\n"+bare(b)+"\n") + persistent + address + transient + endpoints + end, a + b, nil},
		"Keycloak":      {`<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + strings.TrimPrefix(entityStart, `<?xml version="1.0" encoding="UTF-8"?>`) + idpStart + signing + persistent + endpoints + end + `</EntitiesDescriptor>`, a, nil},
		"Shibboleth":    {entityStart + idpStart + signing + descriptor(` use="encryption"`, bare(b)) + signing + transient + endpoints + end, a, nil},
		"a key for all": {entityStart + idpStart + descriptor("", bare(a)) + endpoints + end, a, nil},
	} {
		got, err := filler(t, "metadata").Fill(t.Context(), connectortest.Env(nil), c.text, nil)
		want := map[string]any{"ssoURL": "https://idp.example.test/sso", "ssoIssuer": "https://idp.example.test/metadata", "certificates": c.certificates, "nameIDFormat": c.format}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	one := strings.TrimPrefix(entityStart, `<?xml version="1.0" encoding="UTF-8"?>`) + idpStart + signing + endpoints + end
	for name, c := range map[string]struct{ text, says string }{
		"nothing":            {"", "neither metadata nor an https address"},
		"plain http":         {"http://idp.example.test/metadata", "neither metadata nor an https address"},
		"a web page":         {"<html><body>Sign in</body></html>", "not SAML metadata"},
		"a document type":    {`<!DOCTYPE x [<!ENTITY e "x">]>` + one, "not SAML metadata"},
		"too long":           {one + "<!--" + strings.Repeat(" ", 1<<20) + "-->", "not SAML metadata"},
		"two providers":      {`<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + one + one + `</EntitiesDescriptor>`, "2 identity providers"},
		"an application":     {entityStart + `<SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></EntityDescriptor>`, "no identity provider"},
		"no certificate":     {entityStart + idpStart + endpoints + end, "no signing certificate"},
		"a bad certificate":  {entityStart + idpStart + descriptor("", "AAAA") + endpoints + end, "no signing certificate"},
		"only HTTP redirect": {entityStart + idpStart + signing + end, "HTTP POST"},
	} {
		if got, err := filler(t, "metadata").Fill(t.Context(), connectortest.Env(nil), c.text, nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v %v, want %q", name, got, err, c.says)
		}
	}
}

// answering answers every request.
type answering struct {
	status int
	body   string
}

// RoundTrip implements http.RoundTripper.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Status: http.StatusText(a.status), Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func TestMetadataFromAnAddress(t *testing.T) {
	t.Parallel()
	a := fakesaml.New(t, time.Now().AddDate(1, 0, 0)).Certificate()
	good := entityStart + idpStart + descriptor("", bare(a)) + endpoints + end
	const address = "https://idp.example.test/federationmetadata.xml"
	got, err := filler(t, "metadata").Fill(t.Context(), connectortest.Env(answering{http.StatusOK, good}), "  "+address+"\n", nil)
	if err != nil || got["ssoIssuer"] != "https://idp.example.test/metadata" {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []answering{{http.StatusNotFound, good}, {http.StatusOK, "<html></html>"}, {http.StatusOK, strings.Repeat("<", 2<<20)}} {
		if got, err := filler(t, "metadata").Fill(t.Context(), connectortest.Env(bad), address, nil); err == nil {
			t.Errorf("%d %.20s: %v", bad.status, bad.body, got)
		}
	}
}

func TestOurMetadata(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	cfg := config(p)
	cfg.KeyPair = secret.NewValue(p.KeyPair())
	cfg.EntityIssuer = "urn:fairlead"
	kind, text, err := cfg.Describe(connectortest.Env(nil))
	if err != nil || kind != "application/samlmetadata+xml" {
		t.Fatal(kind, err)
	}
	for _, want := range []string{`entityID="urn:fairlead"`, `Location="` + connectortest.Callback + `"`, "bindings:HTTP-POST", `use="encryption"`, bare(p.Certificate()), "nameid-format:persistent", `WantAssertionsSigned="true"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Contains(string(text), "Artifact") || strings.Contains(string(text), "PRIVATE") {
		t.Errorf("%s", text)
	}
}
