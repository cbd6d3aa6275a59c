package settings

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/fairlead-auth/fairlead/internal/brand"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/strictyaml"
	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// General is the kind of the entries that exist once. They can be changed, but not created or deleted.
const General = "general"

// The entries of the kind General.
const (
	Sessions = "sessions"
	Branding = "branding"
)

// Setting is an entry of the kind General. Each uses some of the keys.
type Setting struct {
	ID           string              `yaml:"id"`
	Idle         strictyaml.Duration `yaml:"idle"`
	Absolute     strictyaml.Duration `yaml:"absolute"`
	RefreshGrace strictyaml.Duration `yaml:"refreshGrace"`
	MaxAge       strictyaml.Duration `yaml:"maxAge"`
	OutageBudget strictyaml.Duration `yaml:"outageBudget"`
	// WithoutRefresh is "keep" or "signInAgain"; see runtimesettings.
	WithoutRefresh string `yaml:"withoutRefresh"`
	Brand          string `yaml:"brand"`
	Contact        string `yaml:"contact"`
	Notice         string `yaml:"notice"`
	Logo           string `yaml:"logo"`
	Color          string `yaml:"color"`
	ColorDark      string `yaml:"colorDark"`
}

// limits are the smallest and largest durations.
const (
	minSession = 5 * time.Minute
	maxSession = 90 * 24 * time.Hour
	maxGrace   = 5 * time.Minute
	maxMaxAge  = 24 * time.Hour
	maxOutage  = 7 * 24 * time.Hour
	maxBrand   = 60
	maxWords   = 1000
)

func (r *Reader) generalRows() []store.Document {
	var rows []store.Document
	for i, e := range r.in.General {
		path := fmt.Sprintf("%s[%d]", General, i)
		if e.ID != Sessions && e.ID != Branding {
			r.Doc.Add(path+".id", "must be %s or %s, not %q", Sessions, Branding, e.ID)
		}
		r.checkSetting(path, &e)
		doc := form.Doc{"idle": span(e.Idle), "absolute": span(e.Absolute), "refreshGrace": span(e.RefreshGrace), "maxAge": span(e.MaxAge), "outageBudget": span(e.OutageBudget), "withoutRefresh": e.WithoutRefresh, "brand": e.Brand, "contact": e.Contact, "notice": e.Notice, "logo": e.Logo, "color": e.Color, "colorDark": e.ColorDark}
		body, err := json.Marshal(doc.Compact())
		if err != nil {
			r.Doc.Add(path, "%v", err)
		}
		rows = append(rows, store.Document{ID: e.ID, Body: string(body), Origin: r.Origin(path)})
	}
	return rows
}

func span(d strictyaml.Duration) string {
	if d == 0 {
		return ""
	}
	return duration(time.Duration(d))
}

func (r *Reader) checkSetting(path string, e *Setting) {
	for _, c := range []struct {
		key         string
		value       strictyaml.Duration
		least, most time.Duration
	}{
		{"idle", e.Idle, minSession, maxSession},
		{"absolute", e.Absolute, minSession, maxSession},
		{"refreshGrace", e.RefreshGrace, time.Second, maxGrace},
		{"maxAge", e.MaxAge, time.Second, maxMaxAge},
		{"outageBudget", e.OutageBudget, time.Second, maxOutage},
	} {
		if d := time.Duration(c.value); d != 0 && (d < c.least || d > c.most) {
			r.Doc.Add(path+"."+c.key, "must be between %s and %s, or empty", duration(c.least), duration(c.most))
		}
	}
	values := runtimesettings.Values{IdleTimeout: time.Duration(e.Idle), AbsoluteTimeout: time.Duration(e.Absolute)}.WithDefaults()
	if values.IdleTimeout > values.AbsoluteTimeout {
		r.Doc.Add(path+".idle", "must not be longer than the maximum session length (%s)", duration(values.AbsoluteTimeout))
	}
	if !slices.Contains([]string{"", runtimesettings.KeepAccess, runtimesettings.SignInAgain}, e.WithoutRefresh) {
		r.Doc.Add(path+".withoutRefresh", "must be %s or %s, not %q", runtimesettings.KeepAccess, runtimesettings.SignInAgain, e.WithoutRefresh)
	}
	if len(e.Brand) > maxBrand {
		r.Doc.Add(path+".brand", "must have at most %d characters", maxBrand)
	}
	for _, fault := range brand.Faults(e.Logo, e.Color, e.ColorDark) {
		r.Doc.Add(path+"."+fault.Key, "%v", fault.Err)
	}
	if len(e.Notice) > maxWords || len(e.Contact) > maxWords {
		r.Doc.Add(path+".notice", "must have at most %d characters", maxWords)
	}
}

