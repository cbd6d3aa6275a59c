// Package account serves the page "My account": the profile, second factors, devices, browsers and applications of the
// user. The user can sign each of them out.
package account

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/portal/page"
	"github.com/fairlead-auth/fairlead/server/base/ratelimit"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/base/web"
	"github.com/fairlead-auth/fairlead/server/oidc/tokeninfo"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
	"github.com/fairlead-auth/fairlead/server/signin/mfa"
	"github.com/fairlead-auth/fairlead/server/signin/session"
	"github.com/fairlead-auth/fairlead/templates"
)

// Handler serves the page.
type Handler struct {
	Guard   *page.Guard
	Store   *store.Store
	Clients *clients.Registry
	Site    *web.Site
	Audit   *audit.Log
	Now     func() time.Time
	// Bearer authenticates access tokens.
	Bearer *tokeninfo.Bearer
	// Keyring encrypts a factor that is being set up. Limit counts wrong codes.
	Keyring *secret.Keyring
	Limit   *ratelimit.Limiter
	// Passkeys registers passkeys; nil when this site has no host name.
	Passkeys *mfa.Passkeys
}

// Browser is a session in a browser.
type Browser struct {
	ID, Address string
	Agent       i18n.Text
	Since, Ends time.Time
	This        bool
}

// Device is a lasting grant, such as kubectl on a laptop.
type Device struct {
	ID, Address             string
	Name                    i18n.Text
	Created, LastUsed, Ends time.Time
}

// Application is a client that the user has given a permission.
type Application struct {
	ID, Name string
	Sees     i18n.Text
	Since    time.Time
}

// Data is the data of the page.
type Data struct {
	User, Name, Email, Connector string
	Groups                       []string
	Checked                      time.Time
	Browsers                     []Browser
	Devices                      []Device
	Applications                 []Application
	Login                        string
	// Factors are the user's second factors. Enrol is the key of an authenticator app that is being added. Picture and
	// Sealed belong to it.
	Factors                []Factor
	Enrol, Picture, Sealed string
	// Passkey has the options for the browser to create a passkey. Kept comes back with the answer.
	Passkey, Kept string
	// PasskeyAlone is set when a passkey signs the user in without a password.
	PasskeyAlone bool
	Fault        i18n.Text
}

// Factor is a second factor.
type Factor struct {
	ID             string
	Label          i18n.Text
	Since, LastUse time.Time
}

// Page is the account page.
func Page() templates.Page[Data] { return templates.Define[Data]("portal/account") }

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET("/account", h.Guard.For(h.show))
	g.POST("/account/devices/end", h.Guard.ForEnding(h.endDevices))
	g.POST("/account/devices/:id/end", h.Guard.ForEnding(h.endDevice))
	g.POST("/account/sign-ins/:id/end", h.Guard.ForEnding(h.endSignIn))
	g.POST("/account/factors", h.Guard.For(h.addFactor))
	g.POST("/account/passkeys", h.Guard.For(h.addPasskey))
	g.GET("/account/factors/code.png", h.Guard.For(h.factorPicture))
	g.POST("/account/factors/:id/end", h.Guard.For(h.removeFactor))
	g.POST("/account/applications/:id/end", h.Guard.ForEnding(h.endApplication))
	g.POST(apitypes.SignOutPath, h.signOutEverywhere)
}

func (h *Handler) show(c echo.Context, current *session.Current) error {
	return h.page(c, current, Data{}, http.StatusOK)
}

// page shows the page. given has the result of a form.
func (h *Handler) page(c echo.Context, current *session.Current, given Data, status int) error {
	ctx, u := c.Request().Context(), current.User
	signIns, err := h.Store.SignIns(ctx, u.ID, h.Now())
	if err != nil {
		return err
	}
	devices, err := h.Store.Devices(ctx, u.ID, h.Now())
	if err != nil {
		return err
	}
	data := Data{
		User: u.KubeName, Name: u.DisplayName, Email: u.Email, Connector: u.ConnectorID, Groups: u.GroupNames,
		Checked: u.Checked.Time(), Login: "kubectl fairlead login " + h.Site.Absolute(""), Enrol: given.Enrol, Fault: given.Fault,
	}
	if err := h.factors(c, current, &data); err != nil {
		return err
	}
	for _, s := range signIns {
		data.Browsers = append(data.Browsers, Browser{
			ID: s.ID, Agent: page.BrowserName(s.UserAgent), Address: s.Address,
			Since: s.Authenticated.Time(), Ends: s.Expires.Time(), This: s.ID == current.SignIn.ID,
		})
	}
	for _, d := range devices {
		data.Devices = append(data.Devices, Device{
			ID: d.ID, Name: deviceName(d), Address: d.Address,
			Created: d.Created.Time(), LastUsed: d.LastUsed.Time(), Ends: d.Expires.Time(),
		})
	}
	if data.Applications, err = h.applications(ctx, u.ID); err != nil {
		return err
	}
	return web.Render(c, h.Site, web.View[Data]{Page: Page(), Title: i18n.T("My account"), Data: data, Status: status, Person: page.Person(current)})
}

func deviceName(d store.Device) i18n.Text {
	if d.Host == "" {
		return i18n.Verbatim(d.ClientID)
	}
	return i18n.T("%s on %s", d.ClientID, d.Host)
}

func (h *Handler) endDevice(c echo.Context, current *session.Current) error {
	return h.end(c, current, store.Ending{
		Scope: store.EndDevice, ID: c.Param("id"), Reason: store.RevokedByUser,
		Event: audit.Event{Name: audit.DeviceRevoked, DeviceID: c.Param("id"), Reason: store.RevokedByUser},
	})
}

// endDevices signs out every device. A user who has lost one need not know which.
func (h *Handler) endDevices(c echo.Context, current *session.Current) error {
	return h.end(c, current, store.Ending{Scope: store.EndDevices, Reason: store.RevokedByUser})
}

// endApplication withdraws a consent and revokes the grants of the application.
func (h *Handler) endApplication(c echo.Context, current *session.Current) error {
	return h.end(c, current, store.Ending{
		Scope: store.EndConsent, ID: c.Param("id"), Reason: store.RevokedConsent,
		Event: audit.Event{Name: audit.ConsentRevoked, ClientID: c.Param("id")},
	})
}

// end ends something of the user and shows the page again.
func (h *Handler) end(c echo.Context, current *session.Current, e store.Ending) error {
	e.UserID, e.Log = current.User.ID, h.Audit
	e.Event.UserID, e.Event.UserName, e.Event.SignInID, e.Event.Address = current.User.ID, current.User.KubeName, current.SignIn.ID, c.RealIP()
	if _, err := h.Store.End(c.Request().Context(), e, h.Now()); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/account"))
}

func (h *Handler) applications(ctx context.Context, userID string) ([]Application, error) {
	consents, err := h.Store.Consents(ctx, userID)
	if err != nil {
		return nil, err
	}
	var list []Application
	for _, consent := range consents {
		client, err := h.Clients.Find(ctx, consent.ClientID)
		if errs.Is(err, errs.NotFound) {
			continue // an admin removed the client
		}
		if err != nil {
			return nil, err
		}
		list = append(list, Application{ID: client.ID, Name: client.Name, Sees: client.Permission(consent.Scopes), Since: consent.Granted.Time()})
	}
	return list, nil
}

func (h *Handler) endSignIn(c echo.Context, current *session.Current) error {
	if err := h.Guard.Sessions.EndByID(c.Request().Context(), current.User, c.Param("id")); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, h.Site.Path("/account"))
}
