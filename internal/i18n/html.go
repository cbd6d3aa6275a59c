package i18n

import (
	"html/template"
	"strings"
)

// Link gives the first <a> of what HTML returned its address.
func Link(address string, text template.HTML) template.HTML {
	return template.HTML(strings.Replace(string(text), "<a>", `<a href="`+template.HTMLEscapeString(address)+`">`, 1)) //nolint:gosec // it is escaped
}
