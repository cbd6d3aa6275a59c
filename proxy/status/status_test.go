package status_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead-auth/fairlead/proxy/status"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    *status.Error
		code   int32
		reason metav1.StatusReason
		header string
	}{
		{status.Unauthorized("expired", "The token has expired."), 401, metav1.StatusReasonUnauthorized, "Www-Authenticate"},
		{status.Forbidden("x", "No."), 403, metav1.StatusReasonForbidden, ""},
		{status.BadRequest("x", "No."), 400, metav1.StatusReasonBadRequest, ""},
		{status.Unavailable("x", "Away.", errors.New("password=hunter2")), 503, metav1.StatusReasonServiceUnavailable, "Retry-After"},
	} {
		w := httptest.NewRecorder()
		status.Write(w, httptest.NewRequest(http.MethodGet, "/api/v1/pods", http.NoBody), c.err, "req-1")
		var got metav1.Status
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if w.Code != int(c.code) || got.Kind != "Status" || got.Code != c.code || got.Reason != c.reason || got.Status != "Failure" {
			t.Errorf("%v: %d %+v", c.err, w.Code, got)
		}
		if !strings.Contains(got.Message, "req-1") || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("message %q", got.Message)
		}
		plain, discovery := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api", http.NoBody)
		discovery.Header.Set("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json")
		status.Write(plain, discovery, c.err, "req-1")
		if want := map[int]int{503: 502}[int(c.code)]; want != 0 && plain.Code != want {
			t.Errorf("discovery: %d, want %d", plain.Code, want)
		}
		if want := got.Message + "\n"; plain.Body.String() != want || !strings.HasPrefix(plain.Header().Get("Content-Type"), "text/plain") {
			t.Errorf("discovery: %q, want %q", plain.Body, want)
		}
		if c.header != "" && w.Header().Get(c.header) == "" {
			t.Errorf("no %s", c.header)
		}
	}
}
