package connectors_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
)

func TestSettle(t *testing.T) {
	t.Parallel()
	many := make([]string, connectors.MaxGroups+1)
	for i := range many {
		many[i] = strings.Repeat("g", i%50+1)
	}
	for _, c := range []struct {
		name       string
		id         connectors.Identity
		prefixes   connectors.Prefixes
		wantName   string
		wantGroups []string
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
		{name: "no name", id: connectors.Identity{Subject: "1"}, prefixes: connectors.Prefixes{User: "corp:"}, refused: true},
		{name: "reserved user", id: connectors.Identity{Subject: "1", Username: "system:admin"}, refused: true},
		{name: "reserved user under a prefix", id: connectors.Identity{Subject: "1", Username: "system:admin"}, prefixes: connectors.Prefixes{User: "corp:"}, refused: true},
		{name: "prefix and name make a reserved one", id: connectors.Identity{Subject: "1", Username: "masters"}, prefixes: connectors.Prefixes{User: "system:"}, refused: true},
		{name: "reserved group", id: connectors.Identity{Subject: "1", Username: "jane", Groups: []string{"system:masters"}}, refused: true},
		{name: "empty group", id: connectors.Identity{Subject: "1", Username: "jane", Groups: []string{""}}, prefixes: connectors.Prefixes{Group: "corp:"}, refused: true},
		{name: "control character", id: connectors.Identity{Subject: "1", Username: "ja\r\nne"}, refused: true},
		{name: "trailing blank", id: connectors.Identity{Subject: "1", Username: "jane "}, refused: true},
		{name: "too many groups", id: connectors.Identity{Subject: "1", Username: "jane", Groups: many}, refused: true},
	} {
		gotName, got, err := connectors.Settle(c.id, c.prefixes)
		if c.refused {
			if !errors.Is(err, connectors.ErrDenied) {
				t.Errorf("%s: error %v, want ErrDenied", c.name, err)
			}
			continue
		}
		if err != nil || gotName != c.wantName {
			t.Errorf("%s: name %q, error %v, want %q", c.name, gotName, err, c.wantName)
		}
		if diff := cmp.Diff(c.wantGroups, got.Groups); diff != "" {
			t.Errorf("%s: groups (-want +got):\n%s", c.name, diff)
		}
	}
}
