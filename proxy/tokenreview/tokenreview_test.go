package tokenreview_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/proxy/tokenreview"
)

// apiServer answers token reviews with the user in the token's payload.
type apiServer struct {
	*httptest.Server
	reviews atomic.Int64
	code    atomic.Int64
	now     atomic.Int64
}

func start(t *testing.T) (*apiServer, *tokenreview.Reviewer) {
	t.Helper()
	s := &apiServer{}
	s.code.Store(http.StatusCreated)
	s.now.Store(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Unix())
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.reviews.Add(1)
		var review authnv1.TokenReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || len(review.Spec.Audiences) != 1 {
			t.Errorf("%v %s %+v", err, r.URL.Path, review)
		}
		var payload struct{ User string }
		text, _ := base64.RawURLEncoding.DecodeString(review.Spec.Token[2 : len(review.Spec.Token)-2])
		_ = json.Unmarshal(text, &payload)
		review.Status.Authenticated = payload.User != ""
		review.Status.User = authnv1.UserInfo{Username: payload.User, UID: "u", Groups: []string{"system:serviceaccounts", "system:authenticated"}, Extra: map[string]authnv1.ExtraValue{"a": {"b"}}}
		w.WriteHeader(int(s.code.Load()))
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(s.Close)
	v, err := tokenreview.NewReviewer(&rest.Config{Host: s.URL}, []string{"k8s"}, func() time.Time { return time.Unix(s.now.Load(), 0) })
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func token(user string, exp int64) string {
	return "h." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"User":%q,"exp":%d}`, user, exp)) + ".s"
}

func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	s, v := start(t)
	good := token("system:serviceaccount:a:b", s.now.Load()+30)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			id, refusal := v.Review(t.Context(), good)
			if refusal != nil || id.User != "system:serviceaccount:a:b" || !id.ServiceAccount || id.Issuer == "" || len(id.Groups) != 1 || len(id.Extra) != 1 {
				t.Errorf("%v %+v", refusal, id)
			}
		})
	}
	group.Wait()
	if n := s.reviews.Load(); n < 1 || n > 2 {
		t.Errorf("%d reviews, want 1 or 2", n)
	}
	// The cached result expires with the token.
	s.now.Add(31)
	before := s.reviews.Load()
	if _, refusal := v.Review(t.Context(), good); refusal != nil || s.reviews.Load() != before+1 {
		t.Errorf("%v; %d reviews", refusal, s.reviews.Load()-before)
	}
}

func TestOtherUsers(t *testing.T) {
	t.Parallel()
	s, v := start(t)
	for _, user := range []string{"", "admin", "system:admin", "system:node:a", "xsystem:serviceaccount:a:b"} {
		for range 3 { // a rejection is cached as well
			if id, refusal := v.Review(t.Context(), token(user, 0)); refusal == nil || refusal.HTTPStatus != http.StatusUnauthorized {
				t.Errorf("%q: %+v %v", user, id, refusal)
			}
		}
	}
	if n := s.reviews.Load(); n != 5 {
		t.Errorf("%d reviews, want 5", n)
	}
	s.code.Store(http.StatusForbidden)
	if _, refusal := v.Review(t.Context(), token("x", 1)); refusal == nil || refusal.Code != "token_review_not_permitted" {
		t.Error(refusal)
	}
	s.code.Store(http.StatusInternalServerError)
	if _, refusal := v.Review(t.Context(), token("x", 2)); refusal == nil || refusal.HTTPStatus != http.StatusServiceUnavailable {
		t.Error(refusal)
	}
	s.code.Store(http.StatusCreated)
	if _, refusal := v.Review(t.Context(), token("system:serviceaccount:a:b", 2)); refusal != nil {
		t.Errorf("a failed review was cached: %v", refusal)
	}
}

// TestReviewLimit checks that forged tokens do not flood the API server.
func TestReviewLimit(t *testing.T) {
	t.Parallel()
	s, v := start(t)
	limited := 0
	for i := range 500 {
		if _, refusal := v.Review(t.Context(), token("", int64(i))); refusal.Code == "too_many_token_reviews" {
			limited++
		}
	}
	if s.reviews.Load() != 50 || limited != 450 {
		t.Errorf("%d reviews, %d requests over the limit", s.reviews.Load(), limited)
	}
	s.now.Add(1)
	if _, refusal := v.Review(t.Context(), token("system:serviceaccount:a:b", 0)); refusal != nil {
		t.Errorf("a second later: %v", refusal)
	}
}
