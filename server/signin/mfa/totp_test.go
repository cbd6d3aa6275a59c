package mfa_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/signin/mfa"
)

// secret is that of RFC 6238 appendix B, in base32.
const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

func TestCodesOfTheStandard(t *testing.T) {
	t.Parallel()
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1234567890: "005924", 2000000000: "279037"} {
		got, err := mfa.GenerateCode(secret, time.Unix(at, 0))
		if err != nil || got != want {
			t.Errorf("at %d: %s, %v; want %s", at, got, err, want)
		}
	}
}

func TestCheckCode(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_015, 0)
	for _, c := range []struct {
		name string
		at   time.Duration
		want bool
	}{{"now", 0, true}, {"a period ago", -30 * time.Second, true}, {"a period ahead", 30 * time.Second, true}, {"too old", -61 * time.Second, false}, {"too early", 61 * time.Second, false}} {
		code, err := mfa.GenerateCode(secret, now.Add(c.at))
		if err != nil {
			t.Fatal(err)
		}
		step, ok := mfa.CheckCode(secret, " "+code[:3]+" "+code[3:], now)
		if ok != c.want || ok && step != now.Add(c.at).Unix()/30 {
			t.Errorf("%s: %v at step %d", c.name, ok, step)
		}
	}
	if _, ok := mfa.CheckCode(secret, "", now); ok {
		t.Error("no code is a code")
	}
}

func TestNewSecretAndPicture(t *testing.T) {
	t.Parallel()
	a, b := mfa.NewTOTPSecret(), mfa.NewTOTPSecret()
	if a == b || len(a) != 32 {
		t.Errorf("secrets %s %s", a, b)
	}
	png, err := mfa.QRCode(mfa.KeyURI("Acme & Co", "root", a))
	if err != nil || !bytes.HasPrefix(png, []byte("\x89PNG")) {
		t.Errorf("no picture: %v", err)
	}
}
