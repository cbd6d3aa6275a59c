package claims_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors/claims"
)

func decode(t testing.TB, text string) claims.Set {
	t.Helper()
	set, err := claims.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestFind(t *testing.T) {
	t.Parallel()
	set := decode(t, `{"sub":"1","realm_access":{"roles":["a"],"x.y":"dotted"},"https://example.com/groups":["b"],"a/b":{"c~d":"slash"},"a":{"b.c":{"d":"deep"}}}`)
	for path, want := range map[string]any{
		"sub": "1", "realm_access.roles": []any{"a"}, "/realm_access/roles": []any{"a"}, "realm_access.x.y": "dotted",
		"https://example.com/groups": []any{"b"}, "/a~1b/c~0d": "slash", "a.b.c.d": "deep",
		"": nil, "none": nil, "sub.none": nil, "/sub/none": nil, "/": nil, ".": nil, "realm_access.": nil,
	} {
		got, found := set.Find(path)
		if diff := cmp.Diff(want, got); diff != "" || found != (want != nil) {
			t.Errorf("Find(%q) = %v, %v", path, got, found)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	set := decode(t, `{"text":"x","number":12345678901234567890,"float":1.50,"bool":true,"null":null,"list":["x"]}`)
	for path, want := range map[string]string{"text": "x", "number": "12345678901234567890", "float": "1.50", "bool": "", "null": "", "list": "", "absent": ""} {
		if got := set.Text(path); got != want {
			t.Errorf("Text(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	got := decode(t, `{"sub":"1","n":12345678901234567890,"b":true,"null":null,"groups":["a",7,{"name":"x"}],"realm_access":{"roles":["r"],"more":{"z":"deep"}},"empty":[]}`).Attributes()
	want := map[string][]string{
		"sub": {"1"}, "n": {"12345678901234567890"}, "b": {"true"}, "null": {"null"}, "groups": {"a", "7", `{"name":"x"}`}, "realm_access.roles": {"r"}, "realm_access.more.z": {"deep"}, "empty": {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBool(t *testing.T) {
	t.Parallel()
	for claim, want := range map[string][2]bool{
		`true`: {true, true}, `false`: {false, true}, `"true"`: {true, true}, `"True"`: {true, true}, `"false"`: {false, true}, `1`: {true, true}, `0`: {false, true}, `"1"`: {true, true}, `"0"`: {false, true},
		`null`: {}, `"yes"`: {}, `2`: {}, `""`: {}, `["true"]`: {}, `{}`: {},
	} {
		if value, said := decode(t, `{"v":`+claim+`}`).Bool("v"); [2]bool{value, said} != want {
			t.Errorf("%s: %v, %v", claim, value, said)
		}
	}
	if value, said := decode(t, `{}`).Bool("v"); value || said {
		t.Error("an absent claim says something")
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	for claim, want := range map[string][]string{
		`["b","a","b"]`: {"a", "b"},
		`"one"`:         {"one"},
		`""`:            nil, `null`: nil, `[]`: {}, `{}`: {},
		`["a",7]`: {"7", "a"},
		`[{"name":"a"},{"displayName":"b"},{"id":"c"},{"id":"d","name":"e"},{"id":5}]`: {"5", "a", "b", "c", "e"},
		`{"admin":{"org":"x"},"dev":{}}`:                                               {"admin", "dev"},
		`{"id":"1","name":"dev"}`:                                                      {"dev"},
	} {
		got, err := decode(t, `{"groups":`+claim+`}`).Groups("groups")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", claim, got, err, want)
		}
	}
	for claim, kind := range map[string]string{
		`true`: "a boolean", `7`: "a number", `[true]`: "a boolean", `[["a"]]`: "a list with a list", `[null]`: "null", `[{"type":"x"}]`: "without a name",
		`{"admin":true,"dev":false}`: "without a name", `{"admin":null}`: "without a name", `{"admin":["a"]}`: "without a name",
	} {
		_, err := decode(t, `{"groups":`+claim+`}`).Groups("groups")
		if fault, ok := errors.AsType[*claims.KindError](err); !ok || !strings.Contains(fault.Error(), kind) {
			t.Errorf("%s: %v, want a KindError with %q", claim, err, kind)
		}
	}
}

func TestOverage(t *testing.T) {
	t.Parallel()
	for text, overage := range map[string]bool{
		`{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example"}}}`: true,
		`{"hasgroups":true}`:                   true,
		`{"hasgroups":"true"}`:                 true,
		`{"hasgroups":false}`:                  false,
		`{"_claim_names":{"address":"src1"}}`:  false,
		`{"groups":["a"],"hasgroups":"false"}`: false,
		`{}`:                                   false,
	} {
		if _, err := decode(t, text).Groups("groups"); errors.Is(err, claims.ErrOverage) != overage {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "[1]", `"text"`, "7", "{"} {
		if set, err := claims.Decode([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, set)
		}
	}
}

// TestOverageOfAnotherClaim: a claim that was left out says nothing about others.
func TestOverageOfAnotherClaim(t *testing.T) {
	t.Parallel()
	for path, overage := range map[string]bool{"groups": true, "/groups": true, "roles": false, "/roles": false, "": false} {
		for _, text := range []string{`{"hasgroups":true}`, `{"_claim_names":{"groups":"src1"}}`} {
			if _, err := decode(t, text).Groups(path); errors.Is(err, claims.ErrOverage) != overage {
				t.Errorf("%s at %q: %v", text, path, err)
			}
		}
	}
}

// FuzzDecode checks that no document makes the readers of single claims panic, and that what they find is text of the
// document.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"sub":"1","email_verified":"true"}`, `{"a":{"b":{"c":12345678901234567890}}}`, `{"a.b":1,"a":{"b":2}}`, `{"a":"\ud800"}`, `[1]`} {
		f.Add([]byte(seed), "sub")
		f.Add([]byte(seed), "a.b.c")
		f.Add([]byte(seed), "/a/b")
	}
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		set, err := claims.Decode(text)
		if err != nil {
			return
		}
		value, found := set.Find(path)
		said := set.Text(path)
		if said != "" && !found || value == nil && said != "" || path == "" && found {
			t.Errorf("Find(%q) = %v, %v, and Text is %q", path, value, found, said)
		}
		if value, says := set.Bool(path); value && !says {
			t.Errorf("%q is true and not said", path)
		}
	})
}

// FuzzGroups checks that no document makes the reader panic, and that groups are
// sorted and never silently lost from a list of strings.
func FuzzGroups(f *testing.F) {
	for _, seed := range []string{`{"groups":["a","b"]}`, `{"groups":{"a":1}}`, `{"a":{"b":[{"name":"x"}]}}`, `{"_claim_names":{"groups":"x"}}`, `{"groups":[1,true,null]}`} {
		f.Add([]byte(seed), "groups")
	}
	f.Add([]byte(`{"a":{"b":["x"]}}`), "/a/b")
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		set, err := claims.Decode(text)
		if err != nil {
			return
		}
		groups, err := set.Groups(path)
		if err == nil && !slices.IsSorted(groups) {
			t.Errorf("%q is not sorted", groups)
		}
		value, _ := set.Find(path)
		raw, _ := json.Marshal(value)
		var list []string
		if json.Unmarshal(raw, &list) == nil && !slices.Contains(strings.Split(string(raw), ","), "null") && err == nil && len(list) > 0 {
			for _, want := range list {
				if _, isText := value.([]any); isText && !slices.Contains(groups, want) {
					t.Errorf("%q is lost from %s", want, raw)
				}
			}
		}
	})
}
