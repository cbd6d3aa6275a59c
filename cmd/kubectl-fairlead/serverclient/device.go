package serverclient

import (
	"context"
	"errors"
	"net/url"
	"time"
)

const (
	grantDevice = "urn:ietf:params:oauth:grant-type:device_code"
	// usualInterval is how far apart to ask when the server does not say (RFC 8628 section
	// 3.2), slower how much longer each time that it says slow_down (section 3.5).
	usualInterval = 5 * time.Second
	slower        = 5 * time.Second
)

// DeviceCode is what a person types on another screen (RFC 8628 section 3.2).
type DeviceCode struct {
	UserCode string
	// Address is where, Complete the same with the code in it.
	Address, Complete string
	Expires           time.Duration

	code     string
	interval time.Duration
}

// DeviceCode asks for codes. Host is the name of this computer.
func (s *Server) DeviceCode(ctx context.Context, host string) (DeviceCode, error) {
	var a struct {
		DeviceCode string `json:"device_code"`
		UserCode   string `json:"user_code"`
		Address    string `json:"verification_uri"`
		Complete   string `json:"verification_uri_complete"`
		ExpiresIn  int    `json:"expires_in"`
		Interval   int    `json:"interval"`
	}
	form := url.Values{"client_id": {clientID}, "scope": {scopes}}
	if host != "" {
		form.Set("fairlead_host", host)
	}
	if err := s.post(ctx, "/device/authorize", form, &a); err != nil {
		return DeviceCode{}, err
	}
	d := DeviceCode{UserCode: a.UserCode, Address: a.Address, Complete: a.Complete, Expires: time.Duration(a.ExpiresIn) * time.Second, code: a.DeviceCode, interval: time.Duration(a.Interval) * time.Second}
	if d.interval <= 0 {
		d.interval = usualInterval
	}
	if d.code == "" || d.UserCode == "" || d.Address == "" {
		return DeviceCode{}, errors.New(s.base + " did not answer like a Fairlead server")
	}
	return d, nil
}

// Await asks again and again, as often as it may, until the person has answered or ctx ends.
func (s *Server) Await(ctx context.Context, d DeviceCode) (Grant, error) {
	for {
		timer := time.NewTimer(d.interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return Grant{}, ctx.Err()
		case <-timer.C:
		}
		grant, err := s.grant(ctx, url.Values{"grant_type": {grantDevice}, "device_code": {d.code}})
		refused, ok := errors.AsType[*RefusedError](err)
		switch {
		case err == nil:
			return grant, nil
		case ok && refused.Code == "authorization_pending":
		case ok && refused.Code == "slow_down":
			d.interval += slower
		case ok:
			return Grant{}, err
		case ctx.Err() != nil:
			return Grant{}, ctx.Err()
		default: // the network was away for a moment (RFC 8628 section 3.5)
			d.interval *= 2
		}
	}
}
