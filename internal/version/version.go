// Package version returns the version of the running program, as the linker or the Go
// toolchain recorded it.
package version

import "runtime/debug"

// stamp is set by the linker: -ldflags "-X …/internal/version.stamp=v1.2.3".
var stamp string //nolint:gochecknoglobals // the linker can set nothing else

// String returns the release version, or "dev-" and the commit for a build from source, or
// "dev".
func String() string {
	if stamp != "" {
		return stamp
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "dev-" + setting.Value[:12]
		}
	}
	return "dev"
}
