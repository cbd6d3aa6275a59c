package device_test

import (
	"regexp"
	"testing"

	"github.com/fairlead-auth/fairlead/server/oidc/device"
)

// Tests in package server cover the whole flow, with a browser and a client.

func TestUserCodes(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`)
	seen := map[string]bool{}
	for range 1000 {
		code := device.NewUserCode()
		if !shape.MatchString(code) || seen[code] {
			t.Fatalf("code %q, seen %v", code, seen[code])
		}
		seen[code] = true
	}
}

func TestACodeMayBeTypedInAnyWay(t *testing.T) {
	t.Parallel()
	want := device.HashUserCode("BCDF-GHJK")
	for _, typed := range []string{"bcdf-ghjk", "BCDFGHJK", " bcdf ghjk ", "bcdf–ghjk", "B C D F - G H J K"} {
		if device.HashUserCode(typed) != want {
			t.Errorf("%q is another code", typed)
		}
	}
	if device.HashUserCode("BCDF-GHJL") == want {
		t.Error("another code is the same")
	}
}

func FuzzUserCode(f *testing.F) {
	f.Add("BCDF-GHJK")
	f.Fuzz(func(t *testing.T, typed string) {
		if hash := device.HashUserCode(typed); len(hash) != 52 {
			t.Errorf("hash %q", hash)
		}
	})
}
