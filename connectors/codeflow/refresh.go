package codeflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/claims"
	"github.com/fairlead-auth/fairlead/connectors/rest"
)

// Refresh implements connectors.Refresher: with the provider's refresh token, or
// with its access token for as long as that is valid. With neither, the outcome is
// OutcomeUnconfirmed.
func (c *Connector) Refresh(ctx context.Context, last connectors.Identity) (connectors.Identity, error) {
	var token oauth2.Token
	if err := json.Unmarshal(last.Data, &token); err != nil {
		return connectors.Identity{}, connectors.Unconfirmed() // the cause could show the token
	}
	if token.RefreshToken != "" && (c.tokens != nil || !token.Valid()) {
		return c.renew(ctx, last, token.RefreshToken)
	}
	if !token.Valid() || c.userInfoURL == "" {
		return connectors.Identity{}, connectors.Unconfirmed()
	}
	said, err := c.userInfo(ctx, &token)
	if connectors.OutcomeOf(err) == connectors.OutcomeDenied && token.Expiry.IsZero() {
		// The provider sent no expiry for its token, so the token may have expired.
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeSignInAgain, err, "The provider's token for this account has ended.", connectors.SignInAgain)
	}
	if err != nil {
		return connectors.Identity{}, err
	}
	return c.byUserInfo(ctx, last, said, &token)
}

// byUserInfo is again for a renewal without an ID token. The userinfo endpoint of some OpenID providers (AD FS) answers
// with the subject alone: that describes no user, and is no fault of the user's data.
func (c *Connector) byUserInfo(ctx context.Context, last connectors.Identity, said claims.Set, token *oauth2.Token) (connectors.Identity, error) {
	subject := said.Text(c.cfg.Claims.ID)
	if c.tokens != nil && c.username(said) == "" && (subject == "" || subject == last.Subject) {
		return connectors.Identity{}, connectors.Unconfirmed()
	}
	return c.again(ctx, last, said, token)
}

// renew uses a refresh token (RFC 6749 section 6). The response may contain a new ID token. Otherwise the userinfo
// endpoint identifies the user. A provider without either has still confirmed the account by accepting the token.
func (c *Connector) renew(ctx context.Context, last connectors.Identity, refreshToken string) (connectors.Identity, error) {
	token, err := c.oauth.TokenSource(c.outside(ctx), &oauth2.Token{RefreshToken: refreshToken}).Token()
	if err != nil {
		return connectors.Identity{}, tokenError(err)
	}
	renewed, err := c.confirm(ctx, last, token)
	if err != nil && token.RefreshToken != refreshToken {
		renewed.Data, _ = json.Marshal(token) // a token of the library always encodes
	}
	return renewed, err
}

// confirm asks with a renewed token whether the account is still the same.
func (c *Connector) confirm(ctx context.Context, last connectors.Identity, token *oauth2.Token) (connectors.Identity, error) {
	raw, _ := token.Extra("id_token").(string)
	if c.tokens != nil && raw == "" && c.userInfoURL == "" {
		var err error
		last.Data, err = json.Marshal(token)
		return last, err
	}
	if c.tokens != nil && raw != "" {
		said, err := c.ask(ctx, token, "")
		if err != nil {
			return connectors.Identity{}, err
		}
		return c.again(ctx, last, said, token)
	}
	said, err := c.userInfo(ctx, token)
	if err != nil {
		return connectors.Identity{}, err
	}
	return c.byUserInfo(ctx, last, said, token)
}

// again converts the claims of a renewal to an identity, which must be of the same account.
func (c *Connector) again(ctx context.Context, last connectors.Identity, said claims.Set, token *oauth2.Token) (connectors.Identity, error) {
	if subject := said.Text(c.cfg.Claims.ID); subject != "" && subject != last.Subject {
		return connectors.Identity{}, connectors.NewError(connectors.OutcomeDenied, nil, "The provider answered about another account.", connectors.SignInAgain)
	}
	return c.identity(ctx, said, token)
}

