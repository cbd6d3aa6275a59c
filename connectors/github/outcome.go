package github

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v60/github"
	"golang.org/x/oauth2"

	"github.com/fairlead-auth/fairlead/connectors"
)

// headerSSO is what GitHub sends when an organization demands its SAML single sign-on:
// "required; url=…" with a refusal, "partial-results; …" with a list that leaves
// organizations out.
const headerSSO = "X-Github-Sso"

// classify gives an error of GitHub its outcome.
func classify(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return connectors.OAuthError(refused.Response.StatusCode, refused.ErrorCode, refused.ErrorDescription)
	}
	refused, ok := errors.AsType[*gh.ErrorResponse](err)
	if !ok {
		return err // rate limits have types of their own
	}
	switch refused.Response.StatusCode {
	case http.StatusUnauthorized:
		return connectors.NewError(connectors.OutcomeDenied, err, "GitHub does not accept the account's token any more.", "Ask an admin whether the account still exists.")
	case http.StatusForbidden:
		return forbidden(refused)
	case http.StatusNotFound:
		return connectors.NewError(connectors.OutcomeMisconfigured, err, "GitHub does not know the address that was asked.", "Check the host, and the scopes read:org and user:email.")
	}
	return err
}

// forbidden tells the reasons of a 403 apart. GitHub gives them in a header or in words.
func forbidden(refused *gh.ErrorResponse) error {
	if address, ok := ssoAddress(refused.Response.Header); ok {
		return needsSSO(refused, address)
	}
	said := strings.ToLower(refused.Message)
	switch {
	case strings.Contains(said, "suspended"):
		return suspended(refused)
	case strings.Contains(said, "access restrictions"), strings.Contains(said, "not accessible by"):
		return connectors.NewError(connectors.OutcomeMisconfigured, refused, "An organization at GitHub does not let this OAuth app read its members.",
			"Ask an owner of the organization to approve the app under Third-party access.")
	}
	return refused // such as a secondary rate limit
}

func suspended(cause error) error {
	return connectors.NewError(connectors.OutcomeDenied, cause, "The account is suspended at GitHub.", "Ask an admin of GitHub to unsuspend it.")
}

// ssoAddress returns the page on which the user signs in to the organization.
func ssoAddress(h http.Header) (string, bool) {
	_, address, ok := strings.Cut(h.Get(headerSSO), "required; url=")
	return address, ok
}

func needsSSO(cause error, address string) error {
	e := connectors.NewError(connectors.OutcomeSignInAgain, cause, "GitHub wants the user to sign in to the organization's single sign-on.",
		fmt.Sprintf("Open %s.", address))
	e.Link = address
	return e
}

// notMember refuses a user who is in none of the organizations and teams. When GitHub
// hides organizations, the user may be in one of them after all.
func (c *Connector) notMember(hidden bool) error {
	if hidden {
		return needsSSO(nil, c.host+"/orgs/"+c.cfg.Orgs[0].Name+"/sso")
	}
	return connectors.NewError(connectors.OutcomeDenied, nil, "The account is in none of the organizations and teams that may sign in.", "Ask an admin to add it to one of them.")
}
