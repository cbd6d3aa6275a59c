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

func write(t *testing.T, e *status.Error, accept string) *httptest.ResponseRecorder {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api", http.NoBody)
	r.Header.Set("Accept", accept)
	status.Write(w, r, e, "req-1")
	return w
}

func TestWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    *status.Error
		code   int32
		reason metav1.StatusReason
		header string
	}{
		{status.NoToken(), 401, metav1.StatusReasonUnauthorized, "Www-Authenticate"},
		{status.NoAccess(), 403, metav1.StatusReasonForbidden, ""},
		{status.UnsupportedUpgrade(), 400, metav1.StatusReasonBadRequest, ""},
		{status.TooManyStreams(3), 429, metav1.StatusReasonTooManyRequests, ""},
		{status.APIServerUnreachable(errors.New("password=hunter2")), 503, metav1.StatusReasonServiceUnavailable, "Retry-After"},
	} {
		w := write(t, c.err, "application/json")
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
		if c.header != "" && w.Header().Get(c.header) == "" {
			t.Errorf("no %s", c.header)
		}
	}
}

// TestWriteDiscovery checks the plain text and the HTTP status with which kubectl shows a message.
func TestWriteDiscovery(t *testing.T) {
	t.Parallel()
	const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
	for _, c := range []struct {
		err  *status.Error
		code int
	}{
		{status.NoToken(), http.StatusUnauthorized},
		{status.RevokedUser(), http.StatusForbidden},
		{status.UnsupportedUpgrade(), http.StatusForbidden},
		{status.NoAccess(), http.StatusForbidden},
		{status.KeysUnavailable(), http.StatusBadGateway},
	} {
		w := write(t, c.err, accept)
		want := c.err.Message() + " (request req-1)\n"
		if w.Code != c.code || w.Body.String() != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %d %q, want %d %q", c.err.Code, w.Code, w.Body, c.code, want)
		}
	}
}

// TestVerbatim checks that a Status of the API server is passed on unchanged.
func TestVerbatim(t *testing.T) {
	t.Parallel()
	e := status.ImpersonationDenied(metav1.Status{Message: "users \"bob\" is forbidden", Reason: metav1.StatusReasonForbidden, Code: http.StatusForbidden})
	var got metav1.Status
	if err := json.Unmarshal(write(t, e, "application/json").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Kind != "Status" || got.Message != `users "bob" is forbidden` || e.Error() != got.Message {
		t.Errorf("%+v, %v", got, e)
	}
}
