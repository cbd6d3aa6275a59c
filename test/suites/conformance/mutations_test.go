package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// mutation is a deliberate protocol fault: in a file, one text is replaced by
// another that is wrong when the fault is switched on. caught names the check
// that must notice.
type mutation struct {
	name, file, old, wrong, caught string
}

// switchedOn is what the replaced text asks: is this fault switched on?
func switchedOn(name string) string { return `mutated("` + name + `")` }

// mutations is the list. Each text must be there exactly once, so that the list
// can't rot silently.
func mutations() []mutation {
	m := func(name, file, old, wrong, caught string) mutation { return mutation{name, file, old, wrong, caught} }
	return []mutation{
		// Codes.
		m("code_reused", "server/oidc/token/code.go", "if row.Used != 0 {", "if row.Used != 0 && !"+switchedOn("code_reused")+" {", "TestCodeReuse"),
		m("code_reuse_revokes_nothing", "server/oidc/token/device.go", "	if err := h.Store.RevokeIssued(", "	if "+switchedOn("code_reuse_revokes_nothing")+" {\n		return errInvalidCode()\n	}\n	if err := h.Store.RevokeIssued(", "TestCodeReuse"),
		m("code_of_another_client", "server/oidc/token/code.go", "if row.ClientID != req.client.ID {", "if row.ClientID != req.client.ID && !"+switchedOn("code_of_another_client")+" {", "TestCodeIsBound"),
		m("redirect_uri_not_compared", "server/oidc/token/code.go", "if uri != row.RedirectURI && (", "if !"+switchedOn("redirect_uri_not_compared")+" && uri != row.RedirectURI && (", "TestCodeIsBound"),
		m("stranger_replays_code", "server/oidc/token/code.go", "	if err := checkCode(row, req); err != nil {", "	if "+switchedOn("stranger_replays_code")+" && row.Used != 0 {\n		return nil, h.revokeReplayed(ctx, row.UserID, row.DeviceID, row.AccessHash, req)\n	}\n	if err := checkCode(row, req); err != nil {", "TestCodeReplayWithOtherParameters"),
		// PKCE.
		m("verifier_not_checked", "server/oidc/token/code.go", "if !matchesChallenge(", "if !"+switchedOn("verifier_not_checked")+" && !matchesChallenge(", "TestPKCE"),
		m("verifier_without_challenge", "server/oidc/token/code.go", `return verifier == ""`, `return verifier == "" || `+switchedOn("verifier_without_challenge"), "TestPKCE"),
		m("pkce_optional_for_all", "server/oidc/authorize/parse.go", `method == "" && !p.client.PKCERequired:`, `method == "" && (!p.client.PKCERequired || `+switchedOn("pkce_optional_for_all")+"):", "TestPKCE"),
		m("plain_allowed", "server/oidc/authorize/parse.go", `case method != "S256":`, `case method != "S256" && !`+switchedOn("plain_allowed")+":", "TestPKCE"),
		// Redirects.
		m("redirect_prefix_match", "server/policy/clients/redirect.go", "if uri == registered {", "if uri == registered || "+switchedOn("redirect_prefix_match")+" && strings.HasPrefix(uri, registered) {", "TestRedirectURI"),
		m("redirect_not_checked", "server/oidc/authorize/parse.go", "len(uri) > maxRedirectURIBytes || !client.AllowsRedirect(uri)", "len(uri) > maxRedirectURIBytes || !client.AllowsRedirect(uri) && !"+switchedOn("redirect_not_checked"), "TestRedirectURI"),
		m("redirect_307", "server/signin/login/login.go", `return c.Redirect(http.StatusSeeOther, h.Site.Path("/authorize/continue")+`, `return c.Redirect(map[bool]int{true: http.StatusTemporaryRedirect, false: http.StatusSeeOther}[`+switchedOn("redirect_307")+`], h.Site.Path("/authorize/continue")+`, "TestNoSecretTravelsOn"),
		m("return_to_anywhere", "server/base/flow/flow.go", "	switch {\n	case !strings.HasPrefix(path, \"/\")", "	if "+switchedOn("return_to_anywhere")+" {\n		return path\n	}\n	switch {\n	case !strings.HasPrefix(path, \"/\")", "TestNoOpenRedirect"),
		m("iss_missing", "server/oidc/authresponse/authresponse.go", `params["state"], params["iss"] = req.State, s.Issuer`, `params["state"], params["iss"] = req.State, map[bool]string{false: s.Issuer}[`+switchedOn("iss_missing")+"]", "TestServer"),
		m("state_cut", "server/oidc/authresponse/authresponse.go", `params["state"], params["iss"] = req.State,`, `params["state"], params["iss"] = map[bool]string{true: strings.TrimSpace(req.State[:min(64, len(req.State))]), false: req.State}[`+switchedOn("state_cut")+"],", "TestStateComesBackExactly"),
		// Requests.
		m("implicit_allowed", "server/oidc/authorize/parse.go", `case params["response_type"] != "code":`, `case params["response_type"] != "code" && !`+switchedOn("implicit_allowed")+":", "TestResponseType"),
		m("request_object_ignored", "server/oidc/authorize/parse.go", `case params["request"] != "":`, `case params["request"] != "" && !`+switchedOn("request_object_ignored")+":", "TestRequestObjects"),
		m("repeated_parameter", "server/base/oauth/oauth.go", "case len(list) > 1:", "case len(list) > 1 && !"+switchedOn("repeated_parameter")+":", "TestRepeatedParameters"),
		m("prompt_login_ignored", "server/oidc/authorize/parse.go", `case "login", "select_account":`, `case "login", "select_account":
			if `+switchedOn("prompt_login_ignored")+` {
				continue
			}`, "TestPromptLogin"),
		m("prompt_none_shows_pages", "server/oidc/authorize/parse.go", "p.silent = true", "p.silent = !"+switchedOn("prompt_none_shows_pages"), "TestPromptNone"),
		m("max_age_ignored", "server/oidc/authorize/parse.go", `if params["max_age"] == "" {`, `if params["max_age"] == "" || `+switchedOn("max_age_ignored")+" {", "TestMaxAge"),
		m("public_client_not_confirmed", "server/oidc/authorize/authorize.go", "if p.client.Public {", "if p.client.Public && !"+switchedOn("public_client_not_confirmed")+" {", "TestPromptNone"),
		m("unsigned_hint", "server/signing/keys/keys.go", "	parsed, err := jose.ParseSignedCompact(token, Algorithms())", "	if parts := strings.Split(token, \".\"); "+switchedOn("unsigned_hint")+" && len(parts) == 3 {\n		return base64.RawURLEncoding.DecodeString(parts[1])\n	}\n	parsed, err := jose.ParseSignedCompact(token, Algorithms())", "TestIDTokenHint"),
		m("hint_ignored", "server/oidc/authorize/authorize.go", `subject != "" && subject != current.User.ID`, `subject != "" && subject != current.User.ID && !`+switchedOn("hint_ignored"), "TestIDTokenHint"),
		m("consent_not_asked", "server/oidc/authorize/authorize.go", "if p.client.FirstParty {", "if p.client.FirstParty || "+switchedOn("consent_not_asked")+" {", "TestConsent"),
		m("consent_of_any_scope", "server/base/store/consent.go", "return !slices.ContainsFunc(", "return "+switchedOn("consent_of_any_scope")+" || !slices.ContainsFunc(", "TestConsent"),
		// Tokens.
		m("no_store_missing", "server/base/oauth/oauth.go", `h.Set("Cache-Control", "no-store")`, `h.Set("Cache-Control", map[bool]string{true: "private", false: "no-store"}[`+switchedOn("no_store_missing")+"])", "TestServer"),
		m("nonce_dropped", "server/signing/issuer/issuer.go", "claims.Nonce, claims.AMR = t.Nonce, t.AMR", "claims.Nonce, claims.AMR = map[bool]string{false: t.Nonce}["+switchedOn("nonce_dropped")+"], t.AMR", "TestServer"),
		m("audience_swapped", "server/signing/issuer/issuer.go", "claims.Issuer, claims.Audience, claims.ID = i.URL, t.Audience,", "claims.Issuer, claims.Audience, claims.ID = i.URL, map[bool]string{true: t.Requester, false: t.Audience}["+switchedOn("audience_swapped")+"],", "TestTokenExchange"),
		m("kid_missing", "server/signing/keys/pair.go", "Key: jose.JSONWebKey{Key: parsed, KeyID: row.ID}", `Key: jose.JSONWebKey{Key: parsed, KeyID: map[bool]string{false: row.ID}[`+switchedOn("kid_missing")+"]}", "TestIDTokenSignature"),
		m("private_key_published", "server/signing/keys/pair.go", "jose.JSONWebKey{Key: key.Public(), KeyID: id,", "jose.JSONWebKey{Key: map[bool]any{true: key, false: key.Public()}["+switchedOn("private_key_published")+"], KeyID: id,", "TestKeySet"),
		m("email_unasked", "server/signing/issuer/issuer.go", "if slices.Contains(scopes, oauth.ScopeEmail) && u.Email", "if (slices.Contains(scopes, oauth.ScopeEmail) || "+switchedOn("email_unasked")+") && u.Email", "TestUserInfo"),
		m("userinfo_token_in_query", "server/oidc/tokeninfo/bearer.go", `	headers := r.Header.Values("Authorization")`, `	if t := r.URL.Query().Get("access_token"); t != "" && `+switchedOn("userinfo_token_in_query")+" {\n		return b.validate(r, t)\n	}\n	headers := r.Header.Values(\"Authorization\")", "TestUserInfo"),
		m("secret_not_checked", "server/oidc/clientauth/clientauth.go", "	if !ok {\n		return false, nil\n	}", "	if !ok && !"+switchedOn("secret_not_checked")+" {\n		return false, nil\n	}", "TestClientAuthentication"),
		m("assertion_reused", "server/oidc/clientauth/assertion.go", "if err != nil || !first {", "if err != nil || !first && !"+switchedOn("assertion_reused")+" {", "TestClientAuthentication"),
		m("assertion_for_another_server", "server/oidc/clientauth/assertion.go", "!slices.Contains(a.Audiences, claims.Audience[0])", "!slices.Contains(a.Audiences, claims.Audience[0]) && !"+switchedOn("assertion_for_another_server"), "TestClientAuthentication"),
		// Refreshing.
		m("auth_time_moved", "server/oidc/token/refresh.go", "AMR: r.device.AMR, Authenticated: r.device.Authenticated,", "AMR: r.device.AMR, Authenticated: map[bool]store.Instant{true: store.At(h.Now()), false: r.device.Authenticated}["+switchedOn("auth_time_moved")+"],", "TestRefreshToken"),
		m("refresh_of_another_client", "server/oidc/token/refresh.go", "if device.ClientID != req.client.ID {", "if device.ClientID != req.client.ID && !"+switchedOn("refresh_of_another_client")+" {", "TestRefreshTokenIsBound"),
		m("refresh_widens", "server/oidc/token/refresh.go", "if !slices.Contains(granted, s) {", "if !slices.Contains(granted, s) && !"+switchedOn("refresh_widens")+" {", "TestRefreshScope"),
		m("family_not_revoked", "server/oidc/token/refresh.go", "	if _, err := h.Store.End(ctx, replayed,", "	if "+switchedOn("family_not_revoked")+" {\n		return nil, errDeviceEnded(&store.Device{Reason: store.RevokedReplay})\n	}\n	if _, err := h.Store.End(ctx, replayed,", "TestRefreshReplay"),
		m("grace_for_ever", "server/oidc/token/refresh.go", "h.outage.inGrace(row.Used.Time(), h.Now(), h.RuntimeSettings.Get().RefreshGrace)", "(h.outage.inGrace(row.Used.Time(), h.Now(), h.RuntimeSettings.Get().RefreshGrace) || "+switchedOn("grace_for_ever")+")", "TestRefreshGraceEnds"),
		m("revoked_token_works", "server/base/store/token.go", "return t.Revoked == 0 && ", "return (t.Revoked == 0 || "+switchedOn("revoked_token_works")+") && ", "TestRevocation"),
		m("anybody_revokes", "server/oidc/tokeninfo/revoke.go", "if err != nil || device.ClientID != client.ID {", "if err != nil || device.ClientID != client.ID && !"+switchedOn("anybody_revokes")+" {", "TestRevocation"),
		m("introspection_open", "server/oidc/tokeninfo/introspect.go", "if client.Public {", "if client.Public && !"+switchedOn("introspection_open")+" {", "TestIntrospection"),
		m("introspection_of_others", "server/oidc/tokeninfo/introspect.go", "if row.ClientID != client.ID || ", "if row.ClientID != client.ID && !"+switchedOn("introspection_of_others")+" || ", "TestIntrospection"),
		// Exchange and devices.
		m("exchange_without_rule", "server/policy/access/access.go", "	if d.Allowed {\n		return d, nil\n	}", "	if d.Allowed || "+switchedOn("exchange_without_rule")+" {\n		return d, nil\n	}", "TestTokenExchange"),
		m("exchange_of_others", "server/oidc/token/exchange.go", "|| row.ClientID != req.client.ID {", "|| "+switchedOn("exchange_of_others")+" {", "TestTokenExchange"),
		m("device_code_reused", "server/oidc/token/device.go", "if row.Used != 0 {", "if row.Used != 0 && !"+switchedOn("device_code_reused")+" {", "TestDeviceGrant"),
		m("device_approved_by_link", "server/oidc/token/device.go", "case row.Approved == 0:", "case row.Approved == 0 && !"+switchedOn("device_approved_by_link")+":", "TestDeviceGrant"),
		m("device_polls_not_counted", "server/oidc/token/device.go", "case early:", "case early && !"+switchedOn("device_polls_not_counted")+":", "TestDeviceGrant"),
		// Signing out, and browsers.
		m("logout_redirects_anywhere", "server/oidc/logout/endsession.go", "if client == nil || !slices.Contains(client.PostLogoutURIs, uri) {", "if client == nil || !slices.Contains(client.PostLogoutURIs, uri) && !"+switchedOn("logout_redirects_anywhere")+" {", "TestLogoutNeverRedirects"),
		m("logout_without_proof", "server/oidc/logout/endsession.go", "if current != nil && !hintMatches(proof, current) {", "if current != nil && !hintMatches(proof, current) && !"+switchedOn("logout_without_proof")+" {", "TestLogoutAsks"),
		m("logout_keeps_session", "server/base/store/signin.go", `return s.Ended == 0 && `, `return (s.Ended == 0 || `+switchedOn("logout_keeps_session")+`) && `, "TestLogout"),
		m("logout_token_with_nonce", "server/oidc/backchannel/backchannel.go", "ID: secret.ID(\"jti\"), SID: notice.SID, Events: map[string]struct{}{logoutEvent: {}},", "ID: secret.ID(\"jti\"), SID: notice.SID, Events: map[string]struct{}{map[bool]string{true: \"x\", false: logoutEvent}["+switchedOn("logout_token_with_nonce")+"]: {}},", "TestBackChannelLogout"),
		m("flow_not_bound", "server/base/flow/flow.go", `func sealContext(browser string) string { return "flow:" + secret.Hash(browser) }`, `func sealContext(browser string) string {
	if `+switchedOn("flow_not_bound")+` {
		return "flow:"
	}
	return "flow:" + secret.Hash(browser)
}`, "TestLoginCSRF"),
		m("cookie_for_any_host", "server/signin/session/session.go", "	if m.Secure {\n		return \"__Host-fairlead\"", "	if m.Secure && !"+switchedOn("cookie_for_any_host")+" {\n		return \"__Host-fairlead\"", "TestCookies"),
		m("frames_allowed", "server/base/web/web.go", "; base-uri 'none'; frame-ancestors 'none';", "; base-uri 'none';\" + map[bool]string{false: \" frame-ancestors 'none';\"}["+switchedOn("frames_allowed")+"] + \"", "TestPagesCanNotBeFramed"),
		m("unknown_name_told", "server/signin/upstream/upstream.go", `errs.Wrap(errs.Unauthenticated, err, "The user name or password is wrong. Try again.")`, `errs.Wrap(errs.Unauthenticated, err, "The user name or password is wrong. Try again."+map[bool]string{true: err.Error() + strconv.FormatInt(time.Now().UnixNano(), 10)}[`+switchedOn("unknown_name_told")+"])", "TestWrongPasswordTellsNothing"),
		m("metadata_lies", "server/oidc/discovery/discovery.go", `PKCE: []string{"S256"},`, `PKCE: append([]string{"S256"}, map[bool][]string{true: {"plain"}}[`+switchedOn("metadata_lies")+"]...),", "TestMetadata"),
	}
}

