package saml_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
)

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
			checkRefusal(t, err)
		})
	}
}

// checkRefusal wants the outcome of a response that anyone could have made: it says what
// is wrong and what to do, and leaves the connector healthy.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*connectors.Error](err)
	if err == nil {
		return
	}
	if !ok || e.Outcome != connectors.OutcomeUnusableIdentity || e.Reason == "" || e.Remedy == "" {
		t.Errorf("%v (%+v), want an unusable identity with a remedy", err, e)
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
		"never: ended":                changed(func(a *fakesaml.Answer) { a.Life = -10 * time.Minute }),
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

// TestForeignAssertions sends assertions that the provider has signed, and that are not
// for this sign-in, this service or this moment.
func TestForeignAssertions(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	remove := func(path string) func(*etree.Element) {
		return func(e *etree.Element) { found := e.FindElement(path); found.Parent().RemoveChild(found) }
	}
	set := func(path, name, value string) func(*etree.Element) {
		return func(e *etree.Element) { e.FindElement(path).CreateAttr(name, value) }
	}
	unset := func(path, name string) func(*etree.Element) {
		return func(e *etree.Element) { e.FindElement(path).RemoveAttr(name) }
	}
	for name, change := range map[string]func(*etree.Element){
		"no conditions":        remove("//Conditions"),
		"no audience":          remove("//AudienceRestriction"),
		"no confirmation":      remove("//SubjectConfirmation"),
		"no confirmation data": remove("//SubjectConfirmationData"),
		"no authn statement":   remove("//AuthnStatement"),
		"no NameID":            remove("//NameID"),
		"no subject":           remove("//Subject"),
		"no recipient":         unset("//SubjectConfirmationData", "Recipient"),
		"no request":           unset("//SubjectConfirmationData", "InResponseTo"),
		"no end":               unset("//SubjectConfirmationData", "NotOnOrAfter"),
		"no issue instant":     unset(".", "IssueInstant"),
		"holder of key":        set("//SubjectConfirmation", "Method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"),
		"version 1.1":          set(".", "Version", "1.1"),
		"issued long ago":      set(".", "IssueInstant", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)),
		"issued in an hour":    set(".", "IssueInstant", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)),
		"conditions not yet":   set("//Conditions", "NotBefore", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)),
		"conditions ended":     set("//Conditions", "NotOnOrAfter", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)),
		"a second audience list": func(e *etree.Element) {
			e.FindElement("//Conditions").CreateElement("saml:AudienceRestriction").CreateElement("saml:Audience").SetText("https://other.test")
		},
		"an unknown condition": func(e *etree.Element) { e.FindElement("//Conditions").CreateElement("saml:Condition") },
		"an issuer with more":  func(e *etree.Element) { e.FindElement("./Issuer").SetText(fakesaml.Issuer + "/") },
		"a NameID of blanks":   func(e *etree.Element) { e.FindElement("//NameID").SetText("  ") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begin(t, p)
			a := fakesaml.Jane(b.request, connectortest.Callback, time.Now())
			assertion := a.Assertion("_a")
			change(assertion)
			got, err := b.answer(t, a.Response(p.Sign(t, assertion)))
			if err == nil {
				t.Errorf("signed in as %+v", got)
			}
			checkRefusal(t, err)
		})
	}
}

