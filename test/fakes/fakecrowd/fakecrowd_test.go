package fakecrowd_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/test/fakes/fakecrowd"
)

// TestTheStandInIsStrict: what Crowd refuses, it refuses.
func TestTheStandInIsStrict(t *testing.T) {
	t.Parallel()
	s := fakecrowd.Start(t)
	for name, try := range map[string]struct {
		application, username, password string
		want                            int
	}{
		"right":             {fakecrowd.Application, fakecrowd.Jane, fakecrowd.JanesWord, http.StatusOK},
		"wrong application": {"x", fakecrowd.Jane, fakecrowd.JanesWord, http.StatusUnauthorized},
		"wrong password":    {fakecrowd.Application, fakecrowd.Jane, "x", http.StatusBadRequest},
		"wrong name":        {fakecrowd.Application, "x", fakecrowd.JanesWord, http.StatusBadRequest},
	} {
		req, err := http.NewRequest(http.MethodPost, s.URL+"/crowd/rest/usermanagement/1/authentication?username="+try.username, strings.NewReader(`{"value":"`+try.password+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(try.application, fakecrowd.Password)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != try.want {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
}
