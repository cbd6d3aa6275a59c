package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

var lighthouse = flag.String("lighthouse", "", "folder with the npm module lighthouse: audit pages with it (make lighthouse)")

// leastScore returns the score that a page must reach in a category. An error page loses points for its status, which
// the browser writes to the console.
func leastScore(address, category string) int {
	errorPage := strings.HasSuffix(address, "/nowhere") || strings.HasSuffix(address, "/invitation/unknown")
	if errorPage && category == "best-practices" {
		return 95
	}
	return 100
}

// TestLighthouse audits every public page, and the pages of users, in all of Lighthouse's categories.
func TestLighthouse(t *testing.T) {
	t.Parallel()
	if *lighthouse == "" {
		t.Skip("make lighthouse asks for it: it is large, and the gate does without it")
	}
	s := prepare(t, needParts(t))
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), manyClusters(t, s.dir))
	port := strings.TrimPrefix(freeAddress(t), "127.0.0.1:")
	c := startChromium(t, s, chromedp.Flag("remote-debugging-port", port))
	audit := func(addresses ...string) {
		t.Helper()
		for i, address := range addresses {
			if strings.HasPrefix(address, "/") {
				addresses[i] = s.issuer + address
			}
		}
		cmd := exec.CommandContext(t.Context(), prerequisite.Program(t, "node"), append([]string{"audit.mjs", port}, addresses...)...)
		cmd.Dir, cmd.Stderr = *lighthouse, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			var result struct {
				Address    string
				Scores     map[string]int
				FirstPaint int
				Failed     []string
			}
			if err := json.Unmarshal(lines.Bytes(), &result); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %v, first paint after %d ms on a slow phone", result.Address, result.Scores, result.FirstPaint)
			for category, score := range result.Scores {
				if score < leastScore(result.Address, category) {
					t.Errorf("%s: %s %d: %v", result.Address, category, score, result.Failed)
				}
			}
		}
	}
	audit("/login?choose=yes", "/login/local", "/help", "/device", "/signed-out", "/nowhere", "/admin/recover", "/invitation/unknown", setupOfAnother(t, s))
	c.signIn(s.issuer+"/", "jane@example.test")
	audit("/", "/clusters/c0", "/access", "/account", "/workloads", "/sign-out", "/admin", "/admin/access-map")
	o := &operator{chromium: c, s: s}
	o.open("/local-users/new")
	o.fill(map[string]string{"login": "ann@example.test", "name": "Ann"})
	o.press("Save")
	o.press("Create invitation")
	audit(o.eval(`document.body.innerText.match(/https:\S+\/invitation\/\S+/)[0]`))
}

// setupOfAnother starts a server without admins, with the certificate of another, and returns its setup link.
func setupOfAnother(t *testing.T, of *system) string {
	t.Helper()
	s := prepare(t, of.parts)
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		writeFile(t, s.dir+"/"+name, readFile(t, of.dir+"/"+name))
	}
	s.client = of.client
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), "")
	link := setupLink.FindString(s.server.String())
	if link == "" {
		t.Fatalf("no setup link:\n%s", s.server)
	}
	return link
}
