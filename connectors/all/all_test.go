package all_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/password"
)

func TestEveryTypeDescribesItself(t *testing.T) {
	t.Parallel()
	for name, kind := range all.Types(password.NewHasher()) {
		if kind.Name != name || kind.Label == "" || kind.Config() == nil {
			t.Errorf("type %q: %+v", name, kind)
		}
		for _, field := range kind.Fields {
			if field.Key == "" || field.Label == "" || field.Kind == "" {
				t.Errorf("type %q: field %+v", name, field)
			}
		}
	}
}
