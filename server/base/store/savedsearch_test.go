package store_test

import (
	"testing"

	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

func TestSavedSearches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		jane, ben := mustUser(t, s, "17", "jane"), mustUser(t, s, "18", "ben")
		for _, row := range []store.SavedSearch{
			{UserID: jane.ID, Name: "Refused", Query: "kind=refused"}, {UserID: jane.ID, Name: "Refused", Query: "kind=refused&cluster=prod"},
			{UserID: jane.ID, Name: "Ben", Query: "user=ben"}, {UserID: ben.ID, Name: "Refused", Query: "x=y"},
		} {
			if err := s.SaveSearch(t.Context(), row, noon()); err != nil {
				t.Fatal(err)
			}
		}
		rows, err := s.SavedSearches(t.Context(), jane.ID)
		if err != nil || len(rows) != 2 || rows[0].Name != "Ben" || rows[1].Query != "kind=refused&cluster=prod" {
			t.Fatalf("searches %+v, error %v", rows, err)
		}
		if err := s.RemoveSearch(t.Context(), ben.ID, rows[0].ID); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveSearch(t.Context(), jane.ID, rows[1].ID); err != nil {
			t.Fatal(err)
		}
		if rows, err = s.SavedSearches(t.Context(), jane.ID); err != nil || len(rows) != 1 || rows[0].Name != "Ben" {
			t.Errorf("searches %+v, error %v", rows, err)
		}
	})
}
