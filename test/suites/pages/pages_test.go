// Package pages_test checks every page's template against the type of its data,
// and renders each with hostile text.
package pages_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jba/templatecheck"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/portal/account"
	"github.com/fairlead-auth/fairlead/portal/admin"
	"github.com/fairlead-auth/fairlead/portal/clusters"
	"github.com/fairlead-auth/fairlead/portal/help"
	"github.com/fairlead-auth/fairlead/portal/recovery"
	"github.com/fairlead-auth/fairlead/portal/workloads"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/oidc/consent"
	"github.com/fairlead-auth/fairlead/server/oidc/device"
	"github.com/fairlead-auth/fairlead/server/oidc/logout"
	"github.com/fairlead-auth/fairlead/server/signin/login"
	"github.com/fairlead-auth/fairlead/templates"
)

const hostile = `"><script>alert(1)</script>' onload=x javascript:alert(2) {{.}}`

// page is one page with its data type forgotten.
type page struct {
	name   string
	check  func(*templates.Set) error
	render func(*templates.Set) (string, error)
}

func of[T any](p templates.Page[T]) page {
	return page{
		name: p.Name(),
		check: func(s *templates.Set) error {
			return templatecheck.CheckHTML(s.Template(p.Name()), templates.View[T]{})
		},
		render: func(s *templates.Set) (string, error) {
			var data T
			fill(reflect.ValueOf(&data).Elem(), 0)
			same := func(s string) string { return "/base" + s }
			var out bytes.Buffer
			err := templates.Render(&out, s, p, templates.View[T]{Data: data, Frame: templates.Frame{
				Title: i18n.Verbatim(hostile), Brand: hostile, Path: same, Asset: same, RequestID: hostile, Version: hostile,
				Person: &templates.Person{Name: hostile, Detail: hostile}, Demo: true, Refresh: 3,
			}})
			return out.String(), err
		},
	}
}

// fill puts hostile text everywhere.
func fill(v reflect.Value, depth int) {
	if !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(10 * time.Minute))
	case reflect.Slice:
		if depth > 7 { // a field of a form has fields
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, depth+1)
		if v.Type().Key().Kind() == reflect.String {
			v.SetMapIndex(reflect.ValueOf(hostile).Convert(v.Type().Key()), value)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[i18n.Text]() {
			v.Set(reflect.ValueOf(i18n.T(hostile)))
			return
		}
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 0)))
			return
		}
		for _, field := range v.Fields() {
			fill(field, depth+1)
		}
	default:
	}
}

func pages() []page {
	return []page{
		of(web.ErrorPage()), of(login.ChoosePage()), of(login.PasswordPage()), of(login.SecondFactorPage()), of(consent.Page()), of(web.FormPostPage()), of(device.CodePage()), of(device.ConfirmPage()), of(device.DonePage()), of(logout.ConfirmPage()), of(logout.SignedOutPage()),
		of(clusters.HomePage()), of(clusters.ClusterPage()), of(clusters.AccessPage()), of(account.Page()), of(help.Page()), of(workloads.Page()),
		of(admin.OverviewPage()), of(admin.DiagnosticsPage()), of(admin.ListPage()), of(admin.FormPage()), of(admin.DeletePage()),
		of(admin.TypesPage()), of(admin.TestPage()), of(admin.SecretPage()), of(admin.ConnectPage()), of(admin.SimulatorPage()), of(admin.MapPage()), of(admin.ConfirmPage()), of(admin.BulkDonePage()),
		of(admin.PersonPage()), of(admin.KeysPage()), of(admin.KeyPage()), of(admin.AuditPage()), of(admin.StoryPage()), of(admin.RecordingsPage()), of(admin.RecordingPage()), of(admin.RevisionPage()),
		of(admin.TokenPage()), of(admin.RecoveryPage()), of(admin.TransferPage()), of(admin.SearchPage()), of(admin.ClaimsPage()), of(recovery.SetupPage()), of(recovery.RecoverPage()), of(recovery.InvitationPage()),
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	languages, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := templates.Load(languages)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range pages() {
		names = append(names, p.name)
		if err := p.check(set); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		text, err := p.render(set)
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if strings.Contains(text, "<script>alert") || strings.Contains(text, `href="javascript`) || strings.Contains(text, "' onload=x javascript") {
			t.Errorf("%s does not escape:\n%s", p.name, text)
		}
		for _, must := range []string{"<h1", `lang="en"`, `class="skip"`, "<main"} {
			if !strings.Contains(text, must) {
				t.Errorf("%s has no %s", p.name, must)
			}
		}
	}
	for _, name := range set.Names() {
		if !slices.Contains(names, name) {
			t.Errorf("template %s belongs to no page", name)
		}
	}
}
