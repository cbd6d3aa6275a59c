package password_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/fairlead-auth/fairlead/internal/password"
)

func TestHashAndCheck(t *testing.T) {
	t.Parallel()
	h := password.NewHasher()
	hash, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash = %q", hash)
	}
	legacy, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, hash, password string
		want                 password.Result
	}{
		{"right", hash, "correct horse", password.Result{Match: true}},
		{"wrong", hash, "correct horsf", password.Result{}},
		{"empty password", hash, "", password.Result{}},
		{"unknown user", "", "correct horse", password.Result{}},
		{"unknown user, empty password", "", "", password.Result{}},
		{"bcrypt import", string(legacy), "correct horse", password.Result{Match: true, Stale: true}},
		{"bcrypt wrong", string(legacy), "x", password.Result{Stale: true}},
		{"too long", hash, strings.Repeat("x", password.MaxLength+1), password.Result{}},
	} {
		got, err := h.Check(t.Context(), c.hash, c.password)
		if err != nil || got != c.want {
			t.Errorf("%s: Check = %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

// TestDummyHashHasTheCostOfARealOne compares parameters: the time of a check must not reveal
// whether a user exists.
func TestDummyHashHasTheCostOfARealOne(t *testing.T) {
	t.Parallel()
	h := password.NewHasher()
	genuine, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	head := func(hash string) string { return strings.Join(strings.Split(hash, "$")[:4], "$") }
	if dummy := password.Dummy(h); head(dummy) != head(genuine) || len(dummy) != len(genuine) {
		t.Errorf("dummy %q, real %q", dummy, genuine)
	}
}

func TestRefusesBadInput(t *testing.T) {
	t.Parallel()
	h := password.NewHasher()
	for _, p := range []string{"", "short", strings.Repeat("x", password.MaxLength+1)} {
		if _, err := h.Hash(t.Context(), p); !errors.Is(err, password.ErrLength) {
			t.Errorf("Hash(%d bytes) = %v, want ErrLength", len(p), err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ended, "correct horse"); !errors.Is(err, context.Canceled) {
		t.Errorf("Hash = %v, want context.Canceled", err)
	}
	if _, err := h.Check(ended, "", "correct horse"); !errors.Is(err, context.Canceled) {
		t.Errorf("Check of an unknown user = %v, want context.Canceled", err)
	}
	for _, bad := range []string{
		"", "plain", "$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA", "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA", "$2a$31$abc", "$2",
	} {
		if err := password.Valid(bad); !errors.Is(err, password.ErrFormat) {
			t.Errorf("Valid(%q) = %v, want ErrFormat", bad, err)
		}
	}
}

func FuzzValid(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$2a$04$abcdefghijklmnopqrstuv")
	f.Fuzz(func(t *testing.T, hash string) {
		if err := password.Valid(hash); err != nil && !errors.Is(err, password.ErrFormat) {
			t.Errorf("Valid(%q) = %v", hash, err)
		}
	})
}