// generalDocs returns the documents of the kind General. Entries that were never set are empty.
func generalDocs(rows []store.Document) []Entry {
	list := []Entry{{ID: Sessions, Doc: form.Doc{"id": Sessions}, Origin: store.Origin{Origin: store.OriginPage}}, {ID: Branding, Doc: form.Doc{"id": Branding}, Origin: store.Origin{Origin: store.OriginPage}}}
	for _, row := range rows {
		for i := range list {
			var doc form.Doc
			if list[i].ID == row.ID && json.Unmarshal([]byte(row.Body), &doc) == nil && doc != nil {
				doc["id"] = row.ID
				list[i].Doc = doc
			}
		}
	}
	return list
}

// RuntimeValues returns the values of the rows, for the running server.
func RuntimeValues(rows []store.Document) runtimesettings.Values {
	var v runtimesettings.Values
	for _, e := range generalDocs(rows) {
		read := func(key string) time.Duration {
			d, err := time.ParseDuration(e.Doc.Text(key))
			if err != nil {
				return 0
			}
			return d
		}
		v = runtimesettings.Values{
			IdleTimeout: read("idle"), AbsoluteTimeout: read("absolute"), RefreshGrace: read("refreshGrace"), UpstreamMaxAge: read("maxAge"), OutageBudget: read("outageBudget"), WithoutRefresh: e.Doc.Text("withoutRefresh"),
			Brand: e.Doc.Text("brand"), Contact: e.Doc.Text("contact"), Notice: e.Doc.Text("notice"),
			Logo: e.Doc.Text("logo"), Color: e.Doc.Text("color"), ColorDark: e.Doc.Text("colorDark"),
		}.WithFallback(v)
	}
	return v
}

func generalFields(id string) []form.Field {
	if id == Branding {
		return []form.Field{
			{Key: "brand", Label: "Name", Help: "Shown at the top of every page and in authenticator apps. Default: Fairlead.", Kind: form.Text, Section: "Texts", Placeholder: "Acme Kubernetes"},
			{Key: "notice", Label: "Notice on the sign-in page", Help: "For example who may use this installation, or what is unavailable today.", Kind: form.Long},
			{Key: "contact", Label: "Contact for access", Help: "A sentence or an email address. Users who have no cluster yet see it.", Kind: form.Text, Placeholder: "platform@example.com"},
			{Key: "logo", Label: "Logo", Help: "Paste an SVG file, from <svg to </svg>, about as wide as it is high. Every page shows it 24 pixels high.", Kind: form.Long, Section: "Appearance", Placeholder: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">…</svg>`},
			{Key: "color", Label: "Colour", Help: "For links and buttons, such as #0b6478. It must have enough contrast to be readable.", Kind: form.Text, Placeholder: "#0b6478"},
			{Key: "colorDark", Label: "Colour in dark mode", Help: "Choose a lighter one, such as #5cc8de.", Kind: form.Text, Placeholder: "#5cc8de"},
		}
	}
	return []form.Field{
		{Key: "idle", Label: "End an unused session after", Help: "Applies to browsers and kubectl. Default: 12h, so users sign in once each morning.", Kind: form.Text, Section: "How long people stay signed in", Placeholder: "12h", Default: "12h"},
		{Key: "absolute", Label: "End every session after", Help: "Default: 168h, one week. Sessions that exist already keep their end.", Kind: form.Text, Placeholder: "168h", Default: "168h"},
		{Key: "maxAge", Label: "Check groups with the provider every", Help: "Default: 5m. A user who is removed from a group loses access after at most this time plus the token lifetime.", Kind: form.Text, Section: "Changes at the identity provider", Placeholder: "5m", Default: "5m"},
		{Key: "outageBudget", Label: "Keep access while the provider is unreachable for", Help: "Default: 1h. After that users get no new tokens until the provider answers again.", Kind: form.Text, Placeholder: "1h", Default: "1h"},
		{Key: "withoutRefresh", Label: "When the provider can’t be asked without a sign-in", Help: "SAML, a reverse proxy, and providers that give no refresh token. The groups of such users are as old as their sign-in.", Kind: form.Select, Options: []form.Option{
			{Value: "", Label: "Keep access until the session ends"}, {Value: runtimesettings.SignInAgain, Label: "Ask for a new sign-in"},
		}},
		{Key: "refreshGrace", Label: "Accept a used refresh token again for", Help: "Default: 30s, for programs that lost the answer. Later use counts as theft and ends the session of that device.", Kind: form.Text, Advanced: true, Placeholder: "30s", Default: "30s"},
	}
}
