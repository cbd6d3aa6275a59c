package connectors_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
)

func TestSettle(t *testing.T) {
	t.Parallel()
	many := make([]string, connectors.MaxGroups+1)
	for i := range many {
		many[i] = fmt.Sprint("group-", i)
	}
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name       string
		id         connectors.Identity
		prefixes   connectors.Prefixes
		wantName   string
		wantGroups []string
		wantLeft   int
		refused    bool
	}{
		{
			name:       "prefixes",
			id:         connectors.Identity{Subject: "1", Username: "jane", Groups: []string{"dev", "ops", "dev"}},
			prefixes:   connectors.Prefixes{User: "corp:", Group: "corp:"},
			wantName:   "corp:jane",
			wantGroups: []string{"corp:dev", "corp:ops"},
		},
		{name: "no subject", id: connectors.Identity{Username: "jane"}, refused: true},
		{name: "a subject with NUL", id: connectors.Identity{Subject: "1\x00", Username: "jane"}, refused: true},
		{name: "a subject that is no text", id: connectors.Identity{Subject: "\xff", Username: "jane"}, refused: true},
		{name: "a subject that is too long", id: connectors.Identity{Subject: strings.Repeat("x", 1025), Username: "jane"}, refused: true},
		{
			name: "odd name and address", id: connectors.Identity{Subject: "1", Username: "jane", Name: "Jane\x00\nDoe", Email: "jane\x00@x", EmailVerified: true},
			wantName: "jane", wantGroups: []string{},
		},
		{name: "no name", id: connectors.Identity{Subject: "1"}, prefixes: connectors.Prefixes{User: "corp:"}, refused: true},
		{name: "reserved user", id: connectors.Identity{Subject: "1", Username: "system:admin"}, refused: true},
		{name: "reserved user under a prefix", id: connectors.Identity{Subject: "1", Username: "system:admin"}, prefixes: connectors.Prefixes{User: "corp:"}, refused: true},
		{name: "prefix and name make a reserved one", id: connectors.Identity{Subject: "1", Username: "masters"}, prefixes: connectors.Prefixes{User: "system:"}, refused: true},
		{
			name:       "odd groups are left out",
			id:         connectors.Identity{Subject: "1", Username: "jane", Groups: []string{"", "dev", "system:masters", " dev", "de\u200bv", "a\nb", long, "System :x", "\xff"}},
			prefixes:   connectors.Prefixes{Group: "corp:"},
			wantName:   "jane",
			wantGroups: []string{"corp:dev"},
			wantLeft:   8,
		},
		{
			name: "groups of other name spaces are left out", id: connectors.Identity{Subject: "1", Username: "jane", Groups: []string{"dev", "corp:ops", "CORP:ops", "corporate", "workload:ci"}},
			prefixes: connectors.Prefixes{Foreign: []string{"corp:", "workload:"}}, wantName: "jane", wantGroups: []string{"dev", "corporate"}, wantLeft: 3,
		},
		{name: "user of another name space", id: connectors.Identity{Subject: "1", Username: "Corp:jane"}, prefixes: connectors.Prefixes{Foreign: []string{"corp:"}}, refused: true},
		{
			name: "a name space within another", id: connectors.Identity{Subject: "1", Username: "jane"}, prefixes: connectors.Prefixes{User: "corp:b:", Foreign: []string{"corp:"}},
			wantName: "corp:b:jane", wantGroups: []string{},
		},
		{name: "control character", id: connectors.Identity{Subject: "1", Username: "ja\r\nne"}, refused: true},
		{name: "trailing blank", id: connectors.Identity{Subject: "1", Username: "jane "}, refused: true},
		{name: "too many groups", id: connectors.Identity{Subject: "1", Username: "jane", Groups: many}, refused: true},
	} {
		gotName, got, err := connectors.ResolveIdentity(c.id, c.prefixes)
		if c.refused {
			if connectors.OutcomeOf(err) != connectors.OutcomeUnusableIdentity {
				t.Errorf("%s: error %v, want an unusable identity", c.name, err)
			}
			continue
		}
		if err != nil || gotName != c.wantName {
			t.Errorf("%s: name %q, error %v, want %q", c.name, gotName, err, c.wantName)
		}
		if strings.ContainsRune(got.Name+got.Email, 0) || got.Email == "" && got.EmailVerified {
			t.Errorf("%s: %+v", c.name, got)
		}
		if len(got.LeftOut) != c.wantLeft {
			t.Errorf("%s: left out %+v", c.name, got.LeftOut)
		}
		if diff := cmp.Diff(c.wantGroups, got.Groups); diff != "" {
			t.Errorf("%s: groups (-want +got):\n%s", c.name, diff)
		}
	}
}
