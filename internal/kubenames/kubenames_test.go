package kubenames_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
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
		{"", kubenames.ErrEmpty},
		{"system:masters", kubenames.ErrReserved},
		{"System:Masters", kubenames.ErrReserved},
		{"SYSTEM:serviceaccount:kube-system:x", kubenames.ErrReserved},
		{"system :masters", kubenames.ErrReserved},
		{" jane", kubenames.ErrBlank},
		{"jane ", kubenames.ErrBlank},
		{"jane\u00a0", kubenames.ErrBlank},
		{"jane\t", kubenames.ErrControl},
		{"ja\nne", kubenames.ErrControl},
		{"ja\r\nX: y", kubenames.ErrControl},
		{"ja\x00ne", kubenames.ErrControl},
		{"ja\u200bne", kubenames.ErrControl},
		{"ja\u202ene", kubenames.ErrControl},
		{"ja\u2028ne", kubenames.ErrControl},
		{"ja\xffne", kubenames.ErrEncoding},
		{strings.Repeat("x", kubenames.MaxLength), nil},
		{strings.Repeat("x", kubenames.MaxLength+1), kubenames.ErrLong},
	} {
		if got := kubenames.Check(c.name); !errors.Is(got, c.want) {
			t.Errorf("Check(%q) = %v, want %v", c.name, got, c.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("system:masters")
	f.Add("jane\r\nImpersonate-User: root")
	f.Fuzz(func(t *testing.T, name string) {
		if kubenames.Check(name) != nil {
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
		if got := kubenames.SanitizeLine(in, 100); got != want {
			t.Errorf("Line(%q) = %q", in, got)
		}
	}
	if got := kubenames.SanitizeLine(string(make([]rune, 500))+"é", 100); got != "é" {
		t.Errorf("%q", got)
	}
}
