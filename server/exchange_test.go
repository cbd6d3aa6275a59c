package server_test

import (
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
)

func TestExchangeGivesATokenForOneCluster(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tokens := w.signIn(t)
	for _, audience := range []string{"k8s-a", "k8s-b"} {
		got := w.plugin.Exchange(t, tokens.AccessToken, audience)
		claims := relyingparty.Claims(t, got.AccessToken)
		if claims["aud"] != audience || claims["azp"] != "kubectl-fairlead" || got.RefreshToken != "" || got.TokenType != "N_A" {
			t.Errorf("%s: %+v, claims %v", audience, got, claims)
		}
	}
	other := &relyingparty.Client{Issuer: w.issuer, ID: "k8s-a"}
	for name, c := range map[string]struct {
		client   *relyingparty.Client
		token    string
		audience string
		want     string
	}{
		"no rule":                  {w.plugin, tokens.AccessToken, "k8s-c", "invalid_target"},
		"unknown cluster":          {w.plugin, tokens.AccessToken, "k8s-x", "invalid_target"},
		"a client is no cluster":   {w.plugin, tokens.AccessToken, "grafana", "invalid_target"},
		"id token as subject":      {w.plugin, tokens.IDToken, "k8s-a", "invalid_grant"},
		"refresh token":            {w.plugin, tokens.RefreshToken, "k8s-a", "invalid_grant"},
		"made-up token":            {w.plugin, "x", "k8s-a", "invalid_grant"},
		"client without the grant": {other, tokens.AccessToken, "k8s-a", "unauthorized_client"},
	} {
		if got := c.client.Exchange(t, c.token, c.audience); got.Error != c.want || got.AccessToken != "" {
			t.Errorf("%s: %s, want %s", name, got.Raw, c.want)
		}
	}
	if events := w.events(t, audit.AccessRefused); len(events) != 1 || events[0].ClusterID != "c" {
		t.Errorf("events %+v", events)
	}
	w.clock.add(11 * time.Minute)
	if got := w.plugin.Exchange(t, tokens.AccessToken, "k8s-a"); got.Error != "invalid_grant" {
		t.Errorf("expired access token: %s", got.Raw)
	}
}