// TestHostileDocuments sends documents that are hostile to the reader.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	for name, change := range map[string]func(string) string{
		"document type": func(x string) string { return "<!DOCTYPE Response [<!ENTITY e \"jane\">]>" + x },
		"external entity": func(x string) string {
			return "<!doctype r [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>" + strings.Replace(x, ">jane<", ">&e;<", 1)
		},
		"entity without document type": func(x string) string { return strings.Replace(x, ">jane<", ">&e;<", 1) },
		"nested deeply": func(x string) string {
			return strings.Replace(x, "<samlp:Status>", strings.Repeat("<a>", 10000)+"<samlp:Status>", 1)
		},
		"many namespaces": func(x string) string {
			return strings.Replace(x, "<samlp:Response ", "<samlp:Response "+strings.Repeat("xmlns:a"+"1=\"urn:a\" ", 5000), 1)
		},
		"round trip": func(x string) string { return strings.Replace(x, "<samlp:Status>", "<x::Root/><samlp:Status>", 1) },
		"too long":   func(x string) string { return x + strings.Repeat(" ", 256<<10) },
		"two roots":  func(x string) string { return strings.Replace(x, "id-42", "id-1", 1) + x },
		"no XML":     func(string) string { return "%PDF-1.4" },
		"empty":      func(string) string { return "" },
		"UTF-16":     func(x string) string { return "\xff\xfe" + x },
		// An attribute in another namespace must not count as the one without.
		"a foreign attribute": func(x string) string {
			return strings.Replace(x, "InResponseTo=\"", "xmlns:InResponseTo=\"urn:x\" InResponseTo=\"other", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begin(t, p)
			a := fakesaml.Jane(b.request, connectortest.Callback, time.Now())
			raw, err := base64.StdEncoding.DecodeString(fakesaml.Encode(t, a.Response(p.Sign(t, a.Assertion("_a")))))
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.post(t, base64.StdEncoding.EncodeToString([]byte(change(string(raw)))))
			if err == nil {
				t.Errorf("signed in as %+v", got)
			}
			checkRefusal(t, err)
		})
	}
}

// TestCommentsDoNotCutText: comments, also those that the signature covers, never end a
// text early (CVE-2018-0489 and its like).
func TestCommentsDoNotCutText(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	for _, canonicalizer := range []dsig.Canonicalizer{
		dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(""), dsig.MakeC14N10ExclusiveWithCommentsCanonicalizerWithPrefixList(""), dsig.MakeC14N11Canonicalizer(), dsig.MakeC14N11WithCommentsCanonicalizer(),
	} {
		b := begin(t, p)
		a := fakesaml.Jane(b.request, connectortest.Callback, time.Now())
		assertion := a.Assertion("_a")
		for path, parts := range map[string][2]string{"//NameID": {"id-42", ".evil"}, "//AttributeStatement/Attribute[@Name='name']/AttributeValue": {"jane", ".evil"}} {
			e := assertion.FindElement(path)
			e.SetText("")
			e.AddChild(etree.NewText(parts[0]))
			e.AddChild(etree.NewComment("x"))
			e.AddChild(etree.NewText(parts[1]))
		}
		got, err := b.answer(t, p.SignCanonical(t, canonicalizer, dsig.RSASHA256SignatureMethod, a.Response(assertion)))
		if err != nil || got.Subject != "id-42.evil" || got.Username != "jane.evil" {
			t.Errorf("%s: %+v %v", canonicalizer.Algorithm(), got, err)
		}
	}
}

