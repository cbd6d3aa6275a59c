package identities_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
	"github.com/fairlead-auth/fairlead/test/fakes/scriptedoidc"
)

// oddGroups are names that an attacker may give to groups upstream.
func oddGroups() []string {
	return []string{
		"system:masters", "SYSTEM:Masters", " admins", "admins ", "", "ad\nmins", "admins\u200b", "\u202eadmins", "nul\u0000", strings.Repeat("x", 257), "\u00a0",
	}
}

// TestOddGroupsLockNobodyOut: a user who may create groups upstream can't keep others out. Each connector with free group
// names leaves the odd ones out, and lets the user in with the rest.
func TestOddGroupsLockNobodyOut(t *testing.T) {
	t.Parallel()
	next := time.Now().AddDate(1, 0, 0)
	keys := keys{idp: fakesaml.New(t, next), ours: fakesaml.New(t, next)}
	groups := append(oddGroups(), "dev")
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		for kind, c := range withGroups(t, groups) {
			t.Run(kind, func(t *testing.T) {
				b := setup(t, s, c, keys)
				person, err := b.signIn(t)
				if err != nil || strings.Join(person.Identity.Groups, "|") != "dev" {
					t.Errorf("groups %q, %v", person.Identity.Groups, err)
				}
				if left := b.registry.LeftOut(b.row.ID); len(left) < 8 {
					t.Errorf("left out: %+v", left)
				}
				if _, fault := b.registry.Fault(b.row.ID); fault != nil {
					t.Errorf("the connector fails: %v", fault)
				}
			})
		}
	})
}

// withGroups returns, for each type of connector with free group names, a sign-in of jane with these groups.
func withGroups(t *testing.T, groups []string) map[string]*testCase {
	t.Helper()
	objects := func(key string) (list []map[string]any) {
		for i, g := range groups {
			list = append(list, map[string]any{"id": fmt.Sprint(i), key: g})
		}
		return list
	}
	at := func(answers map[string]any) scriptedoidc.Script {
		script := scriptedoidc.Script{Answers: map[string]scriptedoidc.Answer{}}
		for path, said := range answers {
			script.Answers[path] = scriptedoidc.Answer{Body: encode(t, said)}
		}
		return script
	}
	jane := map[string]any{"sub": "1", "id": "1", "preferred_username": "jane", "groups": groups}
	keystone := at(map[string]any{"/v3/users/1": map[string]any{"user": map[string]any{"id": "1", "name": "jane", "enabled": true}}, "/v3/users/1/groups": map[string]any{"groups": objects("name")}})
	keystone.Answers["/v3/auth/tokens"] = scriptedoidc.Answer{Status: 201, Header: map[string]string{"X-Subject-Token": "token"}, Body: encode(t, map[string]any{"token": map[string]any{"user": map[string]any{"id": "1", "name": "jane"}}})}
	crowd := map[string]any{"key": "1", "name": "jane", "active": true}
	return map[string]*testCase{
		"oidc":      {Connector: "oidc", SignIn: scriptedoidc.Script{Claims: jane}},
		"oauth":     {Connector: "oauth", SignIn: scriptedoidc.Script{UserInfo: &scriptedoidc.Answer{Body: encode(t, jane)}}},
		"keystone":  {Connector: "keystone", SignIn: keystone},
		"crowd":     {Connector: "crowd", SignIn: at(map[string]any{"/rest/usermanagement/1/authentication": crowd, "/rest/usermanagement/1/user/group/nested": map[string]any{"groups": objects("name")}})},
		"openshift": {Connector: "openshift", SignIn: at(map[string]any{"/apis/user.openshift.io/v1/users/~": map[string]any{"kind": "User", "metadata": map[string]any{"name": "jane", "uid": "1"}, "groups": groups}})},
		"microsoft": {Connector: "microsoft", SignIn: at(map[string]any{
			"/v1.0/me": map[string]any{"id": "1", "displayName": "Jane", "userPrincipalName": "jane@corp.example"}, "/v1.0/me/getMemberGroups": map[string]any{"value": []string{"0"}}, "/v1.0/directoryObjects/getByIds": map[string]any{"value": objects("displayName")},
		})},
	}
}

func encode(t *testing.T, v any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
