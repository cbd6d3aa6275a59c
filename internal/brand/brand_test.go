package brand_test

import (
	"os"
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/brand"
)

func TestLogo(t *testing.T) {
	t.Parallel()
	const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">`
	mark, err := os.ReadFile("../../static/files/mark.svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, svg := range []string{string(mark), `<?xml version="1.0"?><!-- by hand -->` + open + `<style>path{fill:red}</style><defs><path id="p" d="M0 0"/></defs><use href="#p"/></svg>`} {
		if err := brand.CheckLogo(svg); err != nil {
			t.Errorf("%s: %v", svg, err)
		}
	}
	for _, svg := range []string{
		"", "x", "<svg/>", "<html><body/></html>", open, open + `<script>alert(1)</script></svg>`, open + `<SCRIPT/></svg>`, open + `<g onload="alert(1)"/></svg>`, open + `<g OnClick="x"/></svg>`,
		open + `<use href="https://evil.test/x.svg#a"/></svg>`, open + `<use xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="data:image/svg+xml,x"/></svg>`, open + `<image href="https://evil.test/x.png"/></svg>`,
		open + `<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject></svg>`, open + `<a href="javascript:alert(1)"/></svg>`,
		`<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + open + `&x;</svg>`, open + strings.Repeat("<g/>", brand.MaxLogo) + "</svg>",
	} {
		if err := brand.CheckLogo(svg); err == nil {
			t.Errorf("%.120s is taken", svg)
		}
	}
}

func TestLogoWidth(t *testing.T) {
	t.Parallel()
	for root, want := range map[string]int{
		`viewBox="0 0 32 32"`: 24, `viewBox="0,0,120,40"`: 72, `width="90px" height="30px"`: 72, `width="10" height="20" viewBox="0 0 2 1"`: 48,
		``: 24, `viewBox="0 0 100 0"`: 24, `viewBox="0 0 NaN 1"`: 24, `width="100%" height="100%"`: 24, `viewBox="0 0 100000 1"`: 192,
	} {
		if got := brand.LogoWidth(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" `+root+`/>`, 24); got != want {
			t.Errorf("%s: %d pixels wide, want %d", root, got, want)
		}
	}
	if got := brand.LogoWidth("", 24); got != 24 {
		t.Errorf("no logo: %d", got)
	}
}

func TestColors(t *testing.T) {
	t.Parallel()
	for text, m := range map[string]brand.Mode{"#0b6478": brand.Light(), "#7a1fa2": brand.Light(), "#5cc8de": brand.Dark(), "#ffd54f": brand.Dark()} {
		if err := brand.CheckColor(text, m); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{"red": "such as", "#abc": "such as", "#0b647g": "such as", "#ffd54f": "Choose a darker color", "#ffffff": "1.1 to 1", "#000000;}": "such as"} {
		if err := brand.CheckColor(text, brand.Light()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if err := brand.CheckColor("#0b6478", brand.Dark()); err == nil {
		t.Error("a dark colour on a dark page")
	}
	style := brand.Style("#7a1fa2", "")
	if !strings.Contains(style, "light-dark(#7a1fa2, #5cc8de)") || !strings.Contains(style, "light-dark(#ffffff, #06222a)") {
		t.Error(style)
	}
}

// TestTheGroundsAreThoseOfThePages: contrast is worked out against what is drawn.
func TestTheGroundsAreThoseOfThePages(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("../../static/files/app.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--ground: light-dark(#f7f8f9, #0f151a)", "--panel: light-dark(#ffffff, #161e25)", "--sunk: light-dark(#f1f3f5, #1b252d)", "--accent: light-dark(#0b6478, #5cc8de)", "--on-accent: light-dark(#ffffff, #06222a)"} {
		if !strings.Contains(string(css), want) {
			t.Errorf("the pages have no %q any more", want)
		}
	}
}
