package saml_test

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/saml"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
)

func config(p *fakesaml.Provider) *saml.Config {
	return &saml.Config{
		SSOURL: "https://idp.example.test/sso", SSOIssuer: fakesaml.Issuer, Certificates: p.Certificate(), UsernameAttr: "name", EmailAttr: "email", GroupsAttr: "groups",
	}
}

// begun is a sign-in on its way.
type begun struct {
	poster  connectors.Poster
	kept    []byte
	request string
}

func begin(t *testing.T, p *fakesaml.Provider) begun {
	t.Helper()
	c, err := config(p).Open(t.Context(), connectortest.Env(nil))
	if err != nil {
		t.Fatal(err)
	}
	poster, ok := c.(connectors.Poster)
	if !ok {
		t.Fatal("it does not post")
	}
	form, err := poster.AuthForm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(form.Fields["SAMLRequest"])
	if err != nil {
		t.Fatal(err)
	}
	var request struct {
		ID string `xml:"ID,attr"`
	}
	if err := xml.Unmarshal(raw, &request); err != nil || request.ID == "" || form.Action != "https://idp.example.test/sso" {
		t.Fatalf("request %s to %s: %v", raw, form.Action, err)
	}
	return begun{poster: poster, kept: form.Kept, request: request.ID}
}

func (b begun) answer(t *testing.T, response *etree.Element) (connectors.Identity, error) {
	t.Helper()
	return b.poster.Answer(t.Context(), b.kept, url.Values{"SAMLResponse": {fakesaml.Encode(t, response)}})
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	want := connectors.Identity{Subject: "id-42", Username: "jane@example.test", Name: "jane", Email: "jane@example.test", EmailVerified: true, Groups: []string{"developers", "platform"}}
	for name, build := range map[string]func(fakesaml.Answer) *etree.Element{
		"assertion signed": func(a fakesaml.Answer) *etree.Element { return a.Response(p.Sign(t, a.Assertion("_a"))) },
		"response signed":  func(a fakesaml.Answer) *etree.Element { return p.Sign(t, a.Response(a.Assertion("_a"))) },
	} {
		b := begin(t, p)
		got, err := b.answer(t, build(fakesaml.Jane(b.request, connectortest.Callback, time.Now())))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = b.poster.(connectors.Refresher).Refresh(t.Context(), got)
		if connectors.OutcomeOf(err) != connectors.OutcomeUnconfirmed {
			t.Errorf("%s: SAML can't ask again: %v", name, err)
		}
		got.Data = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestAttacks sends answers that an attacker could make, or that were made for another
// request. Each is refused.
func TestAttacks(t *testing.T) {
	t.Parallel()
	p, stranger := fakesaml.New(t, time.Now().AddDate(1, 0, 0)), fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	for name, build := range attacks(t, p, stranger) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begin(t, p)
			got, err := b.answer(t, build(fakesaml.Jane(b.request, connectortest.Callback, time.Now())))
			// Taking what was signed, and nothing else, is as good as refusing.
			if err == nil && (got.Subject != "id-42" || got.Name != "jane" || strings.HasPrefix(name, "never: ")) {
				t.Errorf("signed in as %+v", got)
			}
			if err != nil && !errors.Is(err, connectors.ErrDenied) {
				t.Errorf("%v, want ErrDenied", err)
			}
		})
	}
}

