package runtimesettings_test

import (
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
)

func TestTheFileGoesFirst(t *testing.T) {
	t.Parallel()
	s := runtimesettings.New(runtimesettings.Values{Idle: time.Hour})
	if v := s.Get(); v.Idle != time.Hour || v.Absolute != runtimesettings.DefaultAbsolute || v.Brand != "Fairlead" {
		t.Errorf("%+v", v)
	}
	s.Set(runtimesettings.Values{Idle: 2 * time.Hour, Absolute: 3 * time.Hour, Brand: "Acme"})
	if v := s.Get(); v.Idle != time.Hour || v.Absolute != 3*time.Hour || v.Brand != "Acme" {
		t.Errorf("%+v", v)
	}
	if sessions, branding := s.InFile(); !sessions || branding {
		t.Errorf("in the file: %v %v", sessions, branding)
	}
	s.Set(runtimesettings.Values{})
	if v := s.Get(); v.Absolute != runtimesettings.DefaultAbsolute {
		t.Errorf("taken back: %+v", v)
	}
}
