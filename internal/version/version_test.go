package version_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/internal/version"
)

func TestStringIsNeverEmpty(t *testing.T) {
	t.Parallel()
	if version.String() == "" {
		t.Error("a build must always have a name")
	}
}
