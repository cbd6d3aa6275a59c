package leastprivilege_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/proxy/leastprivilege"
)

func TestExcessPermissions(t *testing.T) {
	t.Parallel()
	status := authorizationv1.SubjectRulesReviewStatus{
		ResourceRules: []authorizationv1.ResourceRule{
			{Verbs: []string{"impersonate"}, APIGroups: []string{""}, Resources: []string{"users", "groups"}},
			{Verbs: []string{"impersonate"}, APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"*"}},
			{Verbs: []string{"impersonate-on:user-info:get"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
			{Verbs: []string{"create"}, APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"selfsubjectaccessreviews", "selfsubjectrulesreviews"}},
			{Verbs: []string{"get", "list"}, APIGroups: []string{""}, Resources: []string{"secrets"}},
			{Verbs: []string{"create"}, APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"localsubjectaccessreviews"}},
			{Verbs: []string{"impersonate"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
			{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
		},
		NonResourceRules: []authorizationv1.NonResourceRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/api"}}, {Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}},
	}
	code := http.StatusCreated
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews" {
			t.Errorf("request to %s", r.URL.Path)
		}
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(authorizationv1.SelfSubjectRulesReview{Status: status})
	}))
	t.Cleanup(server.Close)
	got, err := leastprivilege.ExcessPermissions(t.Context(), &rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`* *`, `* * in "*"`, `create localsubjectaccessreviews in "authorization.k8s.io"`, `get secrets in ""`, `impersonate * in "*"`, `list secrets in ""`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	code = http.StatusForbidden
	if _, err := leastprivilege.ExcessPermissions(t.Context(), &rest.Config{Host: server.URL}); err == nil {
		t.Error("no error for HTTP status 403")
	}
}
