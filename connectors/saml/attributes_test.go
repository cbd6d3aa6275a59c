package saml_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	samllib "github.com/crewjam/saml"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/connectortest"
	"github.com/fairlead-auth/fairlead/connectors/saml"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
)

// corpus returns the responses of real products, as they are before they are signed.
func corpus(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../../test/suites/identities/testdata/saml_*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var list []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			SAML fakesaml.Script `json:"saml"`
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.Join(c.SAML.Response, "\n"))
	}
	return list
}

// FuzzResponse posts any document: nothing that the provider has not signed signs
// anyone in, and every refusal has its text.
func FuzzResponse(f *testing.F) {
	p := fakesaml.New(f, time.Now().AddDate(1, 0, 0))
	opened, err := config(p).Open(f.Context(), connectortest.Env(nil))
	if err != nil {
		f.Fatal(err)
	}
	poster, ok := opened.(connectors.Poster)
	if !ok {
		f.Fatal("it does not post")
	}
	for _, text := range corpus(f) {
		now := time.Now().UTC().Format(time.RFC3339)
		f.Add(strings.NewReplacer("REQUEST", "id-1", "ACS", connectortest.Callback, "NOW", now, "EARLIER", now, "LATER", now).Replace(text))
	}
	a := fakesaml.Jane("id-1", connectortest.Callback, time.Now())
	raw, err := base64.StdEncoding.DecodeString(fakesaml.Encode(f, a.Response(fakesaml.New(f, time.Now().AddDate(1, 0, 0)).Sign(f, a.Assertion("_a")))))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(raw))
	f.Fuzz(func(t *testing.T, text string) {
		got, err := poster.Answer(t.Context(), []byte("id-1"), url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(text))}})
		if err == nil {
			t.Fatalf("signed in as %+v", got)
		}
		if o := connectors.OutcomeOf(err); o == connectors.OutcomeUnavailable && !connectors.Unverified(err) {
			t.Fatalf("%v would make the connector fail", err)
		}
	})
}

// TestNamesAreExact: blanks are part of a name. A user who may choose a name at the provider must not get the one
// without the blanks.
func TestNamesAreExact(t *testing.T) {
	t.Parallel()
	value := func(name string, texts ...string) samllib.Attribute {
		a := samllib.Attribute{Name: name}
		for _, text := range texts {
			a.Values = append(a.Values, samllib.AttributeValue{Value: text})
		}
		return a
	}
	cfg := &saml.Config{UsernameAttr: "name", GroupsAttr: "groups"}
	for _, blank := range []string{" ", "\n", "\t", "\u00a0"} {
		got, err := cfg.Identity(&samllib.Assertion{
			Subject:             &samllib.Subject{NameID: &samllib.NameID{Value: "id-42" + blank}},
			AttributeStatements: []samllib.AttributeStatement{{Attributes: []samllib.Attribute{value("name", "jane"+blank), value("groups", blank+"admins", "developers", blank)}}},
		})
		if err != nil || got.Subject != "id-42"+blank || got.Username != "jane"+blank || slices.Contains(got.Groups, "admins") {
			t.Errorf("%q: %+v %v", blank, got, err)
		}
		if _, _, err := connectors.ResolveIdentity(got, connectors.Prefixes{}); err == nil {
			t.Errorf("%q: the user name can be used", blank)
		}
		got.Username = "jane"
		if _, resolved, err := connectors.ResolveIdentity(got, connectors.Prefixes{}); err != nil || !slices.Equal(resolved.Groups, []string{"developers"}) {
			t.Errorf("%q: groups %q, %v", blank, resolved.Groups, err)
		}
	}
}

// FuzzAttributes reads any verified assertion: it never fails in another way than
// with an outcome, and never gives an identity that can't be stored.
func FuzzAttributes(f *testing.F) {
	for _, text := range corpus(f) {
		from, to := strings.Index(text, "Assertion ID="), strings.LastIndex(text, "Assertion>")
		if from < 0 || to < 0 {
			continue
		}
		from = strings.LastIndexByte(text[:from], '<')
		f.Add(text[from:to+len("Assertion>")], "urn:oid:0.9.2342.19200300.100.1.1", "uid", "mail", "isMemberOf", ";")
		f.Add(text[from:to+len("Assertion>")], "", "name", "emailaddress", "groups", "")
	}
	f.Fuzz(func(t *testing.T, text, id, username, mail, groups, delimiter string) {
		var assertion samllib.Assertion
		if xml.Unmarshal([]byte(text), &assertion) != nil {
			return
		}
		cfg := &saml.Config{IDAttr: id, UsernameAttr: username, EmailAttr: mail, GroupsAttr: groups, GroupsDelim: delimiter}
		got, err := cfg.Identity(&assertion)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if got.Subject == "" || got.Username == "" || got.Name == "" || got.EmailVerified {
			t.Fatalf("%+v", got)
		}
		if _, resolved, err := connectors.ResolveIdentity(got, connectors.Prefixes{}); err == nil && len(resolved.Groups) > connectors.MaxGroups {
			t.Fatalf("%d groups", len(resolved.Groups))
		}
	})
}
