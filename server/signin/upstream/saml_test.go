package upstream_test

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/saml"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
)

const acs = "http://127.0.0.1/callback/idp"

// samlReplica returns a replica of a server with a SAML connector.
func samlReplica(t *testing.T, s *store.Store, p *fakesaml.Provider) (*upstream.Registry, *store.Connector) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	registry := upstream.New(upstream.Config{
		Store: s, Audit: audit.NewLog(time.Now, logger, s), Logger: logger, Now: time.Now, Types: map[string]connectors.Type{"saml": saml.Type()},
		CallbackURL: func(id string) string { return "http://127.0.0.1/callback/" + id },
	})
	config, err := json.Marshal(map[string]any{"ssoURL": "https://idp.example.test/sso", "ssoIssuer": fakesaml.Issuer, "certificates": p.Certificate(), "usernameAttr": "name"})
	if err != nil {
		t.Fatal(err)
	}
	err = s.ApplyFile(t.Context(), store.Settings{Connectors: []store.Connector{{
		Enabled: true, ID: "idp", Type: "saml", Name: "IdP", Config: string(config), Origin: store.Origin{Origin: store.OriginFile},
	}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	row, err := s.Connector(t.Context(), "idp")
	if err != nil {
		t.Fatal(err)
	}
	return registry, row
}

// TestAnAssertionIsUsedOnceOnAllReplicas posts one response at two replicas at once.
func TestAnAssertionIsUsedOnceOnAllReplicas(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		one, row := samlReplica(t, s, p)
		other, _ := samlReplica(t, s, p)
		said := fakesaml.Jane("id-1", acs, time.Now())
		posted := url.Values{"SAMLResponse": {fakesaml.Encode(t, said.Response(p.Sign(t, said.Assertion("_a"))))}}
		results := make(chan error, 2)
		for _, replica := range []*upstream.Registry{one, other} {
			go func() {
				_, err := replica.PostCallback(t.Context(), row, []byte("id-1"), posted)
				results <- err
			}()
		}
		first, second := <-results, <-results
		if first == nil {
			first, second = second, first
		}
		if second != nil || connectors.OutcomeOf(first) != connectors.OutcomeSignInAgain {
			t.Errorf("%v and %v: want one sign-in", first, second)
		}
	})
}

// TestUnsignedResponsesHarmNoConnector: anyone can post a response, so one that the
// provider has not signed neither marks the connector as failing nor as healthy.
func TestUnsignedResponsesHarmNoConnector(t *testing.T) {
	t.Parallel()
	p := fakesaml.New(t, time.Now().AddDate(1, 0, 0))
	registry, row := samlReplica(t, storetest.SQLite(t), p)
	post := func(response *etree.Element) {
		_, err := registry.PostCallback(t.Context(), row, []byte("id-1"), url.Values{"SAMLResponse": {fakesaml.Encode(t, response)}})
		if err == nil || strings.Contains(err.Error(), "SAML") {
			t.Errorf("%v", err)
		}
	}
	failed := func(id string) *etree.Element {
		e := fakesaml.Jane(id, acs, time.Now()).Response()
		e.FindElement("./Status/StatusCode").CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")
		return e
	}
	said := fakesaml.Jane("id-1", acs, time.Now())
	forged := []*etree.Element{failed("id-1"), said.Response(said.Assertion("_a")), etree.NewElement("x")}
	for _, e := range forged {
		post(e)
		if _, fault := registry.Fault("idp"); fault != nil {
			t.Fatalf("the connector fails: %v", fault)
		}
	}
	post(p.Sign(t, failed("id-1")))
	for _, e := range forged {
		post(e)
		if _, fault := registry.Fault("idp"); fault == nil {
			t.Fatal("a forged response hides the fault")
		}
	}
}
