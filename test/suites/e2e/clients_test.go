package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zitadel "github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// withClient is a server with a relying party and two clusters, one of each
// algorithm.
func withClient(t *testing.T) *system {
	t.Helper()
	s := prepare(t, needParts(t))
	writeFile(t, s.dir+"/client-secret", "s3cret")
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), localUsers(t)+fmt.Sprintf(`
clients:
- {id: app, name: App, redirectURIs: ["https://app.example.test/cb"], secrets: ["file:%s/client-secret"]}
clusters:
- {id: rsa, server: "https://127.0.0.1:1"}
- {id: ec, server: "https://127.0.0.1:1", algorithm: ES256}
rules:
- {id: developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
`, s.dir))
	return s
}

// TestZitadelRelyingParty is an independent client in Go.
func TestZitadelRelyingParty(t *testing.T) {
	t.Parallel()
	s := withClient(t)
	const redirect = "https://app.example.test/cb"
	party, err := zitadel.NewRelyingPartyOIDC(t.Context(), s.issuer, "app", "s3cret", redirect,
		[]string{"openid", "profile", "email", "groups", "offline_access"}, zitadel.WithHTTPClient(s.client))
	if err != nil {
		t.Fatal(err)
	}
	verifier, challenge := relyingparty.PKCE()
	page := relyingparty.NewBrowser(t, s.issuer, s.client.Transport).SignIn(zitadel.AuthURL("state-1", party, zitadel.WithCodeChallenge(challenge)), jane().Credentials)
	tokens, err := zitadel.CodeExchange[*oidc.IDTokenClaims](t.Context(), page.Code(t), party, zitadel.WithCodeVerifier(verifier))
	if err != nil {
		t.Fatal(err)
	}
	info, err := zitadel.Userinfo[*oidc.UserInfo](t.Context(), tokens.AccessToken, tokens.TokenType, tokens.IDTokenClaims.Subject, party)
	if err != nil || info.Email != "jane@example.test" || !bool(info.EmailVerified) {
		t.Errorf("userinfo %+v, error %v", info, err)
	}
	refreshed, err := zitadel.RefreshTokens[*oidc.IDTokenClaims](t.Context(), party, tokens.RefreshToken, "", "")
	if err != nil || refreshed.IDTokenClaims.Subject != tokens.IDTokenClaims.Subject || refreshed.RefreshToken == tokens.RefreshToken {
		t.Errorf("refresh: %v", err)
	}
	if err := zitadel.RevokeToken(t.Context(), party, refreshed.RefreshToken, "refresh_token"); err != nil {
		t.Errorf("revocation: %v", err)
	}
}

// node runs a relying party in JavaScript: it prints an address, a browser signs
// in there, it reads where the browser was sent, and prints what it got.
func node(t *testing.T, s *system, script string, got any) {
	t.Helper()
	js := prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "npm modules")
	cmd := exec.CommandContext(t.Context(), prerequisite.Program(t, "node"), js+"/"+script, s.issuer, "app", "s3cret", "https://app.example.test/cb")
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+s.dir+"/ca.crt")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	complaints := &tail{}
	cmd.Stderr = complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatalf("no authorization URL: %s", complaints)
	}
	page := relyingparty.NewBrowser(t, s.issuer, s.client.Transport).SignIn(lines.Text(), jane().Credentials)
	page.Code(t)
	if _, err := io.WriteString(stdin, page.RedirectedTo.String()+"\n"); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() {
		t.Fatalf("no result: %s", complaints)
	}
	if err := json.Unmarshal(lines.Bytes(), got); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// TestOpenIDClient is a certified client in JavaScript.
func TestOpenIDClient(t *testing.T) {
	t.Parallel()
	var got struct {
		Sub, Email, Refreshed, AfterRevocation string
		Groups                                 []string
	}
	node(t, withClient(t), "relying-party.mjs", &got)
	if got.Email != "jane@example.test" || got.Refreshed != got.Sub || got.AfterRevocation != "invalid_grant" || !cmp.Equal(got.Groups, []string{"local:developers"}) {
		t.Errorf("got %+v", got)
	}
}

// TestOAuth4WebAPI is the strict library beneath it, with introspection.
func TestOAuth4WebAPI(t *testing.T) {
	t.Parallel()
	var got struct {
		Sub, Email, Refreshed string
		Active, Dead          bool
	}
	node(t, withClient(t), "oauth4webapi.mjs", &got)
	if got.Email != "jane@example.test" || got.Refreshed != got.Sub || !got.Active || got.Dead {
		t.Errorf("got %+v", got)
	}
}

