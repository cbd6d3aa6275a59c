// Package runtimesettings holds the settings that admins can change while the
// server runs, such as session timeouts and the name of the installation.
package runtimesettings

import (
	"sync/atomic"
	"time"
)

// Values are the settings at one moment.
type Values struct {
	// IdleTimeout ends an unused session or device. AbsoluteTimeout ends it in any case.
	IdleTimeout, AbsoluteTimeout time.Duration
	// RefreshGrace is how long a used refresh token still returns the same response.
	RefreshGrace time.Duration
	// UpstreamMaxAge is how old the upstream's last answer may be before the server asks again. A negative value
	// asks each time. OutageBudget is how long users keep their rights while the upstream is unreachable.
	UpstreamMaxAge, OutageBudget time.Duration
	// WithoutRefresh decides about a user whom the upstream can't be asked about
	// without a new sign-in: KeepAccess or SignInAgain.
	WithoutRefresh string
	// Brand is the name of the installation. Contact tells users whom to ask. Notice is shown on the sign-in page.
	Brand, Contact, Notice string
	// Logo is an SVG document. Color and ColorDark are colours such as #0b6478. internal/brand has checked all
	// three. Empty values select Fairlead's own.
	Logo, Color, ColorDark string
}

// The values of WithoutRefresh.
const (
	// KeepAccess lets users keep what they had at the sign-in until their session ends.
	KeepAccess = "keep"
	// SignInAgain wants a new sign-in once the upstream's last answer is UpstreamMaxAge old.
	SignInAgain = "signInAgain"
)

// The values when none are set.
const (
	DefaultIdleTimeout     = 12 * time.Hour
	DefaultAbsoluteTimeout = 7 * 24 * time.Hour
	DefaultRefreshGrace    = 30 * time.Second
	DefaultUpstreamMaxAge  = 5 * time.Minute
	DefaultOutageBudget    = time.Hour
	DefaultBrand           = "Fairlead"
)

// WithDefaults replaces zero values with the defaults.
func (v Values) WithDefaults() Values {
	for value, fallback := range map[*time.Duration]time.Duration{
		&v.IdleTimeout: DefaultIdleTimeout, &v.AbsoluteTimeout: DefaultAbsoluteTimeout, &v.RefreshGrace: DefaultRefreshGrace, &v.UpstreamMaxAge: DefaultUpstreamMaxAge, &v.OutageBudget: DefaultOutageBudget,
	} {
		if *value == 0 {
			*value = fallback
		}
	}
	if v.Brand == "" {
		v.Brand = DefaultBrand
	}
	if v.WithoutRefresh == "" {
		v.WithoutRefresh = KeepAccess
	}
	return v
}

// WithFallback returns v, with empty fields taken from below.
func (v Values) WithFallback(below Values) Values {
	for value, fallback := range map[*time.Duration]time.Duration{
		&v.IdleTimeout: below.IdleTimeout, &v.AbsoluteTimeout: below.AbsoluteTimeout, &v.RefreshGrace: below.RefreshGrace, &v.UpstreamMaxAge: below.UpstreamMaxAge, &v.OutageBudget: below.OutageBudget,
	} {
		if *value == 0 {
			*value = fallback
		}
	}
	for value, fallback := range map[*string]string{&v.WithoutRefresh: below.WithoutRefresh, &v.Brand: below.Brand, &v.Contact: below.Contact, &v.Notice: below.Notice, &v.Logo: below.Logo, &v.Color: below.Color, &v.ColorDark: below.ColorDark} {
		if *value == "" {
			*value = fallback
		}
	}
	return v
}

// Settings hold the current values. They are safe for use by several goroutines.
type Settings struct {
	// file holds the values from the configuration file, which the pages cannot change.
	file    Values
	current atomic.Pointer[Values]
}

// New returns settings with the values of the configuration file.
func New(file Values) *Settings {
	s := &Settings{file: file}
	s.Set(Values{})
	return s
}

// Get returns the current values.
func (s *Settings) Get() Values { return *s.current.Load() }

// Set sets the values from the pages. Values from the configuration file take precedence.
func (s *Settings) Set(pages Values) {
	v := s.file.WithFallback(pages).WithDefaults()
	s.current.Store(&v)
}

// SetInFile reports whether the configuration file sets session values, and whether it sets the name and texts of
// the installation.
func (s *Settings) SetInFile() (sessions, branding bool) {
	f := s.file
	return f.IdleTimeout+f.AbsoluteTimeout+f.RefreshGrace+f.UpstreamMaxAge+f.OutageBudget != 0 || f.WithoutRefresh != "", f.Brand+f.Contact+f.Notice+f.Logo+f.Color+f.ColorDark != ""
}
