package runtimesettings_test

import (
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/server/base/runtimesettings"
)

func TestTheFileGoesFirst(t *testing.T) {
	t.Parallel()
	s := runtimesettings.New(runtimesettings.Values{IdleTimeout: time.Hour})
	if v := s.Get(); v.IdleTimeout != time.Hour || v.AbsoluteTimeout != runtimesettings.DefaultAbsoluteTimeout || v.Brand != "Fairlead" {
		t.Errorf("%+v", v)
	}
	s.Set(runtimesettings.Values{IdleTimeout: 2 * time.Hour, AbsoluteTimeout: 3 * time.Hour, Brand: "Acme"})
	if v := s.Get(); v.IdleTimeout != time.Hour || v.AbsoluteTimeout != 3*time.Hour || v.Brand != "Acme" {
		t.Errorf("%+v", v)
	}
	if sessions, branding := s.SetInFile(); !sessions || branding {
		t.Errorf("in the file: %v %v", sessions, branding)
	}
	s.Set(runtimesettings.Values{})
	if v := s.Get(); v.AbsoluteTimeout != runtimesettings.DefaultAbsoluteTimeout {
		t.Errorf("taken back: %+v", v)
	}
}
