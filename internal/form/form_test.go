package form_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/internal/form"
)

func fields() []form.Field {
	return []form.Field{
		{Key: "host", Label: "Host", Kind: form.Text, Destination: true, Section: "Connection"},
		{Key: "secret", Label: "Secret", Kind: form.Secret},
		{Key: "search.base", Label: "Base", Kind: form.Text, Advanced: true},
		{Key: "list", Label: "List", Kind: form.List},
		{Key: "on", Label: "On", Kind: form.Bool},
		{Key: "risky", Label: "Risky", Kind: form.Bool, Danger: "Everybody could read it."},
		{Key: "depth", Label: "Depth", Kind: form.Number},
		{Key: "labels", Label: "Labels", Kind: form.Pairs},
		{Key: "claims", Label: "Claims", Kind: form.Claims},
		{Key: "orgs", Label: "Orgs", Kind: form.Rows, Fields: []form.Field{{Key: "name", Label: "Name", Kind: form.Text}, {Key: "teams", Label: "Teams", Kind: form.List}}},
	}
}

func sent() url.Values {
	return url.Values{
		"host": {" ldap.test "}, "secret": {"s3cret"}, "search.base": {"dc=test"}, "list": {"a\r\n\r\n b \r\n"}, "on": {"true"}, "depth": {"3"},
		"labels": {"env=prod\nteam = a=b"}, "claims": {"ref=main\nref=dev"},
		"orgs[0].name": {"acme"}, "orgs[0].teams": {"x\ny"}, "orgs[1].name": {""}, "orgs[1].teams": {""},
	}
}

func want() form.Doc {
	return form.Doc{
		"host": "ldap.test", "secret": "s3cret", "search": map[string]any{"base": "dc=test"}, "list": []any{"a", "b"}, "on": true, "depth": 3,
		"labels": map[string]any{"env": "prod", "team": "a=b"}, "claims": map[string]any{"ref": []any{"main", "dev"}},
		"orgs": []any{map[string]any{"name": "acme", "teams": []any{"x", "y"}}},
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	doc, problems := form.Parse(fields(), sent())
	if diff := cmp.Diff(want(), doc); diff != "" || len(problems) != 0 {
		t.Errorf("problems %v, (-want +got):\n%s", problems, diff)
	}
}

func TestParseFindsWhatCanNotBe(t *testing.T) {
	t.Parallel()
	_, problems := form.Parse(fields(), url.Values{"depth": {"deep"}, "labels": {"nothing"}, "risky": {"true"}, "risky.confirm": {"no"}})
	var names []string
	for _, p := range problems {
		names = append(names, p.Field)
	}
	if diff := cmp.Diff([]string{"risky", "depth", "labels"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if doc, problems := form.Parse(fields(), url.Values{"risky": {"true"}, "risky.confirm": {"Yes"}}); len(problems) != 0 || doc.Get("risky") != true {
		t.Errorf("confirmed: %v %v", doc, problems)
	}
}

// TestMergeKeepsASecretOnlyForItsDestination checks that "Test" cannot send a stored secret to another host.
func TestMergeKeepsASecretOnlyForItsDestination(t *testing.T) {
	t.Parallel()
	same := form.Doc{"host": "ldap.test", "on": true}
	if problems := form.Merge(fields(), same, want()); len(problems) != 0 || same.Text("secret") != "s3cret" {
		t.Errorf("same host: %v %v", same, problems)
	}
	moved := form.Doc{"host": "evil.test"}
	if problems := form.Merge(fields(), moved, want()); len(problems) != 1 || problems[0].Field != "secret" || moved.Get("secret") != nil {
		t.Errorf("another host: %v %v", moved, problems)
	}
	retyped := form.Doc{"host": "evil.test", "secret": "new"}
	if problems := form.Merge(fields(), retyped, want()); len(problems) != 0 || retyped.Text("secret") != "new" {
		t.Errorf("typed again: %v %v", retyped, problems)
	}
}

func TestDrawRoundTrip(t *testing.T) {
	t.Parallel()
	values := url.Values{}
	var collect func(inputs []form.Input)
	collect = func(inputs []form.Input) {
		for _, in := range inputs {
			for _, line := range in.Lines {
				collect(line)
			}
			switch {
			case in.Kind == form.Secret:
				if in.Value != "" || !in.Kept {
					t.Errorf("a secret is drawn: %+v", in)
				}
			case in.On:
				values.Set(in.Name, "true")
			case in.Kind != form.Rows && in.Kind != form.Bool:
				values.Set(in.Name, in.Value)
			}
		}
	}
	drawing := form.Drawing{Fields: fields(), Doc: want(), Stored: want(), Problems: []form.Problem{{Field: "orgs[0].name", Message: "no"}}}
	found := false
	for _, s := range drawing.Sections() {
		collect(s.Inputs)
		collect(s.Advanced)
		for _, in := range s.Inputs {
			for _, line := range in.Lines {
				found = found || line[0].Problem == "no"
			}
		}
	}
	if !found {
		t.Error("the problem is not beside its field")
	}
	doc, _ := form.Parse(fields(), values)
	form.Merge(fields(), doc, want())
	if diff := cmp.Diff(want(), doc); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDiffAndMaskShowNoSecret(t *testing.T) {
	t.Parallel()
	after := want().Clone()
	after.Set("secret", "other")
	after.Set("list", []any{"a"})
	after.Set("on", false)
	got := form.Diff(fields(), want(), after)
	if diff := cmp.Diff([]form.Change{{"Secret", "set", "set, new"}, {"List", "a\nb", "a"}, {"On", "yes", "no"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	masked := form.Mask(fields(), want())
	if masked.Text("secret") != form.Masked || want().Text("secret") != "s3cret" {
		t.Errorf("masked: %v", masked)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("labels=a%3Db&orgs[0].name=x&depth=9")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		doc, _ := form.Parse(fields(), values)
		if !form.Equal(map[string]any(doc), map[string]any(doc.Clone())) {
			t.Errorf("a clone differs: %v", doc)
		}
		form.Drawing{Fields: fields(), Doc: doc, Stored: doc}.Sections()
		if len(form.Diff(fields(), doc, doc)) != 0 {
			t.Errorf("differs from itself: %v", doc)
		}
	})
}

// A label may have no value, and an access rule may select clusters by it.
func TestCompactKeepsLabelsWithoutValue(t *testing.T) {
	t.Parallel()
	labels := map[string]any{"gpu": ""}
	doc := form.Doc{"labels": labels, "clusters": map[string]any{"labels": labels, "ids": []any{}}, "description": ""}
	want := form.Doc{"labels": labels, "clusters": map[string]any{"labels": labels}}
	if diff := cmp.Diff(want, doc.Compact()); diff != "" {
		t.Errorf("compact (-want +got):\n%s", diff)
	}
	if form.Equal(doc, form.Doc{}) {
		t.Error("labels without a value are equal to no labels")
	}
}
