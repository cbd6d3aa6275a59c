package need_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/test/need"
)

func TestProgramFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	if got := need.Program(t, "sh"); got == "" {
		t.Error("sh is everywhere")
	}
}
