// Package fakesaml is a SAML 2.0 identity provider for tests. It signs its responses
// with a real key, and builds the responses of an attacker.
package fakesaml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"html/template"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Issuer is the provider's entity id.
const Issuer = "https://idp.example.test/metadata"

// Provider signs answers.
type Provider struct {
	key  *rsa.PrivateKey
	cert []byte
}

var _ dsig.X509KeyStore = (*Provider)(nil)

// New makes a provider with a key of its own, good until ends.
func New(t testing.TB, ends time.Time) *Provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp.example.test"}, NotBefore: ends.AddDate(-1, 0, 0), NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &Provider{key: key, cert: cert}
}

// GetKeyPair implements dsig.X509KeyStore.
func (p *Provider) GetKeyPair() (*rsa.PrivateKey, []byte, error) { return p.key, p.cert, nil }

// Certificate is what relying parties check signatures with, in PEM form.
func (p *Provider) Certificate() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert}))
}

// KeyPair is the key and its certificate, in PEM form. A relying party may have it as
// its own.
func (p *Provider) KeyPair() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(p.key)})) + p.Certificate()
}

// Answer is a SAML response of the provider about one user.
type Answer struct {
	// InResponseTo is the id of the request; Recipient where the answer goes.
	InResponseTo, Recipient, Audience string
	NameID, Issuer                    string
	Attributes                        map[string][]string
	Now                               time.Time
	// Life is how long the assertion is good; negative ones have ended.
	Life time.Duration
}

// Jane is a good answer.
func Jane(request, recipient string, now time.Time) Answer {
	return Answer{
		InResponseTo: request, Recipient: recipient, Audience: recipient, NameID: "id-42", Issuer: Issuer, Now: now, Life: 5 * time.Minute,
		Attributes: map[string][]string{"name": {"jane"}, "email": {"jane@example.test"}, "groups": {"platform", "developers"}},
	}
}

// Assertion builds the assertion, without a signature.
func (a Answer) Assertion(id string) *etree.Element {
	at := func(d time.Duration) string { return a.Now.Add(d).UTC().Format("2006-01-02T15:04:05.000Z") }
	e := etree.NewElement("saml:Assertion")
	e.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
	e.CreateAttr("ID", id)
	e.CreateAttr("Version", "2.0")
	e.CreateAttr("IssueInstant", at(0))
	e.CreateElement("saml:Issuer").SetText(a.Issuer)
	subject := e.CreateElement("saml:Subject")
	name := subject.CreateElement("saml:NameID")
	name.CreateAttr("Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent")
	name.SetText(a.NameID)
	confirmation := subject.CreateElement("saml:SubjectConfirmation")
	confirmation.CreateAttr("Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer")
	data := confirmation.CreateElement("saml:SubjectConfirmationData")
	data.CreateAttr("NotOnOrAfter", at(a.Life))
	data.CreateAttr("Recipient", a.Recipient)
	data.CreateAttr("InResponseTo", a.InResponseTo)
	conditions := e.CreateElement("saml:Conditions")
	conditions.CreateAttr("NotBefore", at(-10*time.Minute))
	conditions.CreateAttr("NotOnOrAfter", at(a.Life))
	conditions.CreateElement("saml:AudienceRestriction").CreateElement("saml:Audience").SetText(a.Audience)
	authn := e.CreateElement("saml:AuthnStatement")
	authn.CreateAttr("AuthnInstant", at(0))
	authn.CreateElement("saml:AuthnContext").CreateElement("saml:AuthnContextClassRef").SetText("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport")
	statement := e.CreateElement("saml:AttributeStatement")
	for _, key := range []string{"name", "email", "groups"} {
		attribute := statement.CreateElement("saml:Attribute")
		attribute.CreateAttr("Name", key)
		for _, value := range a.Attributes[key] {
			attribute.CreateElement("saml:AttributeValue").SetText(value)
		}
	}
	return e
}

