//go:build !windows

package terminal_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// screen runs write with a terminal of a width, and returns what it wrote.
func screen(t *testing.T, columns uint16, getenv func(string) string, write func(*terminal.Output)) string {
	t.Helper()
	controller, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer controller.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	text := make(chan string)
	go func() {
		var out bytes.Buffer
		_, _ = out.ReadFrom(controller) // ends with EIO when the terminal is closed
		text <- out.String()
	}()
	write(terminal.New(tty, getenv))
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(<-text, "\r\n", "\n")
}

func table(t *testing.T, out *terminal.Output) {
	t.Helper()
	columns := []terminal.Column{
		{Title: "CLUSTER", Fixed: true}, {Title: "NAME"}, {Title: "TOKEN", Right: true, Fixed: true}, {Title: "SERVER", Optional: true},
	}
	rows := [][]string{
		{"prod-eu", "Production in Europe", "4 min", "https://prod-eu.k8s.example.com"}, {"dev", "開発", "12 min", "https://dev.example.com"}, {"x", "evil\x1b[2Jname\n", "-", ""},
	}
	if err := out.Table(columns, rows); err != nil {
		t.Error(err)
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		columns uint16
		want    string
	}{
		{100, "CLUSTER   NAME                    TOKEN   SERVER\n" +
			"prod-eu   Production in Europe    4 min   https://prod-eu.k8s.example.com\n" +
			"dev       開発                   12 min   https://dev.example.com\n" +
			"x         evil\uFFFD[2Jname                -\n"},
		{60, "CLUSTER   NAME                   TOKEN   SERVER\n" +
			"prod-eu   Production in Euro…    4 min   https://prod-eu.k8…\n" +
			"dev       開発                  12 min   https://dev.exampl…\n" +
			"x         evil\uFFFD[2Jname               -\n"},
		{36, "CLUSTER   NAME                 TOKEN\n" +
			"prod-eu   Production in Eu…    4 min\n" +
			"dev       開発                12 min\n" +
			"x         evil\uFFFD[2Jname             -\n"},
	} {
		got := screen(t, c.columns, environment("NO_COLOR", "1"), func(out *terminal.Output) { table(t, out) })
		for line := range strings.Lines(got) {
			if width := len([]rune(strings.TrimSuffix(line, "\n"))); width > int(c.columns) {
				t.Errorf("%d columns: %q has %d", c.columns, line, width)
			}
		}
		if got != c.want {
			t.Errorf("%d columns:\n%s\nwant\n%s", c.columns, got, c.want)
		}
	}
	var pipe bytes.Buffer
	table(t, terminal.New(&pipe, environment()))
	if got := pipe.String(); !strings.Contains(got, "https://prod-eu.k8s.example.com\n") || strings.Contains(got, "…") {
		t.Errorf("a pipe must get complete cells:\n%s", got)
	}
}

// TestColoursAndProgressOnlyOnTerminals writes styled text and a progress message.
func TestColoursAndProgressOnlyOnTerminals(t *testing.T) {
	t.Parallel()
	write := func(out *terminal.Output) {
		p := out.Progress("Asking the server")
		time.Sleep(700 * time.Millisecond)
		p.Around(func() { _, _ = out.Write([]byte(out.Good("ok") + " " + out.Bold("name") + "\n")) })
		p.Stop()
	}
	got := screen(t, 80, environment("TERM", "xterm"), write)
	if !strings.Contains(got, "\x1b[32mok\x1b[0m") || !strings.Contains(got, "- Asking the server") || !strings.HasSuffix(got, "\n") {
		t.Errorf("a terminal must get colours and progress, and end with a clean line: %q", got)
	}
	for name, getenv := range map[string]func(string) string{"NO_COLOR": environment("NO_COLOR", "1"), "TERM": environment("TERM", "dumb")} {
		if got := screen(t, 80, getenv, write); got != "ok name\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
	var pipe bytes.Buffer
	write(terminal.New(&pipe, environment("TERM", "xterm")))
	if got := pipe.String(); got != "ok name\n" {
		t.Errorf("a pipe must get plain text: %q", got)
	}
}

func TestMessagesOnlyToTerminals(t *testing.T) {
	t.Parallel()
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := terminal.New(file, environment()).Messages().Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if info, err := file.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("a file must get no messages: %v %v", info.Size(), err)
	}
}
