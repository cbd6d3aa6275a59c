package e2e_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // the auth provider that kubeconfig files can name
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

// TestDeviceFlowOfXOAuth2 is golang.org/x/oauth2 waiting for a person, with its
// own patience.
func TestDeviceFlowOfXOAuth2(t *testing.T) {
	t.Parallel()
	s := withClient(t)
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, s.client)
	cfg := oauth2.Config{
		ClientID: "kubectl-fairlead", Scopes: []string{"openid", "offline_access"},
		Endpoint: oauth2.Endpoint{DeviceAuthURL: s.issuer + "/device/authorize", TokenURL: s.issuer + "/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	codes, err := cfg.DeviceAuth(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tokens := make(chan *oauth2.Token, 1)
	go func() {
		tok, err := cfg.DeviceAccessToken(ctx, codes)
		if err != nil {
			t.Error(err)
		}
		tokens <- tok
	}()
	b := relyingparty.NewBrowser(t, s.issuer, s.client.Transport)
	b.SignIn(s.issuer+"/", jane().Credentials)
	page := b.Submit(b.Get(codes.VerificationURI), map[string]string{"user_code": codes.UserCode})
	b.Submit(page, map[string]string{"answer": "yes"})
	select {
	case tok := <-tokens:
		if tok == nil || tok.RefreshToken == "" || tok.Extra("id_token") == nil {
			t.Errorf("token %+v", tok)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no token")
	}
}

// TestAuthProviderOfClientGo is the "oidc" auth-provider of kubeconfig files: it
// refreshes an ID token that has expired and sends the new one.
func TestAuthProviderOfClientGo(t *testing.T) {
	t.Parallel()
	s := withClient(t)
	cluster := &relyingparty.Client{Issuer: s.issuer, ID: "k8s-rsa", RedirectURI: "http://localhost:8000", Scope: "openid offline_access", Transport: s.client.Transport}
	tokens := cluster.SignIn(t, relyingparty.NewBrowser(t, s.issuer, s.client.Transport), jane().Credentials)
	var sent []string
	api := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sent = append(sent, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	}))
	t.Cleanup(api.Close)
	kept := &persister{}
	transport, err := rest.TransportFor(&rest.Config{
		Host: api.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, AuthConfigPersister: kept,
		AuthProvider: &clientcmdapi.AuthProviderConfig{Name: "oidc", Config: map[string]string{
			"idp-issuer-url": s.issuer, "client-id": "k8s-rsa", "refresh-token": tokens.RefreshToken, "idp-certificate-authority": s.dir + "/ca.crt",
			"id-token": expired,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		resp, err := (&http.Client{Transport: transport}).Get(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if len(sent) != 2 || sent[0] != sent[1] {
		t.Fatalf("sent %q, want one fresh token twice", sent)
	}
	if claims := relyingparty.Claims(t, sent[0]); claims["aud"] != "k8s-rsa" || claims["preferred_username"] != "local:jane@example.test" {
		t.Errorf("claims %v", claims)
	}
	if kept.config["refresh-token"] == tokens.RefreshToken || kept.config["refresh-token"] == "" {
		t.Error("the rotated refresh token was not kept")
	}
	// The next process starts from what was kept.
	if got := cluster.Refresh(t, kept.config["refresh-token"]); got.Error != "" {
		t.Errorf("refresh: %s", got.Raw)
	}
}

// expired is an ID token of 1970; the provider looks only at its exp.
const expired = "e30.eyJleHAiOjF9.e30"

// persister keeps what the auth provider would write into the kubeconfig.
type persister struct{ config map[string]string }

func (p *persister) Persist(config map[string]string) error {
	p.config = config
	return nil
}
