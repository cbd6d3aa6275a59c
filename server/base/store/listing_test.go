package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// addPeople adds users u00, u01, …: each signs in a day after the one before.
func addPeople(t *testing.T, s *store.Store, n int) []*store.User {
	t.Helper()
	var users []*store.User
	for i := range n {
		login := fmt.Sprintf("u%02d", i)
		user, _, err := s.SignInUser(t.Context(), store.ResolvedIdentity{ConnectorID: []string{"corp", "hub"}[i%2], KubeName: "corp:" + login, Identity: connectors.Identity{
			Subject: login, Username: login, Name: fmt.Sprintf("User %02d", n-i), Email: login + "@example.test",
			Groups: []string{"corp:all", fmt.Sprintf("corp:team%d", i%3)},
		}}, day(i))
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, user)
	}
	return users
}

func day(n int) time.Time { return time.Date(2027, 5, 1+n, 0, 0, 0, 0, time.UTC) }

func names(users []store.User) []string {
	var list []string
	for _, u := range users {
		list = append(list, u.Login)
	}
	return list
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		users := addPeople(t, s, 6)
		if _, err := s.End(t.Context(), store.Ending{Scope: store.EndAccount, UserID: users[5].ID}, day(9)); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			query store.UserList
			want  []string
			total int64
		}{
			"by name":        {store.UserList{}, []string{"u00", "u01", "u02", "u03"}, 6},
			"second page":    {store.UserList{Offset: 4}, []string{"u04", "u05"}, 6},
			"by last use":    {store.UserList{Sort: "-last"}, []string{"u05", "u04", "u03", "u02"}, 6},
			"by connector":   {store.UserList{Sort: "connector"}, []string{"u00", "u02", "u04", "u01"}, 6},
			"unknown column": {store.UserList{Sort: "id; DROP TABLE users"}, []string{"u00", "u01", "u02", "u03"}, 6},
			"text":           {store.UserList{Text: "USER 06"}, []string{"u00"}, 1},
			"wildcards":      {store.UserList{Text: "%"}, nil, 0},
			"group":          {store.UserList{Group: "corp:team1"}, []string{"u01", "u04"}, 2},
			"part of group":  {store.UserList{Group: "corp:team"}, nil, 0},
			"connector":      {store.UserList{ConnectorID: "hub"}, []string{"u01", "u03", "u05"}, 3},
			"disabled":       {store.UserList{State: store.UserDisabled}, []string{"u05"}, 1},
			"inactive":       {store.UserList{State: store.UserInactive}, []string{"u00", "u01"}, 2},
			"active":         {store.UserList{State: store.UserActive, Sort: "-name"}, []string{"u04", "u03", "u02"}, 3},
		} {
			c.query.Limit, c.query.InactiveBefore = 4, store.At(day(2))
			page, err := s.ListUsers(t.Context(), c.query)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(c.want, names(page.Users)); diff != "" || page.Total != c.total {
				t.Errorf("%s: total %d, want %d; (-want +got):\n%s", name, page.Total, c.total, diff)
			}
		}
		page, err := s.ListUsers(t.Context(), store.UserList{Limit: 1, State: store.UserActive, InactiveBefore: store.At(day(2))})
		if diff := cmp.Diff(map[string]int64{"active": 3, "inactive": 2, "disabled": 1}, page.States); diff != "" || err != nil {
			t.Errorf("%v, (-want +got):\n%s", err, diff)
		}
	})
}

func TestGroupsAndMatchUsers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		users := addPeople(t, s, 6)
		if _, err := s.End(t.Context(), store.Ending{Scope: store.EndAccount, UserID: users[0].ID}, day(9)); err != nil {
			t.Fatal(err)
		}
		groups, total, err := s.Groups(t.Context(), "TEAM", 0, 2)
		if diff := cmp.Diff([]store.Group{{"corp:team1", 2}, {"corp:team2", 2}}, groups); diff != "" || total != 3 || err != nil {
			t.Errorf("total %d, %v, (-want +got):\n%s", total, err, diff)
		}
		for text, want := range map[string][]string{
			"u03": {"u03"}, "User 0": {"u00", "u01", "u02"}, "U05@EXAMPLE.test": {"u05"}, users[4].ID: {"u04"}, "_": nil,
		} {
			found, err := s.MatchUsers(t.Context(), text, 3)
			if diff := cmp.Diff(want, names(found)); diff != "" || err != nil {
				t.Errorf("%s: %v, (-want +got):\n%s", text, err, diff)
			}
		}
		if counts, err := s.CountUsersByConnector(t.Context()); counts["corp"] != 2 || counts["hub"] != 3 || err != nil {
			t.Errorf("%v, %v", counts, err)
		}
	})
}

func TestUsesAndSessions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, users := t.Context(), addPeople(t, s, 2)
		for _, id := range []string{"a", "b"} {
			if err := s.UpdateSettings(ctx, func(c *store.SettingsTx) error {
				return c.Put(&store.Cluster{ID: id, Audience: id, Origin: store.Origin{Origin: store.OriginPage}}, day(0))
			}); err != nil {
				t.Fatal(err)
			}
		}
		for i, user := range users {
			if err := s.RecordClusterUse(ctx, user.ID, "a", day(i)); err != nil {
				t.Fatal(err)
			}
			row := &store.SignIn{ID: "sid" + user.ID, CookieHash: user.ID, UserID: user.ID, IdleExpires: store.At(day(3)), Expires: store.At(day(3 + i))}
			if err := s.CreateSignIn(ctx, row); err != nil {
				t.Fatal(err)
			}
		}
		uses, err := s.ClusterUses(ctx)
		if diff := cmp.Diff(map[string]time.Time{"a": day(1)}, uses); diff != "" || err != nil {
			t.Errorf("%v, (-want +got):\n%s", err, diff)
		}
		ids := []string{users[0].ID, users[1].ID}
		if counts, err := s.SessionCounts(ctx, ids[:1], day(2)); len(counts) != 1 || counts[ids[0]] != 1 || err != nil {
			t.Errorf("%v, %v", counts, err)
		}
		if counts, err := s.SessionCounts(ctx, ids, day(3)); len(counts) != 0 || err != nil {
			t.Errorf("%v, %v", counts, err)
		}
	})
}
