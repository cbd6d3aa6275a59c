// Package prerequisite finds the programs and folders that a test needs. If one is
// missing, the test is skipped on a developer's computer and fails in CI.
package prerequisite

import (
	"os"
	"os/exec"
	"testing"
)

// Program returns the path of an installed program. It looks in places if
// the program is not on PATH.
func Program(tb testing.TB, name string, places ...string) string {
	tb.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, place := range places {
		if _, err := os.Stat(place); err == nil {
			return place
		}
	}
	Missing(tb, name+" is not installed (make deps installs it)")
	return ""
}

// Variable returns an environment variable that "make test" sets.
func Variable(tb testing.TB, name, what string) string {
	tb.Helper()
	value := os.Getenv(name)
	if value == "" {
		Missing(tb, name+" is not set: no "+what+" to test with (make test provides it)")
	}
	return value
}

// Missing ends the test: a failure in CI, a skip elsewhere.
func Missing(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatal(why)
	}
	tb.Skip(why)
}
