package templates

import "html/template"

// icons returns the shapes of the glyphs, drawn for this project as lines in a box of 24 by 24.
func icons() map[string]template.HTML {
	return map[string]template.HTML{
		"directory": `<path d="M5 4h11a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3z"/><circle cx="12" cy="10" r="2"/><path d="M8.500 15.500c.6-1.700 1.900-2.500 3.500-2.500s2.900.8 3.500 2.500"/>`,
		"key":       `<circle cx="8" cy="15" r="4"/><path d="M11 12l8-8m-4 4 3 3m-6 0 2 2"/>`,
		"shield":    `<path d="M12 3l7 2.500v5.500c0 4.500-3 8-7 10-4-2-7-5.500-7-10V5.500z"/><path d="M9 12l2 2 4-4"/>`,
		"code":      `<path d="M9 7l-5 5 5 5M15 7l5 5-5 5"/>`,
		"office":    `<path d="M5 21V4h9v17M14 9h5v12M3 21h18M8 8h3M8 12h3M8 16h3"/>`,
		"people":    `<circle cx="9" cy="8" r="3"/><path d="M3.500 19c.6-3.300 2.800-5 5.500-5s4.900 1.700 5.500 5"/><path d="M15.500 5.500a3 3 0 0 1 0 5M17 14.300c2 .6 3.200 2.200 3.600 4.700"/>`,
		"cloud":     `<path d="M7 18a4 4 0 0 1-.4-8A5.500 5.500 0 0 1 17 8.600 4.700 4.700 0 0 1 17.500 18z"/>`,
		"star":      `<path d="M12 3.500l2.600 5.400 5.900.8-4.300 4.100 1 5.900-5.200-2.800-5.200 2.800 1-5.900L3.500 9.700l5.900-.8z"/>`,
		"gate":      `<path d="M4 20V9l8-5 8 5v11M9 20v-7h6v7"/>`,
	}
}

// shape returns the lines of a glyph, for an SVG symbol that a page uses many times.
func shape(name string) template.HTML { return icons()[name] }

// icon returns a glyph as an SVG element in the colour of the text beside it. The text must say the
// same in words.
func icon(name string) template.HTML {
	shape, known := icons()[name]
	if !known {
		return ""
	}
	return `<svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">` + shape + `</svg>`
}
