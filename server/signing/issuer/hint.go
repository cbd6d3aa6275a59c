package issuer

import (
	"encoding/json"
	"errors"
)

// IDTokenHint is what is read of an ID token that was once issued here. Its age does
// not matter: clients keep them for long (OpenID Connect RP-Initiated Logout
// section 2).
type IDTokenHint struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	SignInID string `json:"sid"`
}

// ErrIDTokenHint says that a token was not issued here.
var ErrIDTokenHint = errors.New("not an ID token of this issuer")

// ReadIDTokenHint reads an ID token hint. The error is ErrHint.
func (i *Issuer) ReadIDTokenHint(token string) (*IDTokenHint, error) {
	payload, err := i.Keys.Verify(token)
	if err != nil {
		return nil, ErrIDTokenHint
	}
	var hint IDTokenHint
	if json.Unmarshal(payload, &hint) != nil || hint.Issuer != i.URL || hint.Subject == "" || hint.Audience == "" {
		return nil, ErrIDTokenHint
	}
	return &hint, nil
}

// SignLogoutToken signs a logout token. Its type keeps it from being taken for an ID
// token (OpenID Connect Back-Channel Logout section 2.4).
func (i *Issuer) SignLogoutToken(alg string, payload []byte) (string, error) {
	return i.Keys.SignWithType(algorithmOrDefault(alg), "logout+jwt", payload)
}
