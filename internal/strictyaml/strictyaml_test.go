package strictyaml_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/internal/strictyaml"
)

type config struct {
	Name   string            `yaml:"name"`
	Count  int               `yaml:"count"`
	On     bool              `yaml:"on"`
	Secret secret.Value      `yaml:"secret"`
	List   []item            `yaml:"list"`
	Labels map[string]string `yaml:"labels"`
	Later  yaml.Node         `yaml:"later"`
}

type item struct {
	ID string `yaml:"id"`
}

func TestDecodeListsEveryFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       string
	}{
		{"good", "name: x\ncount: 3\non: true\nlist: [{id: a}]\nlabels: {a: b}\nsecret: s\n", ""},
		{"unknown keys", "naem: x\nlist:\n- id: a\n  idd: b\nzzzzzz: 1\n", `f.yaml:1: naem: is not a known key; did you mean "name"?
f.yaml:4: list[0].idd: is not a known key; did you mean "id"?
f.yaml:5: zzzzzz: is not a known key`},
		{"wrong kinds", "name: [x]\ncount: many\non: maybe\nlist: {id: a}\nlabels: 3\n", `f.yaml:1: name: must be text
f.yaml:2: count: must be a whole number, got "many"
f.yaml:3: on: must be true or false, got "maybe"
f.yaml:4: list: must be a list
f.yaml:5: labels: must be keys with values, got "3"`},
		{"twice", "name: x\nname: y\n", "f.yaml:2: name: is set twice"},
		{"syntax", "name: x\n  bad: [\n", "f.yaml:2: mapping values are not allowed in this context"},
		{"empty", "", "f.yaml:1: is empty"},
		{"endless", "list: &a [{id: x}, *a]\n", "f.yaml:1: list[1]: must be keys with values"},
		{"list", "- a\n", "f.yaml:1: must be keys with values"},
	} {
		var got config
		text := ""
		if err := strictyaml.Decode("f.yaml", []byte(c.text), &got).Err(); err != nil {
			text = err.Error()
		}
		if diff := cmp.Diff(c.want, text); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestSubAndAdd(t *testing.T) {
	t.Parallel()
	var c config
	d := strictyaml.Decode("f.yaml", []byte("name: x\nlater:\n  id: a\n  idd: b\n"), &c)
	var later item
	if d.Sub(&c.Later, "later", &later) {
		t.Error("an unknown key in a node decoded by Sub must be a fault")
	}
	d.Add("later.missing", "is missing")
	want := `f.yaml:2: later.missing: is missing
f.yaml:4: later.idd: is not a known key; did you mean "id"?`
	if diff := cmp.Diff(want, d.Err().Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("name: x\nlist:\n- id: a\n")
	f.Add("a: &a [*a]\n")
	f.Add("name: &x [1]\nlist: *x\n")
	f.Fuzz(func(t *testing.T, text string) {
		var c config
		err := strictyaml.Decode("f.yaml", []byte(text), &c).Err()
		if err != nil && !strings.HasPrefix(err.Error(), "f.yaml:") {
			t.Errorf("%q: %v", text, err)
		}
	})
}