// helper is added to each package that has faults.
const helper = "package %s\n\nimport \"os\"\n\nfunc mutated(name string) bool { return os.Getenv(\"FAIRLEAD_MUTATION\") == name }\n"

// moreImports are what some replaced texts need.
func moreImports() map[string][]string {
	return map[string][]string{"server/signing/keys/keys.go": {"encoding/base64", "strings"}, "server/signin/upstream/upstream.go": {"strconv"}}
}

// TestMutations builds the server with every fault in it, each behind a switch,
// and switches them on one at a time: the check that is named must fail, and
// without a switch it must pass.
func TestMutations(t *testing.T) {
	t.Parallel()
	if os.Getenv(serverVariable) != "" || *issuerFlag != "" {
		t.Skip("this is the run of one mutation")
	}
	if testing.Short() {
		t.Skip("builds a server")
	}
	prerequisite.Variable(t, "FAIRLEAD_TEST_BIN", "built programs")
	server := buildMutated(t)
	slots := make(chan struct{}, 2)
	t.Run("none", func(t *testing.T) {
		if out, err := runWith(t, server, "", "TestServer|TestCodeReuse|TestRefreshReplay|TestLogout"); err != nil {
			t.Fatalf("without a fault: %v\n%s", err, out)
		}
	})
	t.Run("each", func(t *testing.T) {
		for _, m := range mutations() {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				out, err := runWith(t, server, m.name, m.caught)
				if err == nil {
					t.Errorf("%s did not notice", m.caught)
				}
				if !strings.Contains(out, "--- FAIL: "+m.caught) {
					t.Errorf("%s did not fail by a check:\n%s", m.caught, out)
				}
			})
		}
	})
}

