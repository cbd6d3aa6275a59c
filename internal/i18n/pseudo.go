package i18n

import "strings"

// accents replaces ASCII letters with similar ones.
func accents() *strings.Replacer {
	return strings.NewReplacer(
		"a", "á", "c", "ç", "e", "é", "g", "ğ", "i", "î", "n", "ñ", "o", "ö", "s", "š", "u", "ü", "y", "ý", "z", "ž",
		"A", "Å", "C", "Ç", "D", "Ð", "E", "É", "G", "Ğ", "I", "Î", "N", "Ñ", "O", "Ø", "S", "Š", "T", "Ŧ", "U", "Û", "Y", "Ý",
	)
}

// pseudo accents a text and makes it a third longer, as translations often are. It keeps markup and verbs
// unchanged.
func pseudo(format string) string {
	var out strings.Builder
	out.WriteString("⟦")
	words, accented := 0, accents()
	for rest := format; rest != ""; {
		plain, special := cutSpecial(rest)
		out.WriteString(accented.Replace(plain))
		words += len(plain)
		out.WriteString(special)
		rest = rest[len(plain)+len(special):]
	}
	out.WriteString(strings.Repeat("~", words/3))
	out.WriteString("⟧")
	return out.String()
}

// cutSpecial returns the text before the first tag, entity or verb, and that tag, entity or verb.
func cutSpecial(s string) (plain, special string) {
	at := strings.IndexAny(s, "<%&")
	if at < 0 {
		return s, ""
	}
	end := at + 2
	switch s[at] {
	case '<':
		end = at + strings.IndexByte(s[at:], '>') + 1
		if name, _, ok := strings.Cut(s[at+1:], ">"); ok && name == "code" { // users must type the content of code elements as it is
			end = at + strings.Index(s[at:], "</code>") + len("</code>")
		}
	case '&':
		end = at + strings.IndexByte(s[at:], ';') + 1
	case '%':
		for end < len(s) && strings.IndexByte("[]0123456789", s[end-1]) >= 0 {
			end++
		}
	}
	if end <= at || end > len(s) {
		return s, ""
	}
	return s[:at], s[at:end]
}
