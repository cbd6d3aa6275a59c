// Package brand validates the installation's own logo and colors, and generates their style sheet. It requires the
// contrast that WCAG 2.2 prescribes for text.
package brand

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxLogo is the largest size of a logo, in bytes.
const MaxLogo = 32 << 10

// CheckLogo returns the faults of an SVG document. Pages show it as an image, which cannot run or load anything.
// CheckLogo refuses active content all the same.
func CheckLogo(svg string) error {
	if len(svg) > MaxLogo {
		return fmt.Errorf("has %d bytes, and may have at most %d. Make it smaller with a tool such as svgo", len(svg), MaxLogo)
	}
	decoder := xml.NewDecoder(strings.NewReader(svg))
	elements := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && elements > 0 {
			return nil
		}
		if err != nil {
			return errors.New("must be an SVG document. Paste the text of the file, from <svg to </svg>")
		}
		if err := checkToken(token, elements == 0); err != nil {
			return err
		}
		if _, start := token.(xml.StartElement); start {
			elements++
		}
	}
}

func checkToken(token xml.Token, first bool) error {
	switch t := token.(type) {
	case xml.Directive:
		return errors.New("must not have a document type. Remove the line <!DOCTYPE …>")
	case xml.StartElement:
		return checkElement(t, first)
	}
	return nil
}

func checkElement(e xml.StartElement, root bool) error {
	if root && e.Name != (xml.Name{Space: "http://www.w3.org/2000/svg", Local: "svg"}) {
		return errors.New(`must be an SVG document, which starts with <svg xmlns="http://www.w3.org/2000/svg" …>`)
	}
	if slices.Contains([]string{"script", "foreignobject", "iframe", "object", "embed", "image", "a"}, strings.ToLower(e.Name.Local)) {
		return fmt.Errorf("must not have the element <%s>, because a logo may hold shapes only. Remove it", e.Name.Local)
	}
	for _, attr := range e.Attr {
		name := strings.ToLower(attr.Name.Local)
		if strings.HasPrefix(name, "on") || name == "href" && !strings.HasPrefix(attr.Value, "#") {
			return fmt.Errorf("must not have the attribute %s, which runs or loads something. Remove it", attr.Name.Local)
		}
	}
	return nil
}

// LogoWidth returns how wide a logo is, in pixels, when a page shows it at a height. Pages reserve that space, so
// that nothing moves when the logo arrives. A logo without a size counts as a square.
func LogoWidth(svg string, height int) int {
	width, tall := logoSize(svg)
	if width <= 0 || tall <= 0 {
		return height
	}
	return min(max(int(math.Round(float64(height)*width/tall)), 1), 8*height)
}

// logoSize returns the size in the viewBox of the root element, or else its width and height.
func logoSize(svg string) (width, height float64) {
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if err != nil {
			return 0, 0
		}
		root, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		size := map[string]float64{}
		for _, attr := range root.Attr {
			if box := strings.FieldsFunc(attr.Value, func(r rune) bool { return r == ',' || r == ' ' }); attr.Name.Local == "viewBox" && len(box) == 4 {
				return number(box[2]), number(box[3])
			}
			size[attr.Name.Local] = number(strings.TrimSuffix(attr.Value, "px"))
		}
		return size["width"], size["height"]
	}
}

// number returns 0 for a text that is not a number.
func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0
	}
	return n
}

// rgb is a color with components from 0 to 1.
type rgb [3]float64

func parse(text string) (rgb, error) {
	var c rgb
	hex, found := strings.CutPrefix(text, "#")
	n, err := strconv.ParseUint(hex, 16, 32)
	if !found || len(hex) != 6 || err != nil {
		return c, fmt.Errorf("must be a color such as #0b6478, not %q", text)
	}
	for i := range c {
		c[i] = float64(n>>(16-8*i)&0xff) / 0xff
	}
	return c, nil
}

// luminance returns the relative luminance (WCAG 2.2).
func (c rgb) luminance() float64 {
	linear := func(v float64) float64 {
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}

// contrast returns the contrast ratio (WCAG 2.2), from 1 to 21.
func contrast(a, b rgb) float64 {
	x, y := a.luminance()+0.05, b.luminance()+0.05
	return max(x, y) / min(x, y)
}

// least is the contrast ratio that WCAG 2.2 requires for text (1.4.3).
const least = 4.5

// Mode is the light or dark mode, with the colors of static/files/app.css behind a brand's color.
type Mode struct {
	grounds     []string
	other, word string
}

// Light is the light mode.
func Light() Mode { return Mode{[]string{"#f7f8f9", "#ffffff", "#f1f3f5"}, "darker", "light"} }

// Dark is the dark mode.
func Dark() Mode { return Mode{[]string{"#0f151a", "#161e25", "#1b252d"}, "lighter", "dark"} }

// CheckColor returns the faults of a color: links must be readable on every background.
func CheckColor(text string, m Mode) error {
	c, err := parse(text)
	if err != nil {
		return err
	}
	for _, ground := range m.grounds {
		g, err := parse(ground)
		if err != nil {
			return err
		}
		if ratio := contrast(c, g); ratio < least {
			return fmt.Errorf("must be readable on a %s page: its contrast is %.1f to 1, and WCAG requires %.1f. Choose a %s color", m.word, ratio, least, m.other)
		}
	}
	return nil
}

// The default colors.
const (
	defaultLight = "#0b6478"
	defaultDark  = "#5cc8de"
)

// Style returns the style sheet for two valid colors. Either may be empty.
func Style(light, dark string) string {
	if light == "" {
		light = defaultLight
	}
	if dark == "" {
		dark = defaultDark
	}
	return fmt.Sprintf(":root { --accent: light-dark(%s, %s); --on-accent: light-dark(%s, %s); }\n", light, dark, on(light), on(dark))
}

// on returns the color of text on a button.
func on(text string) string {
	c, err := parse(text)
	if err != nil || contrast(c, rgb{1, 1, 1}) >= least {
		return "#ffffff"
	}
	return "#06222a"
}

// Fault is a fault of a brand's setting: "logo", "color" or "colorDark".
type Fault struct {
	Key string
	Err error
}

// Faults validates a brand. Empty settings are valid.
func Faults(logo, color, colorDark string) []Fault {
	var list []Fault
	add := func(key, value string, check func(string) error) {
		if value == "" {
			return
		}
		if err := check(value); err != nil {
			list = append(list, Fault{key, err})
		}
	}
	add("logo", logo, CheckLogo)
	add("color", color, func(text string) error { return CheckColor(text, Light()) })
	add("colorDark", colorDark, func(text string) error { return CheckColor(text, Dark()) })
	return list
}
