package userimpersonation_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/userimpersonation"
)

func TestParseHeaders(t *testing.T) {
	t.Parallel()
	authenticated := []string{"system:authenticated"}
	for name, c := range map[string]struct {
		in   http.Header
		want userimpersonation.Request
	}{
		"a user": {http.Header{"Impersonate-User": {"bob"}}, userimpersonation.Request{
			Target: &authn.Identity{User: "bob", Groups: authenticated}, Checks: []userimpersonation.ResourceCheck{{Resource: "users", Name: "bob"}},
		}},
		"groups": {http.Header{"Impersonate-User": {"bob"}, "Impersonate-Group": {"dev", "ops"}}, userimpersonation.Request{
			Target: &authn.Identity{User: "bob", Groups: []string{"dev", "ops", "system:authenticated"}},
			Checks: []userimpersonation.ResourceCheck{{Resource: "users", Name: "bob"}, {Resource: "groups", Name: "dev"}, {Resource: "groups", Name: "ops"}},
		}},
		"a service account": {http.Header{"Impersonate-User": {"system:serviceaccount:kube-system:default"}}, userimpersonation.Request{
			Target: &authn.Identity{User: "system:serviceaccount:kube-system:default", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"}},
			Checks: []userimpersonation.ResourceCheck{{Resource: "serviceaccounts", Namespace: "kube-system", Name: "default"}},
		}},
		"almost a service account": {http.Header{"Impersonate-User": {"system:serviceaccount:a:b:c"}}, userimpersonation.Request{
			Target: &authn.Identity{User: "system:serviceaccount:a:b:c", Groups: authenticated}, Checks: []userimpersonation.ResourceCheck{{Resource: "users", Name: "system:serviceaccount:a:b:c"}},
		}},
		"anonymous": {http.Header{"Impersonate-User": {"system:anonymous"}}, userimpersonation.Request{
			Target: &authn.Identity{User: "system:anonymous", Groups: []string{"system:unauthenticated"}}, Checks: []userimpersonation.ResourceCheck{{Resource: "users", Name: "system:anonymous"}},
		}},
		"unauthenticated": {http.Header{"Impersonate-User": {"bob"}, "Impersonate-Group": {"system:unauthenticated"}}, userimpersonation.Request{
			Target: &authn.Identity{User: "bob", Groups: []string{"system:unauthenticated"}},
			Checks: []userimpersonation.ResourceCheck{{Resource: "users", Name: "bob"}, {Resource: "groups", Name: "system:unauthenticated"}},
		}},
		"uid and extra": {http.Header{"Impersonate-User": {"bob"}, "Impersonate-Uid": {"42"}, "Impersonate-Extra-Example.com%2fscopes": {"a", "b"}}, userimpersonation.Request{
			Target: &authn.Identity{User: "bob", UID: "42", Groups: authenticated, Extra: []authn.Extra{{Key: "example.com/scopes", Value: "a"}, {Key: "example.com/scopes", Value: "b"}}},
			Checks: []userimpersonation.ResourceCheck{
				{Resource: "users", Name: "bob"},
				{Group: "authentication.k8s.io", Resource: "uids", Name: "42"},
				{Group: "authentication.k8s.io", Resource: "userextras", Subresource: "example.com/scopes", Name: "a"},
				{Group: "authentication.k8s.io", Resource: "userextras", Subresource: "example.com/scopes", Name: "b"},
			},
		}},
		"decoded once": {http.Header{"Impersonate-User": {"bob"}, "Impersonate-Extra-A%252fb": {"x"}}, userimpersonation.Request{
			Target: &authn.Identity{User: "bob", Groups: authenticated, Extra: []authn.Extra{{Key: "a%2fb", Value: "x"}}},
			Checks: []userimpersonation.ResourceCheck{{Resource: "users", Name: "bob"}, {Group: "authentication.k8s.io", Resource: "userextras", Subresource: "a%2fb", Name: "x"}},
		}},
	} {
		got, refusal := userimpersonation.ParseHeaders(c.in)
		if refusal != nil {
			t.Errorf("%s: %v", name, refusal)
			continue
		}
		if diff := cmp.Diff(&c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestInvalidHeaders(t *testing.T) {
	t.Parallel()
	many := make([]string, 100)
	for i := range many {
		many[i] = "g"
	}
	for name, h := range map[string]http.Header{
		"groups alone":     {"Impersonate-Group": {"system:masters"}},
		"uid alone":        {"Impersonate-Uid": {"0"}},
		"extra alone":      {"Impersonate-Extra-A": {"b"}},
		"two users":        {"Impersonate-User": {"a", "b"}},
		"empty user":       {"Impersonate-User": {""}},
		"empty first":      {"Impersonate-User": {"", "b"}},
		"blanks":           {"Impersonate-User": {" admin"}},
		"control":          {"Impersonate-User": {"a\x00b"}},
		"empty group":      {"Impersonate-User": {"a"}, "Impersonate-Group": {""}},
		"two uids":         {"Impersonate-User": {"a"}, "Impersonate-Uid": {"1", "2"}},
		"underscore":       {"Impersonate-User": {"a"}, "Impersonate_Group": {"b"}},
		"odd case":         {"Impersonate-User": {"a"}, "impersonate-group": {"b"}},
		"unknown":          {"Impersonate-User": {"a"}, "Impersonate-Foo": {"b"}},
		"bare word":        {"Impersonate-User": {"a"}, "Impersonate": {"b"}},
		"extra of nothing": {"Impersonate-User": {"a"}, "Impersonate-Extra-": {"b"}},
		"too many groups":  {"Impersonate-User": {"a"}, "Impersonate-Group": many},
		"too long":         {"Impersonate-User": {strings.Repeat("a", 5000)}},
	} {
		if w, refusal := userimpersonation.ParseHeaders(h); refusal == nil {
			t.Errorf("%s: %+v", name, w)
		}
		if !userimpersonation.IsRequested(h) {
			t.Errorf("%s: IsRequested is false", name)
		}
	}
	if userimpersonation.IsRequested(http.Header{"Accept": {"x"}, "X-Impersonate-User": {"y"}}) {
		t.Error("an unrelated header counts as an impersonation header")
	}
}

// fakeReviewer answers access reviews with allow.
type fakeReviewer struct {
	mu    sync.Mutex
	specs []authorizationv1.SubjectAccessReviewSpec
	allow func(a *authorizationv1.ResourceAttributes) bool
	err   error
}

func (f *fakeReviewer) ReviewAccess(_ context.Context, spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.specs = append(f.specs, spec)
	return authorizationv1.SubjectAccessReviewStatus{Allowed: f.allow != nil && f.allow(spec.ResourceAttributes)}, f.err
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	jane := &authn.Identity{User: "corp:jane", UID: "usr_1", Groups: []string{"corp:dev"}, TokenID: "jti_1", Extra: []authn.Extra{{Key: "a", Value: "b"}}}
	request, refusal := userimpersonation.ParseHeaders(http.Header{"Impersonate-User": {"bob"}, "Impersonate-Group": {"dev", "system:masters"}})
	if refusal != nil {
		t.Fatal(refusal)
	}
	now := time.Now()
	f := &fakeReviewer{allow: func(a *authorizationv1.ResourceAttributes) bool { return a.Name != "system:masters" }}
	v := &userimpersonation.Authorizer{AccessReviewer: f, Now: func() time.Time { return now }}
	refusal = v.Authorize(t.Context(), jane, request)
	if refusal == nil || refusal.HTTPStatus != http.StatusForbidden || refusal.Message() != `groups "system:masters" is forbidden: User "corp:jane" cannot impersonate resource "groups" in API group "" at the cluster scope` {
		t.Fatalf("%v", refusal)
	}
	want := authorizationv1.SubjectAccessReviewSpec{
		User: "corp:jane", UID: "usr_1", Groups: []string{"corp:dev", "system:authenticated"}, Extra: map[string]authorizationv1.ExtraValue{"a": {"b"}},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "impersonate", Resource: "users", Name: "bob"},
	}
	found := false
	for _, spec := range f.specs {
		found = found || cmp.Equal(want, spec)
	}
	if !found || len(f.specs) != 3 {
		t.Errorf("access reviews: %+v", f.specs)
	}

	f.allow, f.specs = func(*authorizationv1.ResourceAttributes) bool { return true }, nil
	for range 3 {
		if refusal := v.Authorize(t.Context(), jane, request); refusal != nil {
			t.Fatal(refusal)
		}
	}
	if len(f.specs) != 1 { // two checks are cached
		t.Errorf("%d access reviews", len(f.specs))
	}
	other := *jane
	other.TokenID = "jti_2"
	if v.Authorize(t.Context(), &other, request); len(f.specs) != 4 {
		t.Errorf("a cached result was used for another token: %d access reviews", len(f.specs))
	}
	now = now.Add(time.Minute)
	f.allow = nil
	if v.Authorize(t.Context(), jane, request) == nil {
		t.Error("an allowed check is cached without end")
	}
}

// TestFailedReviews checks that every response except "allowed" refuses the request.
func TestFailedReviews(t *testing.T) {
	t.Parallel()
	request, _ := userimpersonation.ParseHeaders(http.Header{"Impersonate-User": {"bob"}})
	for answer, want := range map[string]string{
		"201 " + `{"kind":"SubjectAccessReview","status":{"allowed":true}}`: "", "403 {}": "impersonation_not_set_up", "500 oops": "api_server_unreachable", "200 <html>": "api_server_unreachable",
		"201 {}": "impersonation_denied", "201 " + `{"status":{"allowed":true,"denied":true}}`: "impersonation_denied", "201 " + `{"spec":{"user":"x"}}`: "impersonation_denied", "302 ": "api_server_unreachable",
	} {
		status, body, _ := strings.Cut(answer, " ")
		code, err := strconv.Atoi(status)
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/apis/authorization.k8s.io/v1/subjectaccessreviews" || r.Header.Get("Authorization") != "Bearer credential" {
				t.Errorf("%s %v", r.URL, r.Header)
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(srv.Close)
		reviewer, err := userimpersonation.NewAccessReviewer(&rest.Config{Host: srv.URL, BearerToken: "credential"})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if refusal := (&userimpersonation.Authorizer{AccessReviewer: reviewer, Now: time.Now}).Authorize(t.Context(), &authn.Identity{User: "jane"}, request); refusal != nil {
			got = refusal.Code
		}
		if got != want {
			t.Errorf("%s: %q, want %q", answer, got, want)
		}
	}
}

func FuzzParseHeaders(f *testing.F) {
	f.Add("Impersonate-User", "bob", "Impersonate-Extra-A%2fb", "x")
	f.Add("Impersonate_User", "", "Impersonate-Group", "system:masters")
	f.Fuzz(func(t *testing.T, name, value, name2, value2 string) {
		h := http.Header{}
		h.Add(name, value)
		h.Add(name2, value2)
		w, refusal := userimpersonation.ParseHeaders(h)
		if refusal != nil {
			return
		}
		if w.Target.User == "" || len(w.Target.Groups) == 0 || len(w.Checks) == 0 {
			t.Errorf("%q: %+v", h, w)
		}
		for _, q := range w.Checks {
			if q.Name == "" || q.Name != strings.TrimSpace(q.Name) {
				t.Errorf("%q: %+v", h, q)
			}
		}
	})
}
