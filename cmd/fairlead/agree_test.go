package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// worlds is the number of random configurations. Tests in server/policy/access use ten thousand for the functions
// behind.
const worlds = 150

// TestPagesTokensAndSimulatorAgree compares the list of clusters, the authorization endpoint and the access
// simulator, with random rules.
func TestPagesTokensAndSimulatorAgree(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	c := rand.New(rand.NewPCG(3, 4))
	some := func(prefix string, n int) store.Strings {
		var list store.Strings
		for i := range n {
			if c.IntN(3) == 0 {
				list = append(list, fmt.Sprint(prefix, i))
			}
		}
		return list
	}
	yes, no := 0, 0
	for n := range worlds {
		s.randomWorld(c, some)
		user, cookie := s.person(fmt.Sprint("c", c.IntN(2)), fmt.Sprint("u", n), time.Now().Add(time.Hour), some("g", 4)...)
		answers, err := s.provider.Admin.Simulate(t.Context(), admin.Caller{Shell: "test"}, admin.Question{User: user.KubeName})
		if err != nil {
			t.Fatal(err)
		}
		page := s.ask(http.MethodGet, "/", cookie, "", "same-origin").Body.String()
		for _, a := range answers {
			if a.Allowed {
				yes++
			} else {
				no++
			}
			if listed := strings.Contains(page, `href="/clusters/`+a.Cluster.ID+`"`); listed != a.Allowed {
				t.Errorf("world %d: %s is listed %v, the simulator says %v", n, a.Cluster.ID, listed, a.Allowed)
			}
			if granted := s.authorize(cookie, a.Cluster.Audience); granted != a.Allowed {
				t.Errorf("world %d: %s gets a token %v, the simulator says %v: %s", n, a.Cluster.ID, granted, a.Allowed, a.Why)
			}
			claims, err := s.provider.Admin.PreviewClaims(t.Context(), admin.Caller{Shell: "test"}, admin.ClaimsQuestion{User: user.KubeName, Cluster: a.Cluster.ID})
			if err != nil || (claims.Refused == "") != a.Allowed || claims.Claims.PreferredUsername != user.KubeName || !slices.Equal(claims.Claims.Groups, user.GroupNames) {
				t.Errorf("world %d: %s: the claims are %+v, the simulator says %v; %v", n, a.Cluster.ID, claims, a.Allowed, err)
			}
		}
	}
	if yes < 20 || no < 20 {
		t.Errorf("%d yes and %d no: that shows little", yes, no)
	}
}

// randomWorld replaces all clusters and rules.
func (s *station) randomWorld(c *rand.Rand, some func(string, int) store.Strings) {
	s.t.Helper()
	old, err := s.store.AllSettings(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	err = s.store.UpdateSettings(s.t.Context(), func(tx *store.SettingsTx) error {
		for _, k := range old.Clusters {
			if err := store.Remove[store.Cluster](tx, "id", k.ID); err != nil {
				return err
			}
		}
		for _, r := range old.Rules {
			if err := store.Remove[store.AccessRule](tx, "id", r.ID); err != nil {
				return err
			}
		}
		for i := range 3 {
			id := fmt.Sprint("k", i)
			if err := tx.Put(&store.Cluster{
				ID: id, Name: id, Server: "https://k.test", Audience: "k8s-" + id, Mode: store.ModeProxy, Algorithm: "RS256", TokenSeconds: 600,
				Labels: store.Labels{"env": fmt.Sprint(c.IntN(2))}, Origin: store.Origin{Origin: store.OriginPage},
			}, time.Now()); err != nil {
				return err
			}
			if err := tx.Put(&store.AccessRule{
				ID: fmt.Sprint("r", i), Description: "Rule", Everyone: c.IntN(9) == 0, GroupNames: some("g", 4), ConnectorIDs: some("c", 2), ClusterIDs: some("k", 3),
				ClusterLabels: store.Labels{"env": fmt.Sprint(c.IntN(3))}, Origin: store.Origin{Origin: store.OriginPage},
			}, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// authorize requests a code for a cluster as kubectl oidc-login does, and reports whether the server allows it.
func (s *station) authorize(cookie, audience string) bool {
	s.t.Helper()
	w := s.ask(http.MethodGet, "/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {audience}, "redirect_uri": {"http://localhost:8000"}, "scope": {"openid"}, "state": {"s"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}.Encode(), cookie, "", "same-origin")
	return !refusedWith(w)
}

func refusedWith(w *httptest.ResponseRecorder) bool {
	return strings.Contains(w.Header().Get("Location"), "error=access_denied") || w.Code == http.StatusForbidden
}
