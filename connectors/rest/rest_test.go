package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fairlead-auth/fairlead/connectors/rest"
)

func TestAskSendsNoSecretOn(t *testing.T) {
	t.Parallel()
	reached := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	t.Cleanup(elsewhere.Close)
	upstream := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(upstream.Close)
	answer, err := rest.Ask(t.Context(), upstream.Client(), rest.Request{Method: http.MethodPost, URL: upstream.URL, Header: http.Header{"X-Auth-Token": {"secret"}}, Body: map[string]string{"password": "secret"}})
	if err != nil || answer.Status != http.StatusTemporaryRedirect || reached {
		t.Errorf("%+v, %v; followed: %v", answer, err, reached)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(map[string]string{"/number": `{"id":12345678901234567890}`, "/text": "<html>"}[r.URL.Path]))
	}))
	t.Cleanup(upstream.Close)
	ask := func(path string) (map[string]any, error) {
		answer, err := rest.Ask(t.Context(), upstream.Client(), rest.Request{Method: http.MethodGet, URL: upstream.URL + path})
		if err != nil {
			t.Fatal(err)
		}
		doc := map[string]any{}
		return doc, answer.Into(&doc)
	}
	if doc, err := ask("/number"); err != nil || doc["id"] != json.Number("12345678901234567890") {
		t.Errorf("%v, %v", doc, err)
	}
	if _, err := ask("/text"); err == nil {
		t.Error("HTML is no JSON")
	}
}
