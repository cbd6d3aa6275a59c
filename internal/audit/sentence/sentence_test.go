package sentence_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/audit/sentence"
)

// TestEveryEventHasASentence writes each event with all of its fields and with none of them.
func TestEveryEventHasASentence(t *testing.T) {
	t.Parallel()
	for _, name := range audit.Names() {
		for _, e := range []audit.Event{
			{Name: name},
			{
				Name: name, UserID: "usr_1", UserName: "corp:ben", ActorID: "usr_2", ActorName: "corp:ann", ClientID: "grafana", ClusterID: "prod", ConnectorID: "corp",
				Address: "192.0.2.7", Reason: "some_reason", Detail: "rules platform, revision 9",
			},
		} {
			s := sentence.Of(e)
			text := s.Text()
			if text == "" || text == string(name) || strings.ContainsAny(text, "{}") || strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q", name, text)
			}
			if first := text[:1]; s.Parts[0].Thing == "" && first != strings.ToUpper(first) {
				t.Errorf("%s: %q does not begin with a capital letter", name, text)
			}
			if s.Kind.Label() == "" || !slices.Contains(s.Kind.Names(), string(name)) {
				t.Errorf("%s has no kind", name)
			}
		}
	}
}

func TestEveryEventHasOneKind(t *testing.T) {
	t.Parallel()
	var names []string
	for _, k := range sentence.Kinds() {
		if len(k.Names()) == 0 || k.Label() == "" {
			t.Errorf("%s has no events or no label", k)
		}
		names = append(names, k.Names()...)
	}
	var want []string
	for _, name := range audit.Names() {
		want = append(want, string(name))
	}
	slices.Sort(names)
	slices.Sort(want)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names of all kinds (-want +got):\n%s", diff)
	}
}

func TestSentences(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		event   audit.Event
		want    string
		details []string
	}{
		{audit.Event{Name: audit.UserDisabled, UserName: "Ben", ActorName: "Ann", Reason: "revoked_by_admin", Detail: "left the company"}, "Ann disabled Ben", []string{"left the company"}},
		{audit.Event{Name: audit.UserDisabled, UserName: "Ben"}, "Ben was disabled", nil},
		{audit.Event{Name: audit.SignInSucceeded, UserName: "Ann", ConnectorID: "okta", Address: "192.0.2.1"}, "Ann signed in with okta", []string{"from 192.0.2.1"}},
		{audit.Event{Name: audit.SignInFailed, UserName: "dan", ConnectorID: "ldap", Reason: "not_found"}, "An unknown user failed to sign in as dan with ldap", []string{"the name or password is wrong"}},
		{audit.Event{Name: audit.TokenIssued, UserName: "Ann", ClusterID: "prod", Reason: "urn:ietf:params:oauth:grant-type:token-exchange"}, "Ann got a token for prod", []string{"token-exchange"}},
		{audit.Event{Name: audit.TokenIssued, UserName: "Ann", ClientID: "kubectl-fairlead", Reason: "refresh_token"}, "Ann renewed a token for kubectl-fairlead", nil},
		{audit.Event{Name: audit.AdminChanged, UserName: "Cho", Reason: "update", Detail: "rules platform, revision 9"}, "Cho changed the rule platform", []string{"revision 9"}},
		{audit.Event{Name: audit.AdminChanged, UserName: "Cho", Reason: "create", Detail: "clusters prod-eu, revision 10"}, "Cho created the cluster prod-eu", []string{"revision 10"}},
		{audit.Event{Name: audit.ProxyRequest, UserName: "Eve", ClusterID: "prod", Reason: "upgrade", Detail: "POST /api/v1/namespaces/shop/pods/api-7d9f/exec"}, "Eve opened a shell in prod / shop/api-7d9f", nil},
		{
			audit.Event{Name: audit.ProxySessionEnded, UserName: "Eve", ClusterID: "prod", Detail: "POST /api/v1/namespaces/shop/pods/api-7d9f/exec: 10 bytes in, 20 bytes out, 4s"},
			"Eve closed a shell in prod / shop/api-7d9f",
			[]string{"10 bytes in, 20 bytes out, 4s"},
		},
		{audit.Event{Name: audit.AccessRefused, UserName: "Ben", ClusterID: "prod", Reason: "no_access_rule"}, "Ben may not use prod", []string{"no access rule covers the user"}},
		{audit.Event{Name: "future.event", Reason: "x"}, "future.event", []string{"x"}},
	} {
		s := sentence.Of(test.event)
		if s.Text() != test.want {
			t.Errorf("%s: %q, want %q", test.event.Name, s.Text(), test.want)
		}
		if diff := cmp.Diff(test.details, s.Details); diff != "" {
			t.Errorf("%s: details (-want +got):\n%s", test.event.Name, diff)
		}
	}
}

func TestPartsLeadToTheirThings(t *testing.T) {
	t.Parallel()
	s := sentence.Of(audit.Event{Name: audit.UserEnabled, UserID: "usr_1", UserName: "Ben", ActorID: "usr_2", ActorName: "Ann"})
	want := []sentence.Part{{Text: "Ann", Thing: sentence.User, ID: "usr_2"}, {Text: " enabled "}, {Text: "Ben", Thing: sentence.User, ID: "usr_1"}}
	if diff := cmp.Diff(want, s.Parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	s = sentence.Of(audit.Event{Name: audit.AdminChanged, UserName: "Ann", Reason: "delete", Detail: "rules a/b, revision 2"})
	if last := s.Parts[len(s.Parts)-1]; last.Thing != sentence.Entry || last.ID != "rules/a/b" {
		t.Errorf("the entry is %+v", last)
	}
}
