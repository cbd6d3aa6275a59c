package issuer

import (
	"encoding/json"
	"errors"
)

// Hint is what is read of an ID token that was once issued here. Its age does
// not matter: clients keep them for long (OpenID Connect RP-Initiated Logout
// section 2).
type Hint struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	SignIn   string `json:"sid"`
}

// ErrHint says that a token was not issued here.
var ErrHint = errors.New("not an ID token of this issuer")

// ReadHint reads an ID token hint. The error is ErrHint.
func (i *Issuer) ReadHint(token string) (*Hint, error) {
	payload, err := i.Keys.Verify(token)
	if err != nil {
		return nil, ErrHint
	}
	var hint Hint
	if json.Unmarshal(payload, &hint) != nil || hint.Issuer != i.URL || hint.Subject == "" || hint.Audience == "" {
		return nil, ErrHint
	}
	return &hint, nil
}

// SignLogout signs a logout token. Its type keeps it from being taken for an ID
// token (OpenID Connect Back-Channel Logout section 2.4).
func (i *Issuer) SignLogout(alg string, payload []byte) (string, error) {
	return i.Keys.SignAs(algorithm(alg), "logout+jwt", payload)
}
