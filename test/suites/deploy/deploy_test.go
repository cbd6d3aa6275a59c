// Package deploy_test checks the systemd units, the Compose file and the image recipe. The
// programs' own tests read the example configurations. test/suites/e2e applies the Kubernetes
// manifests to a real API server.
package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../..", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSystemdUnits checks the start command and the hardening of each unit.
func TestSystemdUnits(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"fairlead", "fairlead-proxy"} {
		sections := map[string]map[string]string{}
		section := ""
		for line := range strings.Lines(read(t, "deploy/systemd/"+program+".service")) {
			line = strings.TrimSpace(line)
			switch {
			case line == "":
			case strings.HasPrefix(line, "["):
				section = strings.Trim(line, "[]")
				sections[section] = map[string]string{}
			default:
				key, value, found := strings.Cut(line, "=")
				if !found || section == "" {
					t.Errorf("%s: line %q is no setting of a section", program, line)
				}
				sections[section][key] = value
			}
		}
		if got := sections["Service"]["ExecStart"]; got != "/usr/local/bin/"+program+" serve --config /etc/"+program+"/"+program+".yaml" {
			t.Errorf("%s: ExecStart=%s", program, got)
		}
		for _, hardening := range []string{"DynamicUser", "NoNewPrivileges", "ProtectHome", "PrivateTmp"} {
			if sections["Service"][hardening] != "yes" {
				t.Errorf("%s: %s is not set", program, hardening)
			}
		}
		if sections["Install"]["WantedBy"] == "" || sections["Unit"]["Description"] == "" {
			t.Errorf("%s: WantedBy or Description is missing in %v", program, sections)
		}
	}
}

// TestCompose checks that services, files and variables that the Compose file refers to exist.
func TestCompose(t *testing.T) {
	t.Parallel()
	var file struct {
		Services map[string]struct {
			Image       string
			Command     []string
			Environment map[string]string
			Volumes     []string
			DependsOn   []string `yaml:"depends_on"`
		}
		Volumes map[string]any
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/compose/compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	for name, service := range file.Services {
		if service.Image == "" {
			t.Errorf("%s has no image", name)
		}
		for _, dep := range service.DependsOn {
			if _, known := file.Services[dep]; !known {
				t.Errorf("%s depends on %s, which does not exist", name, dep)
			}
		}
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			_, named := file.Volumes[source]
			if _, err := os.Stat(filepath.Join("../../../deploy/compose", source)); err != nil && !named {
				t.Errorf("%s mounts %s, which does not exist", name, source)
			}
		}
	}
	// Compose sets each environment variable that the example configuration refers to.
	for line := range strings.Lines(read(t, "deploy/examples/fairlead-postgres.yaml")) {
		if _, rest, found := strings.Cut(line, "env:"); found {
			variable := strings.FieldsFunc(rest, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') })[0]
			if _, set := file.Services["fairlead"].Environment[variable]; !set {
				t.Errorf("compose.yaml does not set %s", variable)
			}
		}
	}
}

// TestImageRecipe checks that .ko.yaml builds two static programs for two platforms.
func TestImageRecipe(t *testing.T) {
	t.Parallel()
	var file struct {
		DefaultPlatforms []string `yaml:"defaultPlatforms"`
		Builds           []struct {
			ID, Main string
			Env      []string
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, ".ko.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	for _, build := range file.Builds {
		if _, err := os.Stat(filepath.Join("../../..", build.Main, "main.go")); err != nil {
			t.Error(err)
		}
		if !slices.Contains(build.Env, "CGO_ENABLED=0") {
			t.Errorf("%s is not a static program: set CGO_ENABLED=0", build.ID)
		}
	}
	if len(file.Builds) != 2 || len(file.DefaultPlatforms) != 2 {
		t.Errorf("recipe %+v: want two builds and two platforms", file)
	}
}
