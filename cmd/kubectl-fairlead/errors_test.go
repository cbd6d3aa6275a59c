package main

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
)

// TestExitCodes holds the exit codes, which scripts rely on.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{
		1: io.EOF, 2: usageError{io.EOF}, 3: fmt.Errorf("wrapped: %w", &session.SignInRequiredError{}), 4: &serverclient.RefusedError{}, 7: codeError{7},
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

// TestErrorTexts holds the form of errors: what happened, why, and what to do.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	unreachable := &serverclient.UnreachableError{Server: "https://login.test", Cause: errors.New("connection refused")}
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("writing the cache: no space left on device"), "Writing the cache: no space left on device.\nRun: kubectl fairlead doctor"},
		{&session.SignInRequiredError{Text: "You are not signed in.\nRun: kubectl fairlead login https://login.test"}, "You are not signed in.\nRun: kubectl fairlead login https://login.test"},
		{unreachable, "https://login.test can't be reached: connection refused.\nCheck the address, your network and your proxy settings.\nRun: kubectl fairlead doctor https://login.test"},
		{errors.New("the file is locked. Remove /x/config.lock"), "The file is locked. Remove /x/config.lock"},
		{usageError{errors.New(`the profile "X" is not valid. Use lower-case letters`)}, `The profile "X" is not valid. Use lower-case letters.`},
		{errors.New("an escape \x1b[2J sequence. Remove it"), "An escape \uFFFD[2J sequence. Remove it."},
		{codeError{1}, ""},
	} {
		if got := errorText(c.err); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour: "less than a minute", 59 * time.Second: "less than a minute", 119 * time.Second: "1 minute", 90 * time.Minute: "90 minutes", 12 * time.Hour: "12 hours", 170 * time.Hour: "7 days",
	} {
		if got := remaining(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}
