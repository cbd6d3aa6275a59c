package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
)

// maxBody bounds a response in bytes.
const maxBody = 1 << 20

// JSON reads a JSON document. It also returns the server's time if the response has it.
func JSON(ctx context.Context, client *http.Client, address string, into any) (time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return time.Time{}, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return time.Time{}, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return time.Time{}, err
	}
	if res.StatusCode != http.StatusOK {
		return time.Time{}, &FaultError{Cause: fmt.Sprintf("%s answered %s.", address, res.Status), Remedy: "Check the address: open it in a browser."}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return time.Time{}, &FaultError{Cause: address + " did not answer with JSON.", Remedy: "Check the address: open it in a browser."}
	}
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // not every server sends a Date header
	}
	return at, nil
}

// Discovery holds the fields of a discovery document that the connectors use.
type Discovery struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	Algorithms            []string `json:"id_token_signing_alg_values_supported"`
	Challenges            []string `json:"code_challenge_methods_supported"`
}

// maxOffset is the accepted clock difference.
const maxOffset = 30 * time.Second

// Discover reads and checks an issuer's discovery document, its keys and clock.
func (r *Run) Discover(ctx context.Context, client *http.Client, issuer string) (*Discovery, bool) {
	d := &Discovery{}
	var clock time.Duration
	good := r.Step(ctx, "Read the discovery document", func(ctx context.Context) (string, error) {
		at, err := JSON(ctx, client, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", d)
		if err != nil {
			return "", err
		}
		if !at.IsZero() {
			clock = r.Env.Now().Sub(at)
		}
		if d.Issuer != issuer {
			return "", &FaultError{Cause: fmt.Sprintf("The discovery document names another issuer: %q.", d.Issuer), Remedy: "Enter the issuer exactly like that, including the slash at the end if there is one."}
		}
		return d.TokenEndpoint, nil
	})
	if !good {
		r.Skip("Read the keys", "Check the client")
		return nil, false
	}
	if clock.Abs() > maxOffset {
		r.Warn("Compare clocks", fmt.Sprintf("This server’s clock differs by %s from the provider’s.", clock.Round(time.Second)), "Set this server’s clock (NTP): tokens would look expired, or not yet good.")
	}
	return d, r.Step(ctx, "Read the keys", func(ctx context.Context) (string, error) {
		var set struct{ Keys []json.RawMessage }
		if _, err := JSON(ctx, client, d.JWKSURI, &set); err != nil {
			return "", err
		}
		if len(set.Keys) == 0 {
			return "", &FaultError{Cause: "The provider publishes no keys.", Remedy: "Check the provider: without keys no client can verify its tokens."}
		}
		return fmt.Sprintf("%d keys", len(set.Keys)), nil
	})
}

// OAuthClient is a client at a provider.
type OAuthClient struct {
	TokenURL, ID, Secret, Callback string
	// Words for the two fields at the provider.
	IDLabel, SecretLabel string
}

// CheckClient sends an invalid code to the token endpoint. The error distinguishes a wrong client from a wrong
// code.
func (r *Run) CheckClient(ctx context.Context, client *http.Client, c OAuthClient) bool {
	return r.Step(ctx, "Check the client and its secret", func(ctx context.Context) (string, error) {
		answer, status, err := askToken(ctx, client, c)
		if err != nil {
			return "", err
		}
		switch {
		case slices.Contains([]string{"invalid_grant", "bad_verification_code", "invalid_request", "invalid_code"}, answer.Error):
			return "accepted", nil
		case answer.Error == "redirect_uri_mismatch":
			return "", &FaultError{Cause: "The provider does not know the callback address " + c.Callback + ".", Remedy: "Paste it there exactly, as the first step says."}
		case refusesClient(answer.Error):
			return "", &FaultError{
				Cause:  fmt.Sprintf("The provider refused the client (%s).", answer.Error),
				Remedy: "Copy “" + c.IDLabel + "” and “" + c.SecretLabel + "” again. Most providers show a secret once: make a new one when in doubt.",
			}
		}
		return "", &FaultError{Cause: "The token endpoint answered " + strings.TrimSpace(fmt.Sprintf("%d %s %s", status, answer.Error, answer.Description)) + ".", Remedy: tokenRemedy}
	})
}

type tokenAnswer struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func askToken(ctx context.Context, client *http.Client, c OAuthClient) (tokenAnswer, int, error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {"fairlead-checks-its-settings"}, "redirect_uri": {c.Callback},
		"client_id": {c.ID}, "client_secret": {c.Secret}, "code_verifier": {strings.Repeat("fairlead", 6)},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return tokenAnswer{}, 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	// The body contains the secret, so the request must not follow a redirect.
	direct := *client
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := direct.Do(req)
	if err != nil {
		return tokenAnswer{}, 0, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	var answer tokenAnswer
	if json.Unmarshal(body, &answer) != nil {
		// GitHub and some others send a form instead of JSON.
		if values, err := url.ParseQuery(string(body)); err == nil {
			answer.Error = values.Get("error")
		}
	}
	if answer.Error == "" && res.StatusCode == http.StatusUnauthorized {
		answer.Error = "invalid_client"
	}
	return answer, res.StatusCode, errors.Join(err, res.Body.Close())
}

// OAuth checks a provider without a discovery document: its site, and the client.
func OAuth(ctx context.Context, env connectors.Env, site, ca string, c OAuthClient) []connectors.Finding {
	run := &Run{Env: env}
	c.Callback = env.CallbackURL
	if !run.Site(ctx, site, ca) {
		run.Skip("Check the client and its secret")
		return run.Findings()
	}
	run.CheckClient(ctx, Client(env, ca), c)
	return run.Findings()
}

// OpenID checks a provider by its discovery document, and the client.
func OpenID(ctx context.Context, env connectors.Env, issuer, ca string, c OAuthClient) []connectors.Finding {
	run := &Run{Env: env}
	if !run.Site(ctx, issuer, ca) {
		run.Skip("Read the discovery document", "Read the keys", "Check the client and its secret")
		return run.Findings()
	}
	client := Client(env, ca)
	if d, good := run.Discover(ctx, client, issuer); good {
		c.TokenURL, c.Callback = d.TokenEndpoint, env.CallbackURL
		run.CheckClient(ctx, client, c)
	}
	return run.Findings()
}
