package names_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/names"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want error
	}{
		{"jane", nil},
		{"github:jane", nil},
		{"corp:Platform Team", nil},
		{"corp:Ä-Team 🚢", nil},
		{"systems:jane", nil},
		{"", names.ErrEmpty},
		{"system:masters", names.ErrReserved},
		{"System:Masters", names.ErrReserved},
		{"SYSTEM:serviceaccount:kube-system:x", names.ErrReserved},
		{"system :masters", names.ErrReserved},
		{" jane", names.ErrBlank},
		{"jane ", names.ErrBlank},
		{"jane\u00a0", names.ErrBlank},
		{"jane\t", names.ErrControl},
		{"ja\nne", names.ErrControl},
		{"ja\r\nX: y", names.ErrControl},
		{"ja\x00ne", names.ErrControl},
		{"ja\u200bne", names.ErrControl},
		{"ja\u202ene", names.ErrControl},
		{"ja\u2028ne", names.ErrControl},
		{"ja\xffne", names.ErrEncoding},
		{strings.Repeat("x", names.MaxLength), nil},
		{strings.Repeat("x", names.MaxLength+1), names.ErrLong},
	} {
		if got := names.Check(c.name); !errors.Is(got, c.want) {
			t.Errorf("Check(%q) = %v, want %v", c.name, got, c.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("system:masters")
	f.Add("jane\r\nImpersonate-User: root")
	f.Fuzz(func(t *testing.T, name string) {
		if names.Check(name) != nil {
			return
		}
		if name == "" || strings.ContainsAny(name, "\r\n\x00") || strings.HasPrefix(strings.ToLower(name), "system:") ||
			strings.TrimSpace(name) != name {
			t.Errorf("accepted %q", name)
		}
	})
}

func TestLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{" a\r\nb\x00 ": "ab", "": "", "\xff": ""} {
		if got := names.Line(in, 100); got != want {
			t.Errorf("Line(%q) = %q", in, got)
		}
	}
	if got := names.Line(string(make([]rune, 500))+"é", 100); got != "é" {
		t.Errorf("%q", got)
	}
}
