package downloads

import "strings"

// System is how to install the plugin on one.
type System struct {
	// ID is as Go calls it, Name as people do.
	ID, Name string
	// Here says that the browser is on one.
	Here    bool
	Install string
	Files   []Offer
}

// Offer is the plugin for one kind of computer.
type Offer struct{ Label, Size, SHA256, URL string }

// Systems are how to install it on each, from here or, without files, from source. The agent
// is the browser's.
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

// system is that of a browser; Linux when it does not say.
func system(agent string) string {
	switch {
	case strings.Contains(agent, "Windows"):
		return "windows"
	case strings.Contains(agent, "Mac OS") && !strings.Contains(agent, "like Mac OS"):
		return "darwin"
	}
	return "linux"
}
