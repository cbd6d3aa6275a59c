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

// TestLighthouse wants 95 of 100 in each of Lighthouse's categories, signed in and not.
func TestLighthouse(t *testing.T) {
	t.Parallel()
	if *lighthouse == "" {
		t.Skip("make lighthouse asks for it: it is large, and the gate does without it")
	}
	s := prepare(t, needParts(t))
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), manyClusters(t, s.dir))
	port := strings.TrimPrefix(freeAddress(t), "127.0.0.1:")
	c := startChromium(t, s, chromedp.Flag("remote-debugging-port", port))
	audit := func(paths ...string) {
		t.Helper()
		var addresses []string
		for _, path := range paths {
			addresses = append(addresses, s.issuer+path)
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
				if score < 95 {
					t.Errorf("%s: %s %d: %v", result.Address, category, score, result.Failed)
				}
			}
		}
	}
	audit("/login?choose=yes", "/login/local", "/help")
	c.signIn(s.issuer+"/", "jane@example.test")
	audit("/", "/clusters/c0", "/access", "/account", "/workloads", "/admin/access-map")
}
