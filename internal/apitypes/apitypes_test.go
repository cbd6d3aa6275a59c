package apitypes_test

import (
	"encoding/json"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

// TestJSONNamesAreStable holds the field names: older plugins read what newer servers write.
func TestJSONNamesAreStable(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(apitypes.Clusters{User: "u", Clusters: []apitypes.Cluster{{
		ID: "i", Name: "n", Context: "c", Server: "s", CA: "ca", Audience: "a", Namespace: "ns",
	}}})
	want := `{"user":"u","clusters":[{"id":"i","name":"n","context":"c","server":"s","ca":"ca","audience":"a","namespace":"ns"}]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, error %v", got, err)
	}
}
