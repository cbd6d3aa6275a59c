package browser

import "testing"

func TestChoose(t *testing.T) {
	t.Parallel()
	type env = map[string]string
	for name, c := range map[string]struct {
		system string
		env    env
		opener bool
		want   Way
	}{
		"a desktop":               {"linux", env{"DISPLAY": ":0"}, true, Here},
		"Wayland":                 {"linux", env{"WAYLAND_DISPLAY": "wayland-0"}, true, Here},
		"no display":              {"linux", env{}, true, ByCode},
		"nothing to open with":    {"linux", env{"DISPLAY": ":0"}, false, ByCode},
		"over SSH":                {"linux", env{"DISPLAY": ":0", "SSH_CONNECTION": "x"}, true, ByCode},
		"over SSH, to a Mac":      {"darwin", env{"SSH_TTY": "/dev/x"}, false, ByCode},
		"a Mac":                   {"darwin", env{}, false, Here},
		"Windows":                 {"windows", env{}, false, Here},
		"Linux on Windows":        {"linux", env{"WSL_DISTRO_NAME": "Debian"}, false, Here},
		"somebody said with what": {"linux", env{"BROWSER": "firefox", "SSH_CONNECTION": "x"}, false, Here},
	} {
		got := choose(c.system, func(name string) string { return c.env[name] }, func(string) bool { return c.opener })
		if got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestOpener(t *testing.T) {
	t.Parallel()
	for system, want := range map[string]string{"darwin": "open", "windows": "rundll32"} {
		if got, _ := opener(system, ""); got != want {
			t.Errorf("%s: %s", system, got)
		}
	}
	if got, args := opener("windows", "firefox"); got != "firefox" || len(args) != 0 {
		t.Errorf("%s %v", got, args)
	}
}
