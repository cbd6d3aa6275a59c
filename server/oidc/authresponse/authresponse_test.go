package authresponse_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/oidc/authresponse"
)

func send(t *testing.T, mode string, answer func(s *authresponse.Sender, c echo.Context, req *flow.Request) error) *httptest.ResponseRecorder {
	t.Helper()
	site, err := web.New(web.Config{URL: &url.URL{Scheme: "https", Host: "login.test"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := &authresponse.Sender{Site: site, Issuer: "https://login.test"}
	out := httptest.NewRecorder()
	c := echo.New().NewContext(httptest.NewRequest(http.MethodGet, "/", http.NoBody), out)
	if err := answer(s, c, &flow.Request{RedirectURI: "https://app.test/cb?x=1", State: `s"'<&`, ResponseMode: mode}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnswersCarryStateAndIssuer(t *testing.T) {
	t.Parallel()
	out := send(t, "", func(s *authresponse.Sender, c echo.Context, req *flow.Request) error {
		return s.Send(c, req, map[string]string{"code": "c0de"})
	})
	u, err := url.Parse(out.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if out.Code != http.StatusSeeOther || q.Get("code") != "c0de" || q.Get("state") != `s"'<&` || q.Get("iss") != "https://login.test" || q.Get("x") != "1" {
		t.Errorf("%d %s", out.Code, u)
	}
}

func TestFormPostPutsNothingInTheQuery(t *testing.T) {
	t.Parallel()
	out := send(t, authresponse.FormPost, func(s *authresponse.Sender, c echo.Context, req *flow.Request) error {
		return s.SendError(c, req, oauth.Errorf(oauth.AccessDenied, "No."))
	})
	body := out.Body.String()
	if out.Code != http.StatusOK || out.Header().Get("Location") != "" || !strings.Contains(body, `name="error" value="access_denied"`) {
		t.Errorf("%d:\n%s", out.Code, body)
	}
	if strings.Contains(body, `value="s"'`) || !strings.Contains(body, `action="https://app.test/cb?x=1"`) {
		t.Errorf("not escaped, or sent elsewhere:\n%s", body)
	}
}
