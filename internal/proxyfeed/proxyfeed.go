// Package proxyfeed is what a proxy and the server say to each other: how one enrols,
// what the other tells of access that was taken away. Both sides use it; it knows
// neither.
package proxyfeed

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The addresses, below the server's own.
const (
	EnrolPath  = "/proxy/v1/enrol"
	FeedPath   = "/proxy/v1/feed"
	CheckPath  = "/proxy/v1/check"
	ReportPath = "/proxy/v1/report"
)

// MaxWait is how long the server keeps a proxy waiting for something new.
const MaxPollWait = 15 * time.Second

// MaxCheck is how many people may be asked about at once.
const MaxUsersPerCheck = 1000

// Enrolment is what a proxy says to enrol.
type EnrolRequest struct {
	// Code is the one-time code from the cluster's page.
	Code string `json:"code"`
	// Key is the public half of the proxy's key pair.
	Key jose.JSONWebKey `json:"key"`
	// Name is how admins tell the proxy from others, such as a host name.
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Enrolled is the answer: who the proxy is from now on, and for which cluster.
type EnrolResponse struct {
	ID       string   `json:"id"`
	Settings Settings `json:"settings"`
}

// Settings is what the server decides about a cluster's proxies.
type Settings struct {
	Cluster  string `json:"cluster"`
	Audience string `json:"audience"`
	Issuer   string `json:"issuer"`
	// StaleSeconds is how long a proxy may hear nothing; FailClosed what follows.
	StaleAfterSeconds int  `json:"staleSeconds"`
	FailClosed        bool `json:"failClosed"`
	// StreamSeconds is how long streams may go on after their token; zero is for ever.
	StreamGraceSeconds int `json:"streamSeconds"`
}

// Revocation is something that was taken away. Kind is "user", "device", "sign_in", or
// "rights": then it has to be asked what is left.
type Revocation struct {
	Kind   string    `json:"kind"`
	Value  string    `json:"value"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
}

// Rights is the kind of revocation after which it has to be asked what is left.
const RightsChanged = "rights"

// News is what happened since the numbers that the proxy named.
type Update struct {
	Seq     int64 `json:"seq"`
	Version int64 `json:"version"`
	// Now is the server's time.
	Now         time.Time    `json:"now"`
	Revocations []Revocation `json:"revocations"`
	Settings    Settings     `json:"settings"`
}

// Question asks who of some people may still use the cluster, by user id.
type CheckRequest struct {
	UserIDs []string `json:"people"`
}

// Answer names those who may not.
type CheckResponse struct {
	DeniedUserIDs []string  `json:"denied"`
	Now           time.Time `json:"now"`
}

// MaxReport is how many events may be reported at once.
const MaxEventsPerReport = 200

// Report is what happened at a proxy that people should find in the server's audit log. It
// may be sent twice.
type Report struct {
	Events []Event `json:"events"`
}

// Event is one of internal/audit, of the proxy's cluster.
type Event struct {
	Name      string    `json:"name"`
	Time      time.Time `json:"time"`
	RequestID string    `json:"requestID,omitempty"`
	UserID    string    `json:"userID,omitempty"`
	UserName  string    `json:"userName,omitempty"`
	SignInID  string    `json:"signInID,omitempty"`
	DeviceID  string    `json:"deviceID,omitempty"`
	TokenID   string    `json:"tokenID,omitempty"`
	Address   string    `json:"address,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Detail    string    `json:"detail,omitempty"`
}

// passLife is how long a proxy's proof of who it is lasts.
const assertionTTL = time.Minute

// Pass proves who a proxy is: a token that it signs itself (as in RFC 7523 section 2.2).
func SignAssertion(key ed25519.PrivateKey, id, server string, now time.Time) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: id}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("signing pass: %w", err)
	}
	claims := jwt.Claims{Issuer: id, Subject: id, Audience: jwt.Audience{server}, IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionTTL))}
	pass, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing pass: %w", err)
	}
	return pass, nil
}

// ErrPass says that a pass is not good.
var ErrInvalidAssertion = errors.New("the proxy did not show who it is")

// maxPass bounds a pass, in bytes.
const maxAssertionBytes = 2048

// ReadPass checks a pass. Find returns a proxy's public key by its id.
func VerifyAssertion(pass, server string, now time.Time, find func(id string) (publicKey string, err error)) (id string, err error) {
	if len(pass) > maxAssertionBytes {
		return "", ErrInvalidAssertion
	}
	token, err := jwt.ParseSigned(pass, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(token.Headers) != 1 || token.Headers[0].KeyID == "" {
		return "", ErrInvalidAssertion
	}
	id = token.Headers[0].KeyID
	text, err := find(id)
	if err != nil {
		return "", err
	}
	var key jose.JSONWebKey
	if err := json.Unmarshal([]byte(text), &key); err != nil {
		return "", fmt.Errorf("reading key of proxy %s: %w", id, err)
	}
	var claims jwt.Claims
	if token.Claims(key, &claims) != nil {
		return "", ErrInvalidAssertion
	}
	expected := jwt.Expected{Issuer: id, Subject: id, AnyAudience: jwt.Audience{server}, Time: now}
	if claims.Expiry == nil || claims.IssuedAt == nil || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > assertionTTL || claims.ValidateWithLeeway(expected, assertionTTL) != nil {
		return "", ErrInvalidAssertion
	}
	return id, nil
}

// CheckKey returns what is wrong with the key that a proxy enrols with.
func CheckKey(key jose.JSONWebKey) error {
	if _, ok := key.Key.(ed25519.PublicKey); !ok || !key.Valid() {
		return errors.New("want the public half of an Ed25519 key")
	}
	return nil
}
