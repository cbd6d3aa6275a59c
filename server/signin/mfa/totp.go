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

// The parameters that every authenticator app supports: six digits, SHA-1, thirty seconds.
const (
	digits = otp.DigitsSix
	period = 30
	// maxDrift is the accepted clock difference in periods, in both directions.
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

// KeyURI returns the otpauth URI that an app reads from a QR code.
func KeyURI(brand, account, totp string) string {
	label := url.PathEscape(brand + ":" + account)
	return "otpauth://totp/" + label + "?secret=" + totp + "&issuer=" + url.QueryEscape(brand)
}

// qrCodePixels is the width and height of the QR code: three times the size at which pages show it, so that it is
// sharp on every screen.
const qrCodePixels = 3 * 240

// QRCode returns a PNG with the QR code of a text.
func QRCode(address string) ([]byte, error) {
	png, err := qrcode.Encode(address, qrcode.Medium, qrCodePixels)
	if err != nil {
		return nil, fmt.Errorf("drawing QR code: %w", err)
	}
	return png, nil
}

// CheckCode compares a code with the codes of the current period and its two neighbours. It returns the time step
// of the code. The caller must refuse this step and earlier ones from now on.
func CheckCode(totp, code string, now time.Time) (step int64, ok bool) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	current := now.Unix() / period
	for candidate := current - maxDrift; candidate <= current+maxDrift; candidate++ {
		want, err := hotp.GenerateCodeCustom(totp, uint64(candidate), hotp.ValidateOpts{Digits: digits, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // the time is after 1970
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = candidate, true
		}
	}
	return step, ok
}

// GenerateCode returns the code that an app shows at this time.
func GenerateCode(totp string, now time.Time) (string, error) {
	code, err := hotp.GenerateCodeCustom(totp, uint64(now.Unix()/period), hotp.ValidateOpts{Digits: digits, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // the time is after 1970
	if err != nil {
		return "", fmt.Errorf("making code: %w", err)
	}
	return code, nil
}
