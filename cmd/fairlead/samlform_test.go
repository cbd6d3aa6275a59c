package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/saml"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
)

// sampleKeyPair is a key pair of a SAML connector.
func sampleKeyPair() string {
	for _, f := range saml.Type().Fillers {
		if f.Name != "keys" {
			continue
		}
		made, err := f.Fill(context.Background(), connectors.Env{Now: time.Now}, "", nil)
		if err != nil {
			panic(err)
		}
		text, _ := made["keyPair"].(string)
		return text
	}
	panic("there is no filler for keys")
}

// TestSAMLFormIsFilledIn fills in the form from the provider's metadata, generates a key pair and saves. The provider
// finds the certificate in our metadata, and no page shows the key.
func TestSAMLFormIsFilledIn(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	root, cookie := s.person("break-glass", "root", time.Now().Add(time.Hour))
	certificate := fakesaml.New(t, time.Now().AddDate(1, 0, 0)).Certificate()
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		lines := strings.Split(strings.TrimSpace(certificate), "\n")
		fmt.Fprintf(w, `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.test/metadata"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<KeyDescriptor><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.test/sso"/></IDPSSODescriptor></EntityDescriptor>`, strings.Join(lines[1:len(lines)-1], ""))
	}))
	t.Cleanup(metadata.Close)
	const address = "/admin/connectors/new?type=saml"
	values := controls(read(t, s.ask(http.MethodGet, address, cookie, "", "same-origin")))
	values.Set("id", "corp")
	values.Set("config.usernameAttr", "name")

	// 1. From metadata, with a wrong address first.
	values.Set("do", "fill:metadata")
	values.Set("fill.metadata", metadata.URL+"\n")
	for _, wrong := range []string{"idp.example.test", "<html></html>"} {
		values.Set("fill.metadata", wrong)
		if w := s.post(address, cookie, values); w.Code != http.StatusUnprocessableEntity || read(t, w).Find("#problems").Length() != 1 {
			t.Errorf("%s: %d", wrong, w.Code)
		}
	}
	values.Set("fill.metadata", metadata.URL)
	page := read(t, s.post(address, cookie, values))
	values = controls(page)
	if got := page.Find("#filled").Length(); got != 1 || values.Get("config.ssoURL") != "https://idp.example.test/sso" || values.Get("config.ssoIssuer") != "https://idp.example.test/metadata" || !strings.Contains(values.Get("config.certificates"), "BEGIN CERTIFICATE") || values.Get("config.usernameAttr") != "name" {
		t.Fatalf("%v\n%s", values, page.Find("main").Text())
	}

	// 2. A key pair, which only the sealed field carries on.
	values.Set("do", "fill:keys")
	w := s.post(address, cookie, values)
	if strings.Contains(w.Body.String(), "PRIVATE KEY") {
		t.Error("the page shows the key")
	}
	values = controls(read(t, w))
	values.Set("do", "save")
	if w := s.post(address, cookie, values); w.Code != http.StatusSeeOther {
		t.Fatalf("saving: %d %s", w.Code, read(t, w).Find("#problems").Text())
	}
	key := func() string {
		item, err := s.provider.Admin.Entry(t.Context(), admin.Caller{User: root}, settings.Connectors, "corp")
		if err != nil {
			t.Fatal(err)
		}
		return s.ask(http.MethodGet, "/callback/corp/metadata", "", "", "").Body.String() + item.Doc.Text("config.keyPair")
	}
	first := key()
	if !strings.Contains(first, `use="encryption"`) || !strings.Contains(first, "X509Certificate") {
		t.Errorf("no certificate in %s", first)
	}
	if saved := s.ask(http.MethodGet, "/admin/connectors/corp", cookie, "", "same-origin").Body.String(); strings.Contains(saved, "PRIVATE KEY") || !strings.Contains(saved, "/callback/corp/metadata") {
		t.Error("the page shows the key, or not where our metadata is")
	}

	// 3. Another one takes its place when it is saved.
	values = controls(read(t, s.ask(http.MethodGet, "/admin/connectors/corp", cookie, "", "same-origin")))
	values.Set("do", "fill:keys")
	values = controls(read(t, s.post("/admin/connectors/corp", cookie, values)))
	if key() != first {
		t.Error("generating a key pair has saved it")
	}
	values.Set("do", "save")
	if w := s.post("/admin/connectors/corp", cookie, values); w.Code != http.StatusSeeOther || key() == first {
		t.Errorf("saving again: %d", w.Code)
	}
	if strings.Contains(s.out.String(), "PRIVATE KEY") {
		t.Error("the log has the key")
	}
}
