package fakesaml

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml/xmlenc"
	dsig "github.com/russellhaering/goxmldsig"
)

// Script is a response as a product writes it.
type Script struct {
	// Response is the XML. REQUEST, ACS, NOW, LATER and EARLIER stand for what the
	// product fills in: the id of the request, our address and three times.
	Response []string `json:"response"`
	// Steps are done in this order: "sign assertion", "sign response" (with "sha1" at
	// the end: with SHA-1), and "encrypt aes256-gcm" or another algorithm.
	Steps []string `json:"steps"`
}

// Render returns the response to a request. Certificate is what it encrypts for.
func (p *Provider) Render(t testing.TB, s Script, a Answer, certificate string) *etree.Element {
	t.Helper()
	at := func(d time.Duration) string { return a.Now.Add(d).UTC().Format("2006-01-02T15:04:05.000Z") }
	text := strings.NewReplacer("REQUEST", a.InResponseTo, "ACS", a.Recipient, "NOW", at(0), "LATER", at(time.Hour), "EARLIER", at(-5*time.Minute)).Replace(strings.Join(s.Response, "\n"))
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		t.Fatal(err)
	}
	response := doc.Root()
	for _, step := range s.Steps {
		response = p.step(t, strings.Fields(step), response, certificate)
	}
	return response
}

// step signs or encrypts.
func (p *Provider) step(t testing.TB, words []string, response *etree.Element, certificate string) *etree.Element {
	t.Helper()
	method := dsig.RSASHA256SignatureMethod
	if words[len(words)-1] == "sha1" {
		method = dsig.RSASHA1SignatureMethod
	}
	sign := func(e *etree.Element) *etree.Element { return p.SignWith(t, method, e) }
	switch {
	case words[0] == "encrypt":
		replaceAssertion(t, response, func(e *etree.Element) *etree.Element { return Encrypt(t, e, words[1], certificate) })
	case words[1] == "response":
		return sign(response)
	default:
		replaceAssertion(t, response, sign)
	}
	return response
}

// replaceAssertion changes the assertion of a response, with the namespaces that it
// inherits.
func replaceAssertion(t testing.TB, response *etree.Element, change func(*etree.Element) *etree.Element) {
	t.Helper()
	for _, e := range response.ChildElements() {
		if e.Tag != "Assertion" {
			continue
		}
		alone := e.Copy()
		for _, inherited := range response.Attr {
			if (inherited.Space == "xmlns" || inherited.Key == "xmlns") && alone.SelectAttr(inherited.FullKey()) == nil {
				alone.CreateAttr(inherited.FullKey(), inherited.Value)
			}
		}
		at := e.Index()
		response.RemoveChildAt(at)
		response.InsertChildAt(at, change(alone))
		return
	}
	t.Fatal("the response has no assertion")
}

// Encrypt returns an encrypted assertion.
func Encrypt(t testing.TB, assertion *etree.Element, algorithm, certificate string) *etree.Element {
	t.Helper()
	block, _ := pem.Decode([]byte(certificate[strings.Index(certificate, "-----BEGIN CERTIFICATE"):]))
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	cipher, known := map[string]xmlenc.BlockCipher{"aes128-cbc": xmlenc.AES128CBC, "aes256-cbc": xmlenc.AES256CBC, "aes128-gcm": xmlenc.AES128GCM, "aes256-gcm": xmlenc.AES256GCM}[algorithm]
	if !known {
		t.Fatalf("unknown algorithm %q", algorithm)
	}
	doc := etree.NewDocument()
	doc.SetRoot(assertion.Copy())
	plain, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	method := xmlenc.OAEP()
	method.BlockCipher, method.DigestMethod = cipher, xmlenc.SHA1
	data, err := method.Encrypt(parsed, plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	data.CreateAttr("Type", "http://www.w3.org/2001/04/xmlenc#Element")
	e := etree.NewElement("saml:EncryptedAssertion")
	e.CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
	e.AddChild(data)
	return e
}
