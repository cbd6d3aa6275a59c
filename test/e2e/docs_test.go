package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestCommandsOfTheDocs runs each command that the pages for people show, in their order.
func TestCommandsOfTheDocs(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	prod, dev := freeAddress(t), freeAddress(t)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), localUsers(t)+"clusters:\n"+clusterEntry("prod", prod, s.dir)+clusterEntry("dev", dev, s.dir)+`
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
`)
	s.startKube(t, nil)
	s.startProxy(t, "prod", prod, "")
	s.startProxy(t, "dev", dev, "")
	for _, page := range []string{"tutorial/kubectl.md", "howto/kubectl.md"} {
		me := s.person(t, jane())
		if page != "tutorial/kubectl.md" {
			me.must("kubectl-fairlead", "login", s.issuer)
		}
		text := strings.ReplaceAll(readFile(t, "../../docs/"+page), "https://login.example.com", s.issuer)
		commands := 0
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
			for command := range strings.Lines(block[1]) {
				commands++
				runs(t, me, page, strings.TrimSpace(command))
			}
		}
		if commands < 5 {
			t.Errorf("%s: %d commands", page, commands)
		}
	}
}

func runs(t *testing.T, me *person, page, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Env = me.home, append(os.Environ(), me.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %s: %v\n%s", page, command, err, out)
	}
}
