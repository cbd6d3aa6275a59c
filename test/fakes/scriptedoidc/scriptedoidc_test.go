package scriptedoidc_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/fairlead-auth/fairlead/test/fakes/scriptedoidc"
)

// TestItSaysWhatTheScriptSays, also when the script changes.
func TestItSaysWhatTheScriptSays(t *testing.T) {
	t.Parallel()
	s := scriptedoidc.Start(t, scriptedoidc.Script{Claims: map[string]any{"sub": "1"}, Token: map[string]any{"expires_in": nil}})
	answer := func() map[string]any {
		res, err := http.PostForm(s.URL+"/token", url.Values{"grant_type": {"authorization_code"}})
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		doc := map[string]any{"status": float64(res.StatusCode)}
		if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	if doc := answer(); doc["id_token"] == nil || doc["expires_in"] != nil || doc["refresh_token"] != "refresh-1" {
		t.Errorf("answer %v", doc)
	}
	s.Say(scriptedoidc.Script{TokenAnswer: &scriptedoidc.Answer{Status: http.StatusBadRequest, Body: json.RawMessage(`{"error":"invalid_grant"}`)}})
	if doc := answer(); doc["status"] != float64(http.StatusBadRequest) || doc["error"] != "invalid_grant" {
		t.Errorf("answer %v", doc)
	}
}
