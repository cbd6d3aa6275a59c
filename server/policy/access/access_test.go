package access_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

func jane() *store.User {
	return &store.User{
		ID: "usr_1", ConnectorID: "corp", KubeName: "corp:jane", NameKey: "corp:jane",
		GroupNames: store.Strings{"corp:dev", "corp:oncall"},
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	prod := &store.Cluster{ID: "prod", Labels: store.Labels{"env": "prod", "region": "eu"}}
	for _, c := range []struct {
		name string
		rule store.AccessRule
		want bool
	}{
		{"zero rule", store.AccessRule{}, false},
		{"group and id", store.AccessRule{GroupNames: store.Strings{"corp:dev"}, ClusterIDs: store.Strings{"prod"}}, true},
		{"other group", store.AccessRule{GroupNames: store.Strings{"corp:ops"}, ClusterIDs: store.Strings{"prod"}}, false},
		{"group in other case", store.AccessRule{GroupNames: store.Strings{"corp:Dev"}, ClusterIDs: store.Strings{"prod"}}, false},
		{"group without prefix", store.AccessRule{GroupNames: store.Strings{"dev"}, ClusterIDs: store.Strings{"prod"}}, false},
		{"user", store.AccessRule{UserNames: store.Strings{"corp:Jane"}, ClusterIDs: store.Strings{"prod"}}, true},
		{"other user", store.AccessRule{UserNames: store.Strings{"corp:jan"}, ClusterIDs: store.Strings{"prod"}}, false},
		{"other cluster", store.AccessRule{GroupNames: store.Strings{"corp:dev"}, ClusterIDs: store.Strings{"dev"}}, false},
		{"every cluster", store.AccessRule{GroupNames: store.Strings{"corp:dev"}, ClusterIDs: store.Strings{"*"}}, true},
		{"labels", store.AccessRule{GroupNames: store.Strings{"corp:dev"}, ClusterLabels: store.Labels{"env": "prod"}}, true},
		{"one label differs", store.AccessRule{GroupNames: store.Strings{"corp:dev"}, ClusterLabels: store.Labels{"env": "prod", "region": "us"}}, false},
		{"missing label is not the empty one", store.AccessRule{GroupNames: store.Strings{"corp:dev"}, ClusterLabels: store.Labels{"tier": "x"}}, false},
		{"everyone", store.AccessRule{Everyone: true, ClusterIDs: store.Strings{"prod"}}, true},
		{"everyone of another connector", store.AccessRule{Everyone: true, ConnectorIDs: store.Strings{"github"}, ClusterIDs: store.Strings{"prod"}}, false},
		{"connector and group", store.AccessRule{ConnectorIDs: store.Strings{"corp"}, GroupNames: store.Strings{"corp:dev"}, ClusterIDs: store.Strings{"prod"}}, true},
		{"connector alone covers nobody", store.AccessRule{ConnectorIDs: store.Strings{"corp"}, ClusterIDs: store.Strings{"prod"}}, false},
		{"an admin rule opens no cluster", store.AccessRule{Admin: true, Everyone: true, ClusterIDs: store.Strings{"*"}}, false},
	} {
		got := access.Decide([]store.AccessRule{c.rule}, jane(), prod)
		if got.Allowed != c.want {
			t.Errorf("%s: %+v, want %v", c.name, got, c.want)
		}
	}
	disabled := jane()
	disabled.Disabled = true
	everyone := []store.AccessRule{{Everyone: true, ClusterIDs: store.Strings{"*"}}, {Admin: true, Everyone: true}}
	if access.Decide(everyone, disabled, prod).Allowed || access.IsAdmin(everyone, disabled) {
		t.Error("a disabled person may do nothing")
	}
	if !access.IsAdmin(everyone, jane()) || access.IsAdmin(everyone[:1], jane()) {
		t.Error("only an admin rule makes an admin")
	}
}

func TestUseRecordsRefusals(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	prod := store.Cluster{ID: "prod", Origin: store.Origin{Origin: store.OriginFile}}
	if err := s.ApplyFile(t.Context(), store.Settings{Clusters: []store.Cluster{prod}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	p := &access.Policy{Store: s, Audit: audit.NewLog(time.Now, slog.New(slog.DiscardHandler), s)}
	_, err := p.Authorize(t.Context(), jane(), &prod, audit.Event{ClientID: "kubectl-fairlead"})
	if !errs.Is(err, errs.Denied) {
		t.Fatalf("error %v, want denied", err)
	}
	events, err := s.AuditEvents(t.Context(), audit.AccessRefused, 10)
	if err != nil || len(events) != 1 || events[0].ClusterID != "prod" || events[0].ClientID != "kubectl-fairlead" {
		t.Errorf("events %+v, error %v", events, err)
	}
}
