package backchannel_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/oidc/backchannel"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signing/issuer"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

// TestTwoReplicasTellOnce runs two notifiers at the same time. Tests in package server cover the whole flow.
func TestTwoReplicasTellOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var calls atomic.Int64
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
		t.Cleanup(srv.Close)
		n := setup(t, s, srv.URL)
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- n.Deliver(t.Context()) }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if calls.Load() != 1 {
			t.Errorf("told %d times, want once", calls.Load())
		}
	})
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Error("the token was sent on to", r.URL.Path)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(srv.Close)
	if err := setup(t, s, srv.URL).Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	events, err := s.AuditEvents(t.Context(), audit.ClientNotNotified, 10)
	if err != nil || len(events) != 1 || events[0].Detail != "the client answered 307" {
		t.Errorf("events %+v, error %v", events, err)
	}
}

// setup returns a notifier with one notice to deliver.
func setup(t *testing.T, s *store.Store, uri string) *backchannel.Notifier {
	t.Helper()
	now := time.Now()
	logger := slog.New(slog.DiscardHandler)
	log := audit.NewLog(time.Now, logger, s)
	client := store.Client{ID: "app", LogoutURI: uri, Origin: store.Origin{Origin: store.OriginFile}}
	if err := s.ApplyFile(t.Context(), store.Settings{Clients: []store.Client{client}}, now); err != nil {
		t.Fatal(err)
	}
	user, _, err := s.SignInUser(t.Context(), store.ResolvedIdentity{ConnectorID: "c", KubeName: "c:jane"}, now)
	if err != nil {
		t.Fatal(err)
	}
	end := store.At(now.Add(time.Hour))
	if err := s.CreateSignIn(t.Context(), &store.SignIn{ID: "sid_1", CookieHash: "h", UserID: user.ID, IdleExpires: end, Expires: end}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddSignInClient(t.Context(), "sid_1", "app"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.End(t.Context(), store.Ending{Scope: store.EndSignIn, UserID: user.ID, ID: "sid_1"}, now); err != nil {
		t.Fatal(err)
	}
	signing, err := keys.New(t.Context(), keys.Config{Store: s, Audit: log, Logger: logger, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := signing.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	return backchannel.New(backchannel.Notifier{
		Store: s, Clients: clients.NewRegistry(s), Issuer: &issuer.Issuer{URL: "https://login.test", Keys: signing, Store: s, Now: time.Now},
		Audit: log, Logger: logger, Now: time.Now,
	})
}
