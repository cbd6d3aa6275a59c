package downloads

import "strings"

// System has the commands and files for one operating system.
type System struct {
	// ID is the value of GOOS. Name is the usual name.
	ID, Name string
	// Here is set for the system of the browser.
	Here    bool
	Install string
	Files   []Offer
}

// Offer is the plugin for one kind of computer.
type Offer struct{ Label, Size, SHA256, URL string }

// Systems returns the systems with their commands. Without files the commands build the plugin from source. agent is
// the User-Agent of the browser.
func (l *List) Systems(agent string) []System {
	here := system(agent)
	var list []System
	for _, s := range []System{{ID: "linux", Name: "Linux"}, {ID: "darwin", Name: "macOS"}, {ID: "windows", Name: "Windows"}} {
		files := l.Of(s.ID)
		s.Here = s.ID == here
		if len(files) == 0 {
			s.Install = "go install github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead@latest"
		} else {
			s.Install = l.Install(files[0])
		}
		for _, f := range files {
			s.Files = append(s.Files, Offer{Label: f.Label(), Size: f.Megabytes(), SHA256: f.SHA256, URL: l.URL(f)})
		}
		list = append(list, s)
	}
	return list
}

// system returns the system of a browser, or Linux if it is unknown.
func system(agent string) string {
	switch {
	case strings.Contains(agent, "Windows"):
		return "windows"
	case strings.Contains(agent, "Mac OS") && !strings.Contains(agent, "like Mac OS"):
		return "darwin"
	}
	return "linux"
}
