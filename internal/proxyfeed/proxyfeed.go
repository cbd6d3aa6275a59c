// Package proxyfeed defines the HTTP API between fairlead-proxy and the Fairlead server: enrolment,
// revocations and settings, access checks, and audit reports. Both programs import it.
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

// The paths of the API, below the server's URL.
const (
	EnrolPath  = "/proxy/v1/enrol"
	FeedPath   = "/proxy/v1/feed"
	CheckPath  = "/proxy/v1/check"
	ReportPath = "/proxy/v1/report"
)

// MaxPollWait is the longest time that the server holds a poll of the feed.
const MaxPollWait = 15 * time.Second

// MaxUsersPerCheck is the maximum number of users in a CheckRequest.
const MaxUsersPerCheck = 1000

// EnrolRequest is the body of an enrolment.
type EnrolRequest struct {
	// Code is the one-time code from the cluster's page.
	Code string `json:"code"`
	// Key is the public key of the proxy.
	Key jose.JSONWebKey `json:"key"`
	// Name is the name that admins see for the proxy, such as its host name.
	Name    string `json:"name"`
	Version string `json:"version"`
}

// EnrolResponse is the response to an enrolment: the proxy's ID and the settings of its cluster.
type EnrolResponse struct {
	ID       string   `json:"id"`
	Settings Settings `json:"settings"`
}

// Settings are the server's settings for the proxies of a cluster.
type Settings struct {
	Cluster  string `json:"cluster"`
	Audience string `json:"audience"`
	Issuer   string `json:"issuer"`
	// StaleAfterSeconds is how long a proxy may be without contact before the feed is stale.
	// FailClosed makes it refuse all requests then.
	StaleAfterSeconds int  `json:"staleSeconds"`
	FailClosed        bool `json:"failClosed"`
	// StreamGraceSeconds is how long streams may outlive their token; zero means without limit.
	StreamGraceSeconds int `json:"streamSeconds"`
}

// Revocation revokes the access of a user, a device or a sign-in (Kind is "user", "device" or "sign_in").
// After the kind RightsChanged, the proxy has to check the user's access.
type Revocation struct {
	Kind   string    `json:"kind"`
	Value  string    `json:"value"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
}

// RightsChanged is the kind of revocation after which the proxy has to check the user's access.
const RightsChanged = "rights"

// Update holds the changes since the sequence number and the version that the proxy has.
type Update struct {
	Seq     int64 `json:"seq"`
	Version int64 `json:"version"`
	// Now is the server's clock.
	Now         time.Time    `json:"now"`
	Revocations []Revocation `json:"revocations"`
	Settings    Settings     `json:"settings"`
}

// CheckRequest asks whether users may still use the cluster.
type CheckRequest struct {
	UserIDs []string `json:"people"`
}

// CheckResponse lists the users who may not.
type CheckResponse struct {
	DeniedUserIDs []string  `json:"denied"`
	Now           time.Time `json:"now"`
}

// MaxEventsPerReport is the maximum number of events in a Report.
const MaxEventsPerReport = 200

// Report holds audit events of a proxy for the server's audit log. A proxy may send a report twice.
type Report struct {
	Events []Event `json:"events"`
}

// Event is an audit event of package internal/audit. The server knows the proxy's cluster.
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

// assertionTTL is the lifetime of an assertion.
const assertionTTL = time.Minute

// SignAssertion returns a JWT with which a proxy authenticates to the server (RFC 7523 section 2.2).
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

// ErrInvalidAssertion says that an assertion is not valid.
var ErrInvalidAssertion = errors.New("the proxy did not show who it is")

// maxAssertionBytes bounds the size of an assertion.
const maxAssertionBytes = 2048

// VerifyAssertion verifies an assertion and returns the proxy's ID. Find returns the public key of a
// proxy ID.
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

// CheckKey returns an error unless key is a public Ed25519 key.
func CheckKey(key jose.JSONWebKey) error {
	if _, ok := key.Key.(ed25519.PublicKey); !ok || !key.Valid() {
		return errors.New("must be a public Ed25519 key")
	}
	return nil
}
