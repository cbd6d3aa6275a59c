package browser

import "testing"

func TestChooseMethod(t *testing.T) {
	t.Parallel()
	type env = map[string]string
	for name, c := range map[string]struct {
		system  string
		env     env
		xdgOpen bool
		want    Method
	}{
		"a desktop":               {"linux", env{"DISPLAY": ":0"}, true, Loopback},
		"Wayland":                 {"linux", env{"WAYLAND_DISPLAY": "wayland-0"}, true, Loopback},
		"no display":              {"linux", env{}, true, DeviceCode},
		"no xdg-open":             {"linux", env{"DISPLAY": ":0"}, false, DeviceCode},
		"over SSH":                {"linux", env{"DISPLAY": ":0", "SSH_CONNECTION": "x"}, true, DeviceCode},
		"over SSH, to a Mac":      {"darwin", env{"SSH_TTY": "/dev/x"}, false, DeviceCode},
		"a Mac":                   {"darwin", env{}, false, Loopback},
		"Windows":                 {"windows", env{}, false, Loopback},
		"Linux on Windows":        {"linux", env{"WSL_DISTRO_NAME": "Debian"}, false, Loopback},
		"BROWSER names a program": {"linux", env{"BROWSER": "firefox", "SSH_CONNECTION": "x"}, false, Loopback},
	} {
		got := choose(c.system, func(name string) string { return c.env[name] }, func(string) bool { return c.xdgOpen })
		if got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestOpenCommand(t *testing.T) {
	t.Parallel()
	for system, want := range map[string]string{"darwin": "open", "windows": "rundll32"} {
		if got, _ := openCommand(system, ""); got != want {
			t.Errorf("%s: %s", system, got)
		}
	}
	if got, args := openCommand("windows", "firefox"); got != "firefox" || len(args) != 0 {
		t.Errorf("%s %v", got, args)
	}
}