func runWith(t *testing.T, server, name, checks string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", "^("+checks+")$", "-test.v=false")
	cmd.Env = append(os.Environ(), serverVariable+"="+server, "FAIRLEAD_MUTATION="+name)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestMutationsMatchTheSource fails fast when a replaced text is no longer in its
// file, without building a server.
func TestMutationsMatchTheSource(t *testing.T) {
	t.Parallel()
	mutatedSources(t, repositoryRoot(t))
}

func repositoryRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// mutatedSources returns the text of each mutated file, by its path below root.
func mutatedSources(t *testing.T, root string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, m := range mutations() {
		if _, read := texts[m.file]; !read {
			body, err := os.ReadFile(filepath.Join(root, m.file))
			if err != nil {
				t.Fatal(err)
			}
			texts[m.file] = string(body)
		}
		if n := strings.Count(texts[m.file], m.old); n != 1 {
			t.Errorf("%s: %q is in %s %d times, want once", m.name, m.old, m.file, n)
		}
		texts[m.file] = strings.Replace(texts[m.file], m.old, m.wrong, 1)
	}
	return texts
}

// buildMutated builds the server with every mutation. It replaces files in the
// build only (go build -overlay); the work tree stays as it is.
func buildMutated(t *testing.T) string {
	t.Helper()
	root, dir := repositoryRoot(t), t.TempDir()
	texts := mutatedSources(t, root)
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	write := func(path, text string) {
		name := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(root, path)] = name
	}
	for file, text := range texts {
		for _, path := range moreImports()[file] {
			text = strings.Replace(text, "import (\n", "import (\n\t\""+path+"\"\n", 1)
		}
		write(file, text)
		folder := filepath.Dir(file)
		write(filepath.Join(folder, "zz_mutated.go"), fmt.Sprintf(helper, filepath.Base(folder)))
	}
	body, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	server := filepath.Join(dir, "fairlead")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", server, "./cmd/fairlead")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return server
}