// TestAPIServerAuthenticator is the code of kube-apiserver itself, both
// algorithms; a token of another cluster and an access token are refused.
func TestAPIServerAuthenticator(t *testing.T) {
	t.Parallel()
	s := withClient(t)
	plugin := &relyingparty.Client{Issuer: s.issuer, ID: "kubectl-fairlead", RedirectURI: "http://127.0.0.1:1/callback", Scope: "openid offline_access", Transport: s.client.Transport}
	tokens := plugin.SignIn(t, relyingparty.NewBrowser(t, s.issuer, s.client.Transport), jane().Credentials)
	check := func(audience, token string) (string, error) {
		cmd := exec.CommandContext(t.Context(), s.parts.kube+"/authenticator", "-issuer", s.issuer, "-audience", audience, "-ca", s.dir+"/ca.crt")
		cmd.Stdin = strings.NewReader(token)
		out, err := cmd.Output()
		return string(out), err
	}
	for _, cluster := range []string{"rsa", "ec"} {
		token := plugin.Exchange(t, tokens.AccessToken, "k8s-"+cluster).AccessToken
		out, err := check("k8s-"+cluster, token)
		if err != nil || !strings.Contains(out, `"user":"local:jane@example.test"`) || !strings.Contains(out, `"groups":["local:developers"]`) {
			t.Errorf("%s: %s, %v", cluster, out, err)
		}
		if out, err := check("k8s-other", token); err == nil {
			t.Errorf("%s: accepted for another audience: %s", cluster, out)
		}
	}
	for name, token := range map[string]string{"access token": tokens.AccessToken, "the plugin's own ID token": tokens.IDToken} {
		if out, err := check("k8s-rsa", token); err == nil {
			t.Errorf("%s was accepted: %s", name, out)
		}
	}
}

// TestKubeloginVariant follows what kubelogin does on the wire: loopback at port
// 8000, then 18000, without a path; the scopes that the file gives; PKCE; the
// client id in the body; a silent refresh.
func TestKubeloginVariant(t *testing.T) {
	t.Parallel()
	s := withClient(t)
	b := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	b.SignIn(s.issuer+"/", jane().Credentials)
	file := b.Get(s.issuer + "/clusters/rsa/kubeconfig?for=kubelogin")
	cfg, err := clientcmd.Load([]byte(file.Text))
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]string{}
	scopes := []string{"openid"}
	for _, arg := range cfg.AuthInfos["rsa"].Exec.Args[1:] {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		flags[name] = value
		if name == "oidc-extra-scope" {
			scopes = append(scopes, value)
		}
	}
	if cfg.AuthInfos["rsa"].Exec.Command != "kubectl-oidc_login" || flags["oidc-pkce-method"] != "S256" {
		t.Errorf("exec %+v", cfg.AuthInfos["rsa"].Exec)
	}
	for _, address := range []string{"127.0.0.1:8000", "127.0.0.1:18000", "127.0.0.1:0"} {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			continue // kubelogin takes the next one
		}
		kubelogin(t, s, b, ln, login{issuer: flags["oidc-issuer-url"], client: flags["oidc-client-id"], scopes: scopes})
	}
}

type login struct {
	issuer, client string
	scopes         []string
}

func kubelogin(t *testing.T, s *system, b *relyingparty.Browser, ln net.Listener, l login) {
	t.Helper()
	codes := make(chan url.Values, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && r.URL.Query().Has("code") {
			codes <- r.URL.Query()
		}
		fmt.Fprint(w, "<!doctype html><main>done</main>")
	})}
	go func() { _ = srv.Serve(ln) }()
	defer srv.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, s.client)
	cfg := oauth2.Config{
		ClientID: l.client, RedirectURL: "http://localhost:" + port, Scopes: l.scopes,
		Endpoint: oauth2.Endpoint{AuthURL: l.issuer + "/authorize", TokenURL: l.issuer + "/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	verifier := oauth2.GenerateVerifier()
	page := b.SignIn(cfg.AuthCodeURL("state-1", oauth2.AccessTypeOffline, oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("nonce", "n")), relyingparty.Credentials{})
	if page.RedirectedTo == nil {
		t.Fatalf("%v\n%s", page, page.Text)
	}
	if _, err := http.Get(page.RedirectedTo.String()); err != nil {
		t.Fatal(err)
	}
	var q url.Values
	select {
	case q = <-codes:
	case <-time.After(10 * time.Second):
		t.Fatal("no code arrived")
	}
	tok, err := cfg.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	tok.Expiry = time.Now().Add(-time.Minute)
	refreshed, err := cfg.TokenSource(ctx, tok).Token()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]*oauth2.Token{"sign-in": tok, "refresh": refreshed} {
		raw, _ := got.Extra("id_token").(string)
		claims := relyingparty.Claims(t, raw)
		if claims["aud"] != l.client || claims["preferred_username"] != "local:jane@example.test" {
			t.Errorf("%s: claims %v", name, claims)
		}
	}
}
