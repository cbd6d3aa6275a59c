package errs_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/errs"
)

func TestKindSurvivesWrapping(t *testing.T) {
	t.Parallel()
	cause := errors.New("row is gone")
	err := fmt.Errorf("redeeming code: %w", errs.Wrap(errs.NotFound, cause, "This code is not known."))
	if got := errs.KindOf(err); got != errs.NotFound {
		t.Errorf("KindOf = %q, want %q", got, errs.NotFound)
	}
	if got, want := errs.Message(err), "This code is not known."; got != want {
		t.Errorf("Message = %q, want %q", got, want)
	}
	if !errors.Is(err, cause) {
		t.Error("errors.Is must find the cause")
	}
}

func TestOtherErrorsHaveNoMessage(t *testing.T) {
	t.Parallel()
	err := errors.New("dsn=postgres://secret")
	if got := errs.KindOf(err); got != errs.Internal {
		t.Errorf("KindOf = %q, want %q", got, errs.Internal)
	}
	if got := errs.Message(err); got != "" {
		t.Errorf("Message = %q, want empty", got)
	}
	if errs.Is(nil, errs.Internal) {
		t.Error("a nil error must have no kind")
	}
}