// userInfo reads the userinfo endpoint, or the address that a provider without
// OpenID Connect has for it.
func (c *Connector) userInfo(ctx context.Context, token *oauth2.Token) (claims.Set, error) {
	answer, err := rest.Ask(ctx, c.client, rest.Request{
		Method: http.MethodGet, URL: c.userInfoURL, Header: http.Header{"Authorization": {token.Type() + " " + token.AccessToken}},
	})
	if err != nil {
		return nil, fmt.Errorf("reading the userinfo endpoint: %w", err)
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("reading the userinfo endpoint: %w", resourceError(answer))
	}
	if c.tokens != nil && strings.HasPrefix(answer.Header.Get("Content-Type"), "application/jwt") {
		payload, err := c.tokens.signature(ctx, strings.TrimSpace(string(answer.Body())))
		if err != nil {
			return nil, err
		}
		return claims.Decode(payload)
	}
	said, err := claims.Decode(answer.Body())
	if err != nil {
		return nil, connectors.NewError(connectors.OutcomeMisconfigured, err, "The userinfo endpoint did not answer with a JSON object.", "Check its address.")
	}
	return said, nil
}

// resourceError classifies a refusal of a protected resource (RFC 6750 section 3.1).
func resourceError(answer *rest.Answer) error {
	code, description := challengeError(strings.Join(answer.Header.Values("WWW-Authenticate"), ", ")), ""
	if code == "" {
		code, description = bodyError(answer.Body())
	}
	if code == "" && answer.Status == http.StatusUnauthorized {
		code = "invalid_token"
	}
	return connectors.OAuthError(answer.Status, code, description)
}

// challengeError returns the error code of a Bearer challenge. Some providers leave out its quotation marks.
func challengeError(challenge string) string {
	_, code, found := strings.Cut(challenge, "error=")
	if !found {
		return ""
	}
	code, _, _ = strings.Cut(strings.TrimPrefix(code, `"`), `"`)
	code, _, _ = strings.Cut(code, ",")
	return strings.TrimSpace(code)
}

// bodyError returns the error of a JSON body, if it is a code of OAuth. Frameworks write the status there ("Forbidden"),
// which says nothing about the user.
func bodyError(body []byte) (code, description string) {
	said, err := claims.Decode(body)
	if err != nil || !slices.Contains([]string{
		"access_denied", "invalid_token", "invalid_grant", "unauthorized", "unauthorized_client", "insufficient_scope", "login_required", "interaction_required", "consent_required", "mfa_required",
	}, said.Text("error")) {
		return "", ""
	}
	return said.Text("error"), said.Text("error_description")
}

// tokenError classifies an error of the token endpoint.
func tokenError(err error) error {
	refusal, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok && (strings.HasPrefix(err.Error(), "oauth2: cannot parse") || strings.HasPrefix(err.Error(), "oauth2: server response missing")) {
		return connectors.NewError(connectors.OutcomeMisconfigured, err, "The token endpoint did not answer with a token.", "Check its address, and that no sign-in page of a proxy stands in front of it.")
	}
	if !ok {
		return fmt.Errorf("asking the token endpoint: %w", err)
	}
	return fmt.Errorf("asking the token endpoint: %w", connectors.OAuthError(refusal.Response.StatusCode, refusal.ErrorCode, refusal.ErrorDescription))
}

// getJSON reads a JSON document that needs no token.
func getJSON(ctx context.Context, client *http.Client, address string, into any) error {
	answer, err := rest.Ask(ctx, client, rest.Request{Method: http.MethodGet, URL: address, FollowRedirects: true})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return connectors.OAuthError(answer.Status, "", "")
	}
	if err := answer.Into(into); err != nil {
		return connectors.NewError(connectors.OutcomeMisconfigured, err, address+" did not answer with JSON.", "Check the address in a browser.")
	}
	return nil
}
