// Package runtimesettings holds the settings that admins can change while the
// server runs, such as session timeouts and the name of the installation.
package runtimesettings

import (
	"sync/atomic"
	"time"
)

// Values are the settings at one moment.
type Values struct {
	// IdleTimeout ends a sign-in or device that isn't used, Absolute in any case.
	IdleTimeout, AbsoluteTimeout time.Duration
	// RefreshGrace is how long a used refresh token gives the same answer.
	RefreshGrace time.Duration
	// UpstreamMaxAge is how old an upstream's word may be; negative asks each time.
	// OutageBudget is how long rights are kept while it can't be asked.
	UpstreamMaxAge, OutageBudget time.Duration
	// Brand is the name of the installation, Contact whom to ask, and Notice what is
	// shown on the sign-in page.
	Brand, Contact, Notice string
	// Logo is an SVG document, Color and ColorDark are such as #0b6478; all were checked
	// by internal/brand. Empty ones are Fairlead's own.
	Logo, Color, ColorDark string
}

// The values when none are set.
const (
	DefaultIdleTimeout     = 12 * time.Hour
	DefaultAbsoluteTimeout = 7 * 24 * time.Hour
	DefaultRefreshGrace    = 30 * time.Second
	DefaultUpstreamMaxAge  = 5 * time.Minute
	DefaultOutageBudget    = time.Hour
	DefaultBrand           = "Fairlead"
)

// WithDefaults fills in what is zero.
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
	return v
}

// WithFallback returns v where it says something, and below elsewhere.
func (v Values) WithFallback(below Values) Values {
	for value, fallback := range map[*time.Duration]time.Duration{
		&v.IdleTimeout: below.IdleTimeout, &v.AbsoluteTimeout: below.AbsoluteTimeout, &v.RefreshGrace: below.RefreshGrace, &v.UpstreamMaxAge: below.UpstreamMaxAge, &v.OutageBudget: below.OutageBudget,
	} {
		if *value == 0 {
			*value = fallback
		}
	}
	for value, fallback := range map[*string]string{&v.Brand: below.Brand, &v.Contact: below.Contact, &v.Notice: below.Notice, &v.Logo: below.Logo, &v.Color: below.Color, &v.ColorDark: below.ColorDark} {
		if *value == "" {
			*value = fallback
		}
	}
	return v
}

// Settings hand the values out. It is safe for use by several goroutines.
type Settings struct {
	// file is what the configuration file says; it can't be changed in pages.
	file    Values
	current atomic.Pointer[Values]
}

// New returns settings with what the file says.
func New(file Values) *Settings {
	s := &Settings{file: file}
	s.Set(Values{})
	return s
}

// Get returns the values of now.
func (s *Settings) Get() Values { return *s.current.Load() }

// Set takes what the pages say. The file goes first.
func (s *Settings) Set(pages Values) {
	v := s.file.WithFallback(pages).WithDefaults()
	s.current.Store(&v)
}

// SetInFile reports whether the file says something about sessions, and about the
// installation's name and words.
func (s *Settings) SetInFile() (sessions, branding bool) {
	f := s.file
	return f.IdleTimeout+f.AbsoluteTimeout+f.RefreshGrace+f.UpstreamMaxAge+f.OutageBudget != 0, f.Brand+f.Contact+f.Notice+f.Logo+f.Color+f.ColorDark != ""
}
