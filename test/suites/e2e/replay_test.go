package e2e_test

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/creack/pty"

	"github.com/fairlead-auth/fairlead/test/harness/prerequisite"
)

// TestRecordingsAreReplayed works in a shell with a real kubectl, and watches it afterwards
// as an admin, with scripts and without; checks the file with the proxy's own key; and finds
// in the audit log who looked.
func TestRecordingsAreReplayed(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	a := freeAddress(t)
	s.run(t, strings.TrimPrefix(s.issuer, "https://"), localUsers(t)+"clusters:\n"+clusterEntry("a", a, s.dir)+`
rules:
- {id: developers, description: Developers, who: {groups: ["local:developers"]}, clusters: {ids: ["*"]}}
admins: {users: ["local:jane@example.test"]}
`)
	s.startKube(t, nil)
	dir := s.dir + "/recordings"
	s.proxyExtra = "recording: {dir: " + dir + "}\n"
	s.startProxy(t, "a", a, "")
	me := s.person(t, jane())
	if r := me.run("", "kubectl-fairlead", "login", s.issuer); r.code != 0 {
		t.Fatalf("%+v\n%s", r, me.browserFault())
	}
	workInShell(t, me)
	eventually(t, "the recording to be handed in", 20*time.Second, func() bool {
		left, err := filepath.Glob(dir + "/*.cast*")
		return err == nil && len(left) == 0
	})

	o := &operator{chromium: startChromium(t, s), s: s}
	o.signIn(s.issuer+"/admin/recordings", "jane@example.test")
	o.see("sh -c printf")
	axe := readFile(t, prerequisite.Variable(t, "FAIRLEAD_TEST_JS", "axe")+"/node_modules/axe-core/axe.min.js")
	o.audit("recordings", s.issuer+"/admin/recordings", axe, 80_000)
	o.count(watchRecording())
	page := o.eval(`location.origin + location.pathname`)
	o.audit("recording", page+"?at=1.5", axe, 80_000)
	o.audit("recording-end", page+"?at=60", axe, 80_000)
	if got := o.eval(`document.querySelector(".screen").innerText`); !strings.Contains(got, "every pod is up") || !strings.Contains(got, "you said typed") {
		t.Errorf("the last screen:\n%s", got)
	}
	watchIt(t, o, page)
	checkIt(t, s, o, page)
}

// workInShell prints in colors, waits, and reads a word.
func workInShell(t *testing.T, me *person) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := me.command(ctx, "kubectl", "exec", "-it", "-n", "demo", "--context", "a", "hello", "--", "sh", "-c",
		`printf '\033[1;32mevery pod is up\033[0m\r\n\033[41mred ground\033[0m <b>not bold</b>\r\nword? '; sleep 3; read word; echo "you said $word"`)
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 20, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	go func() {
		time.Sleep(4 * time.Second)
		_, _ = io.WriteString(terminal, "typed\r")
	}()
	_, _ = io.ReadAll(terminal) // ends with an error when the program does
	_ = cmd.Wait()
}

// watchIt plays it from the beginning to its end.
func watchIt(t *testing.T, o *operator, page string) {
	o.do(chromedp.Navigate(page), chromedp.WaitReady("main"))
	if got := o.eval(`document.querySelector(".screen").innerText.trim()`); strings.Contains(got, "every pod") {
		t.Errorf("it begins with\n%s", got)
	}
	o.do(chromedp.Click("[data-play]", chromedp.ByQuery))
	eventuallySee(t, "you said typed", func() string { return o.eval(`document.querySelector(".screen").innerText`) })
	eventuallySee(t, "Play", func() string { return o.eval(`document.querySelector("[data-play]").textContent`) })
	if got := o.eval(`getComputedStyle([...document.querySelectorAll(".screen span span")].find(e => e.textContent.startsWith("red ground"))).backgroundColor`); got != "rgb(142, 31, 31)" {
		t.Errorf("the red ground is %s", got)
	}
	if got := o.eval(`String(document.querySelectorAll(".screen b").length)`); got != "0" {
		t.Errorf("what was shown is taken for markup")
	}
}

// checkIt takes the file and the proxy's own key, and asks the audit log who looked.
func checkIt(t *testing.T, s *system, o *operator, page string) {
	cast := o.eval(`fetch("` + page + `/file").then(r => r.text())`)
	file := writeFile(t, s.dir+"/taken.cast", cast)
	own, err := commandOutput(t, s.bin+"/fairlead-proxy", "recording", "key", "--config", s.dir+"/proxy-a.yaml")
	if err != nil {
		t.Fatal(err, own)
	}
	o.do(chromedp.Navigate(page), chromedp.WaitReady("main"))
	shown := o.eval(`document.querySelector("[aria-label='Public key of the proxy']").textContent`)
	for name, key := range map[string]string{"own": own, "shown": shown} {
		if out, err := commandOutput(t, s.bin+"/fairlead-proxy", "recording", "verify", "--key", writeFile(t, s.dir+"/"+name+".jwk", key), file); err != nil || !strings.Contains(out, "complete and unchanged") {
			t.Errorf("with the key %s (%s): %v: %s", key, name, err, out)
		}
	}
	if s, _, _ := strings.Cut(shown, `"x":`); !strings.Contains(own, strings.TrimPrefix(shown, s)) {
		t.Errorf("the page shows the key %s, the proxy's is %s", shown, own)
	}
	seen := func() int {
		return strings.Count(o.eval(`fetch("`+o.s.issuer+`/admin/audit/export?name=recording.seen").then(r => r.text())`), "recording.seen")
	}
	for _, way := range []string{"?at=2", "/screens?at=1.5"} { // not from the beginning
		before := seen()
		if o.eval(`fetch("` + page + way + `").then(r => r.text())`); seen() != before+1 {
			t.Errorf("%s: nobody is told that somebody looked", way)
		}
	}
	o.open("/audit?name=recording.")
	text := o.eval(`document.body.textContent`) // records are folded
	for _, want := range []string{"recording.kept", "recording.seen", "intact", "file"} {
		if !strings.Contains(text, want) {
			t.Errorf("the audit log has no %s:\n%s", want, text)
		}
	}
	o.open("/recordings?user=nobody")
	o.see("No recording matches.")
}
