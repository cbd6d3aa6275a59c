package serverclient

import (
	"context"
	"errors"
	"net/url"
	"time"
)

const (
	grantDevice = "urn:ietf:params:oauth:grant-type:device_code"
	// defaultInterval is the interval between polls if the server names none (RFC 8628 section
	// 3.2). Each slow_down response adds slowDownStep to it (section 3.5).
	defaultInterval = 5 * time.Second
	slowDownStep    = 5 * time.Second
)

// DeviceCode is a response of the device authorization endpoint (RFC 8628 section 3.2).
type DeviceCode struct {
	// UserCode is the code that the user types on the page at VerificationURI.
	UserCode, VerificationURI string
	// Lifetime is how long the code is valid.
	Lifetime time.Duration

	deviceCode string
	interval   time.Duration
}

// RequestDeviceCode requests a device code. Host is the name of this computer, for the list of
// devices.
func (s *Server) RequestDeviceCode(ctx context.Context, host string) (DeviceCode, error) {
	var response struct {
		DeviceCode      string `json:"device_code"`
		UserCode        string `json:"user_code"`
		VerificationURI string `json:"verification_uri"`
		ExpiresIn       int    `json:"expires_in"`
		Interval        int    `json:"interval"`
	}
	form := url.Values{"client_id": {clientID}, "scope": {scopes}}
	if host != "" {
		form.Set("fairlead_host", host)
	}
	if err := s.post(ctx, "/device/authorize", form, &response); err != nil {
		return DeviceCode{}, err
	}
	d := DeviceCode{
		UserCode: response.UserCode, VerificationURI: response.VerificationURI, Lifetime: time.Duration(response.ExpiresIn) * time.Second,
		deviceCode: response.DeviceCode, interval: time.Duration(response.Interval) * time.Second,
	}
	if d.interval <= 0 {
		d.interval = defaultInterval
	}
	if d.deviceCode == "" || d.UserCode == "" || d.VerificationURI == "" {
		return DeviceCode{}, s.errNotFairlead()
	}
	return d, nil
}

// PollTokens polls the token endpoint, at the interval that the server allows, until the user
// has answered or ctx ends.
func (s *Server) PollTokens(ctx context.Context, d DeviceCode) (Tokens, error) {
	for {
		timer := time.NewTimer(d.interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return Tokens{}, ctx.Err()
		case <-timer.C:
		}
		tokens, err := s.requestTokens(ctx, url.Values{"grant_type": {grantDevice}, "device_code": {d.deviceCode}})
		refused, ok := errors.AsType[*RefusedError](err)
		switch {
		case err == nil:
			return tokens, nil
		case ok && refused.Code == "authorization_pending":
		case ok && refused.Code == "slow_down":
			d.interval += slowDownStep
		case ok:
			return Tokens{}, err
		case ctx.Err() != nil:
			return Tokens{}, ctx.Err()
		default: // a network error: poll half as often (RFC 8628 section 3.5)
			d.interval *= 2
		}
	}
}
