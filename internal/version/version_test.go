package version_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/internal/version"
)

func TestStringIsNeverEmpty(t *testing.T) {
	t.Parallel()
	if version.String() == "" {
		t.Error("every build must have a version")
	}
}
