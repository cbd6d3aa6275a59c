package page

import (
	"strings"

	"github.com/fairlead-auth/fairlead/internal/i18n"
)

// BrowserName returns the browser and the system of a User-Agent, such as "Firefox on Linux", in
// the detail that a user needs to recognize their own.
func BrowserName(agent string) i18n.Text {
	name := first(agent, [][2]string{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	})
	system := first(agent, [][2]string{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS", "macOS"}, {"Linux", "Linux"},
	})
	switch {
	case name == "":
		return i18n.T("A browser")
	case system == "":
		return i18n.Verbatim(name)
	}
	return i18n.T("%s on %s", name, system)
}

func first(text string, table [][2]string) string {
	for _, row := range table {
		if strings.Contains(text, row[0]) {
			return row[1]
		}
	}
	return ""
}
