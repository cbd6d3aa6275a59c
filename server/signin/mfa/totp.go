// Package mfa implements second factors: TOTP codes of authenticator apps (RFC
// 6238) and passkeys (WebAuthn). The callers store the factors of each user.
package mfa

import (
	"crypto/subtle"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/skip2/go-qrcode"

	"github.com/fairlead-auth/fairlead/internal/secret"
)

// What every authenticator app knows: six digits, SHA-1, thirty seconds.
const (
	digits = otp.DigitsSix
	period = 30
	// maxDrift is how many periods a clock may be off, each way.
	maxDrift = 1
	// secretLength is the length of a secret in base32: 160 bits.
	secretLength = 32
)

// NewTOTPSecret returns a secret for an authenticator app, in base32.
func NewTOTPSecret() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b strings.Builder
	for _, d := range secret.Digits(secretLength, len(alphabet)) {
		b.WriteByte(alphabet[d])
	}
	return b.String()
}

// KeyURI is what an app reads from a picture: the otpauth URI.
func KeyURI(brand, account, totp string) string {
	label := url.PathEscape(brand + ":" + account)
	return "otpauth://totp/" + label + "?secret=" + totp + "&issuer=" + url.QueryEscape(brand)
}

// qrCodePixels is the side of the picture.
const qrCodePixels = 240

// QRCode returns the address as a QR code, a PNG.
func QRCode(address string) ([]byte, error) {
	png, err := qrcode.Encode(address, qrcode.Medium, qrCodePixels)
	if err != nil {
		return nil, fmt.Errorf("drawing QR code: %w", err)
	}
	return png, nil
}

// CheckCode compares a code with those of now and one period around it. It returns
// the time step that it is for: the same or an earlier one must not be used again.
func CheckCode(totp, code string, now time.Time) (step int64, ok bool) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	current := now.Unix() / period
	for candidate := current - maxDrift; candidate <= current+maxDrift; candidate++ {
		want, err := hotp.GenerateCodeCustom(totp, uint64(candidate), hotp.ValidateOpts{Digits: digits, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // time is after 1970
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = candidate, true
		}
	}
	return step, ok
}

// GenerateCode is the code of a moment: what the app shows.
func GenerateCode(totp string, now time.Time) (string, error) {
	code, err := hotp.GenerateCodeCustom(totp, uint64(now.Unix()/period), hotp.ValidateOpts{Digits: digits, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // time is after 1970
	if err != nil {
		return "", fmt.Errorf("making code: %w", err)
	}
	return code, nil
}
