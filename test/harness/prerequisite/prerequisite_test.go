package prerequisite_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

func TestProgramFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	if got := prerequisite.Program(t, "sh"); got == "" {
		t.Error("sh is everywhere")
	}
}