func attacks(t *testing.T, p, stranger *fakesaml.Provider) map[string]func(fakesaml.Answer) *etree.Element {
	evil := func(a fakesaml.Answer) fakesaml.Answer {
		a.NameID = "id-1"
		a.Attributes = map[string][]string{"name": {"admin"}, "email": {"admin@example.test"}, "groups": {"admins"}}
		return a
	}
	changed := func(change func(*fakesaml.Answer)) func(fakesaml.Answer) *etree.Element {
		return func(a fakesaml.Answer) *etree.Element {
			change(&a)
			return a.Response(p.Sign(t, a.Assertion("_a")))
		}
	}
	return map[string]func(fakesaml.Answer) *etree.Element{
		"never: not signed":           func(a fakesaml.Answer) *etree.Element { return a.Response(a.Assertion("_a")) },
		"never: signed by a stranger": func(a fakesaml.Answer) *etree.Element { return a.Response(stranger.Sign(t, a.Assertion("_a"))) },
		"never: another request":      changed(func(a *fakesaml.Answer) { a.InResponseTo = "_other" }),
		"never: another audience":     changed(func(a *fakesaml.Answer) { a.Audience = "https://other.test" }),
		"never: another recipient":    changed(func(a *fakesaml.Answer) { a.Recipient = "https://other.test/acs" }),
		"never: ended":                changed(func(a *fakesaml.Answer) { a.Life = -time.Minute }),
		"never: not begun":            changed(func(a *fakesaml.Answer) { a.Now = a.Now.Add(time.Hour) }),
		"never: no subject":           changed(func(a *fakesaml.Answer) { a.NameID = "" }),
		"never: issuer, response signed": func(a fakesaml.Answer) *etree.Element {
			a.Issuer = "https://evil.test"
			return p.Sign(t, a.Response(a.Assertion("_a")))
		},
		"never: changed after signing": func(a fakesaml.Answer) *etree.Element {
			signed := p.Sign(t, a.Assertion("_a"))
			signed.FindElement("//NameID").SetText("id-1")
			return a.Response(signed)
		},
		"never: the signature cut out": func(a fakesaml.Answer) *etree.Element {
			signed := p.Sign(t, a.Assertion("_a"))
			signed.RemoveChild(signed.FindElement("./Signature"))
			return a.Response(signed)
		},
		// Signature wrapping: the signed assertion is there, and another one is where
		// it would be read.
		"wrapped: evil first": func(a fakesaml.Answer) *etree.Element {
			return a.Response(evil(a).Assertion("_e"), p.Sign(t, a.Assertion("_a")))
		},
		"wrapped: evil second": func(a fakesaml.Answer) *etree.Element {
			return a.Response(p.Sign(t, a.Assertion("_a")), evil(a).Assertion("_e"))
		},
		"wrapped: same id": func(a fakesaml.Answer) *etree.Element {
			return a.Response(evil(a).Assertion("_a"), p.Sign(t, a.Assertion("_a")))
		},
		"wrapped: signed one inside the evil one": func(a fakesaml.Answer) *etree.Element {
			outer := evil(a).Assertion("_e")
			outer.AddChild(p.Sign(t, a.Assertion("_a")))
			return a.Response(outer)
		},
		"wrapped: signature moved to the evil one": func(a fakesaml.Answer) *etree.Element {
			signed := p.Sign(t, a.Assertion("_a"))
			outer := evil(a).Assertion("_e")
			signature := signed.FindElement("./Signature")
			signed.RemoveChild(signature)
			object := signature.CreateElement("ds:Object")
			object.AddChild(signed)
			outer.InsertChildAt(1, signature)
			return a.Response(outer)
		},
		"wrapped: signed response inside an evil one": func(a fakesaml.Answer) *etree.Element {
			outer := evil(a).Response(evil(a).Assertion("_e"))
			outer.CreateElement("samlp:Extensions").AddChild(p.Sign(t, a.Response(a.Assertion("_a"))))
			return outer
		},
		// The reader must not stop at a comment (CVE-2018-0489 and its like).
		"comment in the name": func(a fakesaml.Answer) *etree.Element {
			assertion := a.Assertion("_a")
			name := assertion.FindElement("//NameID")
			name.SetText("")
			name.AddChild(etree.NewText("id-"))
			name.AddChild(etree.NewComment("x"))
			name.AddChild(etree.NewText("42"))
			return a.Response(p.Sign(t, assertion))
		},
	}
}

func TestCheckLooksAtTheCertificate(t *testing.T) {
	t.Parallel()
	old := config(fakesaml.New(t, time.Now().AddDate(0, 0, -1)))
	old.SSOURL = "http://127.0.0.1:1/sso"
	found := false
	for _, f := range old.Check(t.Context(), connectortest.Env(nil)) {
		found = found || f.State == connectors.Failed && strings.Contains(f.Detail, "ended on") && f.Remedy != ""
	}
	if !found {
		t.Error("an ended certificate passed")
	}
	connectortest.Form(t, saml.Type())
}
