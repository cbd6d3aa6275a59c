// Package identities_test replays what real identity providers send, one file for
// each answer, through the connectors and the database, and compares the result.
// To add a case, add a file to testdata.
package identities_test

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/signin/upstream"
	"github.com/fairlead-auth/fairlead/test/fakes/fakesaml"
	"github.com/fairlead-auth/fairlead/test/fakes/scriptedoidc"
)

// testCase is one file.
type testCase struct {
	// Product and About say who sends this, and where that is documented or reported.
	Product string `json:"product"`
	About   string `json:"about"`
	// Connector is the type of connector; Settings are added to those that every
	// connector needs. ISSUER stands for the provider's address.
	Connector string         `json:"connector"`
	Settings  map[string]any `json:"settings"`
	// Preset is the preset of the form that the settings start from.
	Preset string `json:"preset"`
	// AsOAuth says that a provider without OpenID Connect can answer the same, at its own userinfo address.
	AsOAuth bool `json:"asOAuth"`
	// SignIn is what the provider answers at the sign-in; Renewal, if set, is what it
	// answers when it is asked again, and NextRenewal what it answers after that.
	SignIn      scriptedoidc.Script  `json:"signIn"`
	Renewal     *scriptedoidc.Script `json:"renewal"`
	NextRenewal *scriptedoidc.Script `json:"nextRenewal"`
	// SAML is what a SAML provider answers instead. KEYPAIR in the settings stands for a
	// key pair of ours.
	SAML fakesaml.Script `json:"saml"`

	Want            want  `json:"want"`
	WantRenewal     *want `json:"wantRenewal"`
	WantNextRenewal *want `json:"wantNextRenewal"`
	// WantRequest are parameters of the authorization request; an empty value means
	// that the parameter must be absent.
	WantRequest map[string]string `json:"wantRequest"`
}

// want is the expected result.
type want struct {
	// Outcome is empty if the user gets in.
	Outcome  connectors.Outcome `json:"outcome"`
	Username string             `json:"username"`
	Name     string             `json:"name"`
	Email    string             `json:"email"`
	Verified bool               `json:"verified"`
	Groups   []string           `json:"groups"`
	// LeftOut is how many groups are left out.
	LeftOut int `json:"leftOut"`
	// Says must be in the error.
	Says string `json:"says"`
	// Revoked says that everything the user holds ends; Failing that the connector
	// is shown as failing.
	Revoked bool `json:"revoked"`
	Failing bool `json:"failing"`
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	next := time.Now().AddDate(1, 0, 0)
	keys := keys{idp: fakesaml.New(t, next), ours: fakesaml.New(t, next)}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		t.Helper()
		for _, file := range files {
			c := read(t, file)
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { run(t, s, c, keys) })
			if c.AsOAuth {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+" as oauth", func(t *testing.T) { run(t, s, asOAuth(t, c), keys) })
			}
		}
	})
}

func read(t *testing.T, file string) *testCase {
	t.Helper()
	text, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	decoder := json.NewDecoder(text)
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	c := &testCase{}
	if err := decoder.Decode(c); err != nil {
		t.Fatal(err)
	}
	if c.Product == "" || c.About == "" || c.Want.Outcome == "" && c.Want.Username == "" || (c.Renewal == nil) != (c.WantRenewal == nil) || (c.NextRenewal == nil) != (c.WantNextRenewal == nil) {
		t.Fatalf("%s says too little", file)
	}
	return c
}

// asOAuth returns a case of OpenID Connect for the connector oauth: the userinfo address answers what the ID token and
// the userinfo endpoint said, also at a renewal.
func asOAuth(t *testing.T, c *testCase) *testCase {
	t.Helper()
	settings := maps.Clone(presetValues(t, c))
	if settings == nil {
		settings = map[string]any{}
	}
	maps.Copy(settings, c.Settings)
	key := func(setting, usual string) any {
		if value, set := settings[setting]; set {
			return value
		}
		return usual
	}
	changed := *c
	changed.Connector, changed.Preset = "oauth", ""
	changed.Settings = map[string]any{
		"idKey": key("idClaim", "sub"), "usernameKey": key("usernameClaim", "preferred_username"), "nameKey": key("nameClaim", "name"),
		"emailKey": key("emailClaim", "email"), "groupsKey": key("groupsClaim", "groups"),
	}
	answer := func(s scriptedoidc.Script) scriptedoidc.Script {
		body, err := json.Marshal(s.Claims)
		if err != nil {
			t.Fatal(err)
		}
		s.UserInfo, s.Claims = &scriptedoidc.Answer{Body: body}, nil
		// A token that has ended is renewed.
		s.Token = map[string]any{"expires_in": -1}
		return s
	}
	changed.SignIn = answer(c.SignIn)
	if c.Renewal != nil {
		renewal := answer(*c.Renewal)
		changed.Renewal = &renewal
	}
	return &changed
}