// TestEncrypted: anyone can encrypt for us, so an encrypted assertion needs a signature
// as well. Every fault of one has the same text.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	next := time.Now().AddDate(1, 0, 0)
	p, stranger, old, fresh := fakesaml.New(t, next), fakesaml.New(t, next), fakesaml.New(t, next), fakesaml.New(t, next)
	encrypt := func(e *etree.Element, algorithm string, to *fakesaml.Provider) *etree.Element {
		return fakesaml.Encrypt(t, e, algorithm, to.Certificate())
	}
	damage := func(e *etree.Element) *etree.Element {
		value := e.FindElement("./EncryptedData/CipherData/CipherValue")
		raw, err := base64.StdEncoding.DecodeString(value.Text())
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)/2] ^= 1
		value.SetText(base64.StdEncoding.EncodeToString(raw))
		return e
	}
	texts := map[string]bool{}
	for name, c := range map[string]struct {
		build func(a fakesaml.Answer) *etree.Element
		want  bool
	}{
		"signed inside, GCM": {func(a fakesaml.Answer) *etree.Element {
			return a.Response(encrypt(p.Sign(t, a.Assertion("_a")), "aes256-gcm", fresh))
		}, true},
		"signed inside, CBC": {func(a fakesaml.Answer) *etree.Element {
			return a.Response(encrypt(p.Sign(t, a.Assertion("_a")), "aes128-cbc", fresh))
		}, true},
		"for the old key": {func(a fakesaml.Answer) *etree.Element {
			return a.Response(encrypt(p.Sign(t, a.Assertion("_a")), "aes256-cbc", old))
		}, true},
		"the response signed": {func(a fakesaml.Answer) *etree.Element {
			return p.Sign(t, a.Response(encrypt(a.Assertion("_a"), "aes128-gcm", fresh)))
		}, true},
		"not signed": {func(a fakesaml.Answer) *etree.Element {
			return a.Response(encrypt(a.Assertion("_a"), "aes256-gcm", fresh))
		}, false},
		"signed by a stranger": {func(a fakesaml.Answer) *etree.Element {
			return a.Response(encrypt(stranger.Sign(t, a.Assertion("_a")), "aes256-gcm", fresh))
		}, false},
		"for another key": {func(a fakesaml.Answer) *etree.Element {
			return a.Response(encrypt(p.Sign(t, a.Assertion("_a")), "aes256-gcm", stranger))
		}, false},
		"changed, GCM": {func(a fakesaml.Answer) *etree.Element {
			return a.Response(damage(encrypt(p.Sign(t, a.Assertion("_a")), "aes256-gcm", fresh)))
		}, false},
		"changed, CBC": {func(a fakesaml.Answer) *etree.Element {
			return a.Response(damage(encrypt(p.Sign(t, a.Assertion("_a")), "aes256-cbc", fresh)))
		}, false},
		"something else encrypted": {func(a fakesaml.Answer) *etree.Element {
			return a.Response(encrypt(etree.NewElement("x"), "aes256-cbc", fresh))
		}, false},
		"beside an evil one": {func(a fakesaml.Answer) *etree.Element {
			return a.Response(encrypt(p.Sign(t, a.Assertion("_a")), "aes256-gcm", fresh), a.Assertion("_e"))
		}, false},
	} {
		cfg := config(p)
		cfg.KeyPair = secret.NewValue(fresh.KeyPair() + old.KeyPair())
		b := beginWith(t, cfg, connectortest.Env(nil))
		got, err := b.answer(t, c.build(fakesaml.Jane(b.request, connectortest.Callback, time.Now())))
		if (err == nil) != c.want {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		checkRefusal(t, err)
		if e, ok := errors.AsType[*connectors.Error](err); ok {
			texts[e.Reason+e.Remedy] = true
		}
	}
	if len(texts) != 1 {
		t.Errorf("an attacker can tell what is wrong with a ciphertext: %v", texts)
	}
}

// TestAnAssertionIsUsedOnce posts one response twice, at two replicas.
func TestAnAssertionIsUsedOnce(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	env := connectortest.Env(nil)
	env.Once = memory()
	first := beginWith(t, config(p), env)
	second := beginWith(t, config(p), env)
	second.kept = first.kept
	a := fakesaml.Jane(first.request, connectortest.Callback, time.Now())
	response := fakesaml.Encode(t, a.Response(p.Sign(t, a.Assertion("_a"))))
	if _, err := first.post(t, response); err != nil {
		t.Fatal(err)
	}
	if got, err := second.post(t, response); connectors.OutcomeOf(err) != connectors.OutcomeSignInAgain {
		t.Errorf("again: %+v %v", got, err)
	}
	// A memory that does not answer is an outage, and the user does not get in.
	env.Once = func(context.Context, string, time.Time) (bool, error) { return true, errors.New("no database") }
	third := beginWith(t, config(p), env)
	third.kept = first.kept
	if got, err := third.post(t, response); connectors.OutcomeOf(err) != connectors.OutcomeUnavailable {
		t.Errorf("without a memory: %+v %v", got, err)
	}
}
