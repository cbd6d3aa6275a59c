package i18n

import (
	"html/template"
	"strings"
)

// Link sets the address of the first <a> in a text that HTML returned.
func Link(address string, text template.HTML) template.HTML {
	return template.HTML(strings.Replace(string(text), "<a>", `<a href="`+template.HTMLEscapeString(address)+`">`, 1)) //nolint:gosec // it is escaped
}