// keys sign and decrypt the responses of SAML providers.
type keys struct{ idp, ours *fakesaml.Provider }

// bench is one case with its provider, connector and database.
type bench struct {
	store    *store.Store
	provider *scriptedoidc.Server
	registry *upstream.Registry
	row      *store.Connector
	now      time.Time
	saml     fakesaml.Script
	keys     keys
}

func setup(t *testing.T, s *store.Store, c *testCase, k keys) *bench {
	t.Helper()
	b := &bench{store: s, saml: c.SAML, keys: k, provider: scriptedoidc.Start(t, c.SignIn), now: time.Now()}
	now := func() time.Time { return b.now }
	b.provider.Now = now
	logger := slog.New(slog.DiscardHandler)
	b.registry = upstream.New(upstream.Config{
		Store: s, Audit: audit.NewLog(now, logger, s), Logger: logger, Now: now, Types: all.Types(nil),
		CallbackURL: func(id string) string { return "http://127.0.0.1/callback/" + id }, Transport: b.provider.Transport(),
	})
	id := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", " ", "-").Replace(filepath.Base(t.Name())))
	err := s.ApplyFile(t.Context(), store.Settings{Connectors: []store.Connector{{
		Enabled: true, ID: id, Type: c.Connector, Name: c.Product, UserPrefix: id + ":", Config: settings(t, c, b.provider.URL, k), Origin: store.Origin{Origin: store.OriginFile},
	}}}, b.now)
	if err != nil {
		t.Fatal(err)
	}
	if b.row, err = s.Connector(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	return b
}

func settings(t *testing.T, c *testCase, issuer string, k keys) string {
	t.Helper()
	fields := usual(c.Connector, issuer)
	maps.Copy(fields, presetValues(t, c))
	if c.Connector == "saml" {
		fields["certificates"] = k.idp.Certificate()
	}
	for name, value := range c.Settings {
		if fields[name] = value; value == "KEYPAIR" {
			fields[name] = k.ours.KeyPair()
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// presetValues returns the settings of the preset of a case.
func presetValues(t *testing.T, c *testCase) map[string]any {
	t.Helper()
	if c.Preset == "" {
		return nil
	}
	presets := all.Types(nil)[c.Connector].Presets
	i := slices.IndexFunc(presets, func(p connectors.Preset) bool { return p.Name == c.Preset })
	if i < 0 {
		t.Fatalf("there is no preset %q", c.Preset)
	}
	return presets[i].Values
}

// usual returns the settings that every connector of a type needs.
func usual(kind, site string) map[string]any {
	fields := map[string]any{"clientID": "client", "clientSecret": "secret"}
	more := map[string]map[string]any{
		"oidc": {"issuer": site}, "openshift": {"issuer": site}, "gitlab": {"baseURL": site}, "gitea": {"baseURL": site},
		"oauth":     {"authorizationURL": site + "/authorize", "tokenURL": site + "/token", "userInfoURL": site + "/userinfo"},
		"saml":      {"ssoURL": "https://idp.example.test/sso"},
		"github":    {"host": site, "orgs": []any{map[string]any{"name": "acme"}}},
		"bitbucket": {"teams": []any{"acme"}},
		"microsoft": {"tenant": "11111111-2222-3333-4444-555555555555"},
		"crowd":     {"baseURL": site, "application": "fairlead", "password": "secret"},
		"keystone":  {"host": site, "domain": "default", "username": "fairlead", "password": "secret"},
	}[kind]
	maps.Copy(fields, more)
	return fields
}

// signIn goes to the provider and back.
func (b *bench) signIn(t *testing.T) (store.ResolvedIdentity, error) {
	t.Helper()
	opened, err := b.registry.Connector(t.Context(), b.row)
	if err != nil {
		return store.ResolvedIdentity{}, err
	}
	if poster, ok := opened.(connectors.Poster); ok {
		return b.postBack(t, poster)
	}
	if _, ok := opened.(connectors.Passworder); ok {
		return b.registry.Login(t.Context(), b.row, "jane", "secret")
	}
	redirecter, ok := opened.(connectors.Redirecter)
	if !ok {
		t.Fatal("the connector does not redirect")
	}
	address, keep, err := redirecter.AuthURL(t.Context(), b.registry.CallbackURL(b.row.ID), "state")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: b.provider.Transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	back := httptest.NewRequest(http.MethodGet, res.Header.Get("Location"), http.NoBody).WithContext(t.Context())
	return b.registry.Callback(back, b.row, keep)
}

// postBack posts the response of a SAML provider.
func (b *bench) postBack(t *testing.T, poster connectors.Poster) (store.ResolvedIdentity, error) {
	t.Helper()
	ask, err := poster.AuthForm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said := fakesaml.Jane(fakesaml.RequestID(t, ask.Fields["SAMLRequest"]), b.registry.CallbackURL(b.row.ID), b.now)
	response := b.keys.idp.Render(t, b.saml, said, b.keys.ours.Certificate())
	return b.registry.PostCallback(t.Context(), b.row, ask.Kept, url.Values{"SAMLResponse": {fakesaml.Encode(t, response)}})
}

func run(t *testing.T, s *store.Store, c *testCase, k keys) {
	t.Helper()
	b := setup(t, s, c, k)
	person, err := b.signIn(t)
	for name, value := range c.WantRequest {
		if asked := b.provider.Asked(); asked.Get(name) != value || value == "" && asked.Has(name) {
			t.Errorf("the request has %s=%q, want %q", name, asked.Get(name), value)
		}
	}
	b.compare(t, "sign-in", c.Want, person.Identity, err)
	if err != nil || c.Renewal == nil {
		return
	}
	user, _, err := s.SignInUser(t.Context(), person, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.renew(t, "renewal", user.ID, *c.Renewal, *c.WantRenewal)
	if c.NextRenewal != nil {
		b.renew(t, "next renewal", user.ID, *c.NextRenewal, *c.WantNextRenewal)
	}
}

// renew lets the provider answer as the script says, and asks about the user.
func (b *bench) renew(t *testing.T, when, userID string, says scriptedoidc.Script, w want) {
	t.Helper()
	b.provider.Say(says)
	b.now = b.now.Add(6 * time.Minute)
	mark, err := b.store.FeedPosition(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := b.registry.RecheckUserByID(t.Context(), userID)
	var got connectors.Identity
	if err == nil {
		got = connectors.Identity{Username: fresh.Login, Name: fresh.DisplayName, Email: fresh.Email, EmailVerified: fresh.EmailVerified, Groups: fresh.GroupNames}
	}
	b.compare(t, when, w, got, err)
	after, err := b.store.FeedPosition(t.Context())
	if err != nil || (after.Seq != mark.Seq) != w.Revoked {
		t.Errorf("%s: revoked = %v, want %v (%v)", when, after.Seq != mark.Seq, w.Revoked, err)
	}
}

func (b *bench) compare(t *testing.T, when string, w want, got connectors.Identity, err error) {
	t.Helper()
	if _, fault := b.registry.Fault(b.row.ID); (fault != nil) != w.Failing {
		t.Errorf("%s: the connector's fault is %v, want failing = %v", when, fault, w.Failing)
	}
	if err != nil || w.Outcome != "" {
		if err == nil || connectors.OutcomeOf(err) != w.Outcome || !strings.Contains(err.Error(), w.Says) {
			t.Errorf("%s: %v (%s), want %s with %q", when, err, connectors.OutcomeOf(err), w.Outcome, w.Says)
		}
		return
	}
	slices.Sort(got.Groups)
	have := want{Username: got.Username, Name: got.Name, Email: got.Email, Verified: got.EmailVerified, Groups: got.Groups, LeftOut: len(got.LeftOut), Says: w.Says, Revoked: w.Revoked, Failing: w.Failing}
	if len(have.Groups) == 0 {
		have.Groups = nil
	}
	if diff := cmp.Diff(w, have); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}
