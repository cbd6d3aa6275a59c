package relyingparty

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Client is a public relying party at loopback.
type Client struct {
	Issuer      string
	ID          string
	RedirectURI string
	Scope       string
	// Transport is the default one when nil.
	Transport http.RoundTripper
}

// Tokens is the answer of the token endpoint, errors included.
type Tokens struct {
	Status           int    `json:"-"`
	Raw              string `json:"-"`
	AccessToken      string `json:"access_token"`
	IDToken          string `json:"id_token"`
	RefreshToken     string `json:"refresh_token"`
	TokenType        string `json:"token_type"`
	IssuedTokenType  string `json:"issued_token_type"`
	Scope            string `json:"scope"`
	ExpiresIn        int    `json:"expires_in"`
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
}

// AuthURL returns the address of an authorization request.
func (c *Client) AuthURL(challenge string, more url.Values) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.RedirectURI}, "scope": {c.Scope},
		"state": {"state-1"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	maps.Copy(q, more)
	return c.Issuer + "/authorize?" + q.Encode()
}

// Token posts to the token endpoint.
func (c *Client) Token(t testing.TB, params url.Values) Tokens {
	t.Helper()
	if params.Get("client_id") == "" {
		params.Set("client_id", c.ID)
	}
	return c.Post(t, "/token", params)
}

// Post posts a form to an endpoint and reads the JSON answer.
func (c *Client) Post(t testing.TB, path string, params url.Values) Tokens {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.Issuer+path, strings.NewReader(params.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := (&http.Client{Transport: c.Transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	tokens := Tokens{Status: resp.StatusCode, Raw: string(body)}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &tokens); err != nil {
			t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
		}
	}
	if got := resp.Header.Get("Cache-Control"); path == "/token" && got != "no-store" {
		t.Errorf("token answer has Cache-Control %q", got)
	}
	return tokens
}

// SignIn does the whole code flow in a browser and returns the tokens.
func (c *Client) SignIn(t testing.TB, b *Browser, as Credentials) Tokens {
	t.Helper()
	verifier, challenge := PKCE()
	page := b.SignIn(c.AuthURL(challenge, nil), as)
	tokens := c.Token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {page.Code(t)}, "redirect_uri": {c.RedirectURI}, "code_verifier": {verifier},
	})
	if tokens.Error != "" {
		t.Fatalf("code exchange: %s", tokens.Raw)
	}
	return tokens
}

// Refresh uses a refresh token.
func (c *Client) Refresh(t testing.TB, token string) Tokens {
	t.Helper()
	return c.Token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// Exchange gets a token for a cluster.
func (c *Client) Exchange(t testing.TB, accessToken, audience string) Tokens {
	t.Helper()
	return c.Token(t, url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {accessToken}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"requested_token_type": {"urn:ietf:params:oauth:token-type:id_token"}, "audience": {audience},
	})
}

// Claims decodes a JWT without verifying it.
func Claims(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", token)
	}
	var claims map[string]any
	if err := json.NewDecoder(base64Reader(parts[1])).Decode(&claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func base64Reader(s string) io.Reader {
	return base64.NewDecoder(base64.RawURLEncoding, strings.NewReader(s))
}
