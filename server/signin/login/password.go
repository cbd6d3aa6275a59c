package login

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/server/base/flow"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

// passwordForm holds what the password page shows, also after a wrong password.
type passwordForm struct {
	row      *store.Connector
	opened   connectors.Connector
	flow     *flow.Flow
	username string
	problem  error
}

func (h *Handler) showPasswordForm(c echo.Context, f passwordForm) error {
	sealed, err := h.Flows.Seal(c.Response(), c.Request(), f.flow)
	if err != nil {
		return err
	}
	name, err := h.destination(c, f.flow)
	if err != nil {
		return err
	}
	rows, err := h.Store.Connectors(c.Request().Context())
	if err != nil {
		return err
	}
	data := PasswordData{
		For: name, Connector: f.row.Name, Username: f.username, Flow: sealed,
		Action: h.Site.Path("/login/" + f.row.ID), Error: errs.Text(f.problem), UsernameLabel: i18n.T("User name"), Notice: h.Site.RuntimeSettings().Notice,
	}
	if err := h.offerPasskey(c, f, &data); err != nil {
		return err
	}
	if p, ok := f.opened.(connectors.Passworder); ok {
		data.UsernameLabel = i18n.T(p.UsernameLabel()) // the catalogue has the connectors' own texts
	}
	if len(rows) > 1 {
		data.Others = h.Site.Path("/login") + "?choose=yes&flow=" + url.QueryEscape(sealed)
	}
	view := web.View[PasswordData]{Page: PasswordPage(), Title: i18n.T("Sign in"), Data: data}
	if f.flow.Request != nil {
		view.FormOrigin = clients.RedirectOrigin(f.flow.Request.RedirectURI)
	}
	if f.problem != nil {
		view.Status = problemStatus(f.problem)
	}
	return web.Render(c, h.Site, view)
}

func problemStatus(err error) int {
	switch {
	case errors.Is(err, errTooMany):
		return http.StatusTooManyRequests
	case errs.Is(err, errs.Unavailable):
		return http.StatusServiceUnavailable
	}
	return http.StatusUnauthorized
}

// errTooMany is the first refusal in a window and errStillTooMany each later one. Later ones are not recorded, so
// that a flood fills neither the database nor the audit log.
var (
	errTooMany      = errors.New("too many wrong passwords")
	errStillTooMany = fmt.Errorf("still: %w", errTooMany)
)

func tooMany(repeated bool) error {
	if repeated {
		return errStillTooMany
	}
	return errTooMany
}

// checkPassword asks the connector, unless there were too many wrong passwords.
func (h *Handler) checkPassword(c echo.Context, row *store.Connector, username string) (store.ResolvedIdentity, error) {
	ctx := c.Request().Context()
	attempt := h.passwordCounters(c, row.ID, username)
	verdict, err := h.Limit.Attempt(ctx, attempt)
	if err != nil {
		return store.ResolvedIdentity{}, err
	}
	if wait := verdict.Wait; wait > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		return store.ResolvedIdentity{}, errs.Wrap(errs.Unauthenticated, tooMany(verdict.Repeated),
			"Too many wrong passwords. Try again in %s.", wait.Truncate(time.Minute)+time.Minute)
	}
	person, err := h.Upstream.Login(ctx, row, username, c.FormValue("password"))
	if errs.Is(err, errs.Unauthenticated) {
		return store.ResolvedIdentity{}, err
	}
	// Only wrong passwords count. An unreachable upstream does not.
	if taken := h.Limit.Undo(ctx, attempt); taken != nil {
		return store.ResolvedIdentity{}, errors.Join(err, taken)
	}
	return person, err
}

// submitPassword handles the password form.
func (h *Handler) submitPassword(c echo.Context) error {
	f, err := h.openFlow(c, c.FormValue("flow"))
	if err != nil {
		return err
	}
	row, opened, err := h.connector(c)
	if err != nil {
		return err
	}
	username := strings.TrimSpace(c.FormValue("username")) // a keyboard adds a blank, and the limiter counts by name
	person, err := h.checkPassword(c, row, username)
	if err != nil {
		name := ""
		if errs.Is(err, errs.Denied) {
			name = username // the password was right, so this is the real user name
		}
		h.recordFailure(c, row, name, err)
		return h.showPasswordForm(c, passwordForm{row: row, opened: opened, flow: f, username: username, problem: err})
	}
	if err := h.rememberBrowser(c, row.ID, username); err != nil {
		return err
	}
	return h.finishFirstFactor(c, row, firstFactor{person: person, methods: []string{"pwd"}}, f)
}