// Response puts assertions into a response, without a signature.
func (a Answer) Response(assertions ...*etree.Element) *etree.Element {
	e := etree.NewElement("samlp:Response")
	e.CreateAttr("xmlns:samlp", "urn:oasis:names:tc:SAML:2.0:protocol")
	e.CreateAttr("ID", "_response")
	e.CreateAttr("Version", "2.0")
	e.CreateAttr("IssueInstant", a.Now.UTC().Format(time.RFC3339))
	e.CreateAttr("Destination", a.Recipient)
	e.CreateAttr("InResponseTo", a.InResponseTo)
	issuer := e.CreateElement("saml:Issuer")
	issuer.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
	issuer.SetText(a.Issuer)
	e.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:Success")
	for _, assertion := range assertions {
		e.AddChild(assertion)
	}
	return e
}

// Sign returns an element with a signature over it, where SAML wants it: after the
// issuer.
func (p *Provider) Sign(t testing.TB, e *etree.Element) *etree.Element {
	t.Helper()
	return p.SignWith(t, dsig.RSASHA256SignatureMethod, e)
}

// SignWith is Sign with a signature method.
func (p *Provider) SignWith(t testing.TB, method string, e *etree.Element) *etree.Element {
	t.Helper()
	return p.SignCanonical(t, dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(""), method, e)
}

// SignCanonical is SignWith with a canonical form.
func (p *Provider) SignCanonical(t testing.TB, canonicalizer dsig.Canonicalizer, method string, e *etree.Element) *etree.Element {
	t.Helper()
	ctx := dsig.NewDefaultSigningContext(p)
	ctx.Canonicalizer = canonicalizer
	if err := ctx.SetSignatureMethod(method); err != nil {
		t.Fatal(err)
	}
	signed, err := ctx.SignEnveloped(e)
	if err != nil {
		t.Fatal(err)
	}
	// The library appends it without telling the signature, so that RemoveChild
	// would not find it.
	last := len(signed.Child) - 1
	signature := signed.Child[last]
	signed.Child = signed.Child[:last]
	signed.InsertChildAt(1, signature)
	return signed
}

// Encode is how a browser carries a response.
func Encode(t testing.TB, response *etree.Element) string {
	t.Helper()
	doc := etree.NewDocument()
	doc.SetRoot(response)
	raw, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// RequestID returns the id of a request that a browser carries.
func RequestID(t testing.TB, encoded string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var request struct {
		ID string `xml:"ID,attr"`
	}
	if err := xml.Unmarshal(raw, &request); err != nil || request.ID == "" {
		t.Fatalf("no request: %s", raw)
	}
	return request.ID
}

// Handler is the provider's sign-on page: it reads the request that a browser posts and
// answers that jane is jane, with a form for the browser to post on.
func (p *Provider) Handler(t testing.TB) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := base64.StdEncoding.DecodeString(r.PostFormValue("SAMLRequest"))
		var asked struct {
			ID  string `xml:"ID,attr"`
			ACS string `xml:"AssertionConsumerServiceURL,attr"`
		}
		if err = errors.Join(err, xml.Unmarshal(raw, &asked)); err != nil || asked.ID == "" || asked.ACS == "" {
			http.Error(w, "this is no request", http.StatusBadRequest)
			return
		}
		said := Jane(asked.ID, asked.ACS, time.Now())
		answer := Encode(t, said.Response(p.Sign(t, said.Assertion("_a"))))
		err = page().Execute(w, map[string]string{"ACS": asked.ACS, "Answer": answer, "Relay": r.PostFormValue("RelayState")})
		if err != nil {
			t.Error(err)
		}
	})
}

func page() *template.Template {
	return template.Must(template.New("").Parse(`<main><form method="post" action="{{.ACS}}"><input name="SAMLResponse" value="{{.Answer}}"><input name="RelayState" value="{{.Relay}}"></form></main>`))
}
