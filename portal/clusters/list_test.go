package clusters_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/portal/clusters"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/oidc/tokeninfo"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// TestOnlyThePluginListsClusters: an application that knows the user does not see their clusters.
func TestOnlyThePluginListsClusters(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	user, _, err := s.SignInUser(t.Context(), store.ResolvedIdentity{ConnectorID: "corp", KubeName: "jane", Identity: connectors.Identity{Subject: "1", Username: "jane"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file := store.Origin{Origin: store.OriginFile}
	if err := s.ApplyFile(t.Context(), store.Settings{Clients: []store.Client{{ID: "grafana", FirstParty: true, Grants: store.Strings{"authorization_code"}, Origin: file}}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	(&clusters.Handler{
		Store: s, Bearer: &tokeninfo.Bearer{Store: s, Now: time.Now}, Access: &access.Policy{Store: s, Audit: audit.NewLog(time.Now, slog.New(slog.DiscardHandler))},
	}).Mount(e.Group(""))
	for client, want := range map[string]int{"kubectl-fairlead": http.StatusOK, "grafana": http.StatusUnauthorized, "removed": http.StatusUnauthorized} {
		token := store.AccessToken{Hash: secret.Hash(client), UserID: user.ID, ClientID: client, SignInID: "sid_1", Scopes: store.Strings{"openid"}, Expires: store.At(time.Now().Add(time.Minute))}
		if err := s.CreateAccessToken(t.Context(), &token); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, apitypes.ClustersPath, nil)
		r.Header.Set("Authorization", "Bearer "+client)
		answer := httptest.NewRecorder()
		if e.ServeHTTP(answer, r); answer.Code != want {
			t.Errorf("%s: %d, want %d", client, answer.Code, want)
		}
	}
}
