package e2e_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var pictures = flag.String("pictures", "", "folder to write the pictures of the documentation to (make pictures)")

// TestPictures takes the pictures of docs/images.
func TestPictures(t *testing.T) {
	t.Parallel()
	if *pictures == "" {
		t.Skip("make pictures asks for it")
	}
	s := prepare(t, needParts(t))
	text, _, _ := strings.Cut(manyClusters(t, s.dir), "- {id: c7,") // the others are there to strain the pages
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), text+`
rules:
- {id: developers, description: Developers may use every cluster, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
contact: "platform@example.test"
`)
	c := startChromium(t, s)
	c.look(1280, "light")
	c.signIn(s.issuer+"/", "jane@example.test")
	for _, picture := range []struct{ name, scheme, path string }{
		{"clusters-light", "light", "/"}, {"clusters-dark", "dark", "/"}, {"cluster-light", "light", "/clusters/c0"},
	} {
		c.look(1280, picture.scheme)
		var png []byte
		c.do(chromedp.Navigate(s.issuer+picture.path), chromedp.WaitReady("main"), chromedp.CaptureScreenshot(&png))
		if err := os.WriteFile(*pictures+"/"+picture.name+".png", png, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
