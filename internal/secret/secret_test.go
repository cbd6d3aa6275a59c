package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/secret"
)

func TestValueNeverPrints(t *testing.T) {
	t.Parallel()
	const canary = "canary-5f2c"
	v := secret.NewValue(canary)
	holder := struct {
		Name  string
		Value secret.Value
		Ptr   *secret.Value
	}{"jane", v, &v}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "secret", v, "holder", holder)
	asJSON, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprint(v), fmt.Sprintf("%v %+v %#v %s %q", holder, holder, v, v, v), string(asJSON), logged.String(),
	} {
		if strings.Contains(shown, canary) {
			t.Errorf("the secret is printed: %s", shown)
		}
	}
	if v.Reveal() != canary || !v.Equal(canary) || v.Equal(canary+"x") {
		t.Error("Reveal and Equal must still see the secret")
	}
}

func TestTokensDiffer(t *testing.T) {
	t.Parallel()
	a, b := secret.Token().Reveal(), secret.Token().Reveal()
	if a == b || len(a) != 43 {
		t.Errorf("tokens %q and %q must differ and have 43 characters", a, b)
	}
	if same := secret.Hash(a); secret.Hash(a) == secret.Hash(b) || same != secret.Hash(a) {
		t.Error("different tokens must have different hashes")
	}
	if id := secret.ID("usr"); !strings.HasPrefix(id, "usr_") || len(id) != 30 {
		t.Errorf("ID = %q", id)
	}
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	old, fresh := secret.NewKey(), secret.NewKey()
	before, err := secret.NewKeyring(old)
	if err != nil {
		t.Fatal(err)
	}
	after, err := secret.NewKeyring(fresh, old)
	if err != nil {
		t.Fatal(err)
	}
	sealed := before.Seal("keys.private:1", []byte("plain"))
	if got, err := after.Open("keys.private:1", sealed); err != nil || string(got) != "plain" {
		t.Errorf("a keyring that still holds the old key must open the text: %q, %v", got, err)
	}
	flipped := sealed[:len(sealed)-2] + "AA"
	for name, try := range map[string]func() ([]byte, error){
		"other context": func() ([]byte, error) { return after.Open("keys.private:2", sealed) },
		"changed":       func() ([]byte, error) { return after.Open("keys.private:1", flipped) },
		"unknown key":   func() ([]byte, error) { return before.Open("c", after.Seal("c", []byte("x"))) },
		"empty":         func() ([]byte, error) { return after.Open("c", "") },
		"no body":       func() ([]byte, error) { return after.Open("c", strings.Split(sealed, ".")[0]+".") },
	} {
		if _, err := try(); !errors.Is(err, secret.ErrSealed) {
			t.Errorf("%s: error %v, want ErrSealed", name, err)
		}
	}
	if _, err := secret.NewKeyring([]byte("short")); err == nil {
		t.Error("a short key must be refused")
	}
}

func TestSealUnderToken(t *testing.T) {
	t.Parallel()
	token := secret.Token().Reveal()
	sealed, err := secret.SealUnder(token, "refresh:1", []byte("successor"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := secret.OpenUnder(token, "refresh:1", sealed); err != nil || string(got) != "successor" {
		t.Errorf("OpenUnder = %q, %v", got, err)
	}
	if _, err := secret.OpenUnder(secret.Token().Reveal(), "refresh:1", sealed); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("another token: error %v, want ErrSealed", err)
	}
}

func TestSealedTextHasOneForm(t *testing.T) {
	t.Parallel()
	ring, err := secret.NewKeyring(secret.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 4 { // each remainder of three, so that stray bits are possible
		good := ring.Seal("c", make([]byte, n))
		for _, bad := range []string{good + "\n", good[:12] + "\r\n" + good[12:], good[:len(good)-1] + string(good[len(good)-1]+1), " " + good} {
			if _, err := ring.Open("c", bad); err == nil {
				t.Errorf("%q opens as well as %q", bad, good)
			}
		}
	}
}
