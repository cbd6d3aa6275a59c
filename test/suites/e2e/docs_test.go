package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
	"github.com/fairlead-auth/fairlead/test/harness/relyingparty"
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
		text := strings.ReplaceAll(readFile(t, "../../../docs/"+page), "https://login.example.com", s.issuer)
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
	// The commands of the page of clusters, in every shell.
	page := relyingparty.NewBrowser(t, s.issuer, s.client.Transport).SignIn(s.issuer+"/", jane().Credentials)
	shown := page.Doc.Find("ol.steps > li > .copy code").Map(func(_ int, d *relyingparty.Selection) string { return d.Text() })
	if len(shown) != 2 {
		t.Fatalf("%q", shown)
	}
	for _, shell := range []string{"sh", "bash", "zsh", "fish"} {
		me := s.person(t, jane())
		for _, command := range shown {
			runsIn(t, shell, me, "the page, in "+shell, command)
		}
	}
}

func runs(t *testing.T, me *person, page, command string) {
	t.Helper()
	runsIn(t, "sh", me, page, command)
}

func runsIn(t *testing.T, shell string, me *person, page, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, prerequisite.Program(t, shell), "-c", command)
	cmd.Dir, cmd.Env = me.home, append(os.Environ(), me.env...)
	said := &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(command, "--device") {
		me.typesTheCode(said)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %s: %v\n%s", page, command, err, said)
	}
}

// typesTheCode does at another screen what the plugin asks for.
func (p *person) typesTheCode(said *tail) {
	p.t.Helper()
	code := regexp.MustCompile(`\b[B-Z]{4}-[B-Z]{4}\b`)
	eventually(p.t, "a code", 20*time.Second, func() bool { return code.MatchString(said.String()) })
	b := relyingparty.NewBrowser(p.t, p.s.issuer, p.s.client.Transport)
	b.SignIn(p.s.issuer+"/", jane().Credentials)
	page := b.Submit(b.Get(p.s.issuer+"/device"), map[string]string{"user_code": code.FindString(said.String())})
	if page = b.Submit(page, map[string]string{"answer": "yes"}); !strings.Contains(page.Text, "Done") {
		p.t.Errorf("%s", page.Text)
	}
}
