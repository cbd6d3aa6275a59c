package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/reference/kubectl-fairlead.md")

// TestReference compares the reference page with the help of the commands.
func TestReference(t *testing.T) {
	t.Parallel()
	const file = "../../docs/reference/kubectl-fairlead.md"
	var out bytes.Buffer
	root := newCommand()
	out.WriteString("# kubectl fairlead\n\nThis page is generated from `kubectl fairlead --help` and the help of each command.\n\n" + root.Long + "\n\nEvery command has this flag:\n\n```\n" + root.PersistentFlags().FlagUsages() + "```\n")
	out.WriteString("\n## Exit codes\n\n" + exitCodeTable)
	for _, command := range root.Commands() {
		if command.Hidden || command.Name() == "help" || command.Name() == "completion" {
			continue
		}
		writeSection(&out, command)
	}
	out.WriteString("\n## completion\n\n`kubectl fairlead completion bash|zsh|fish|powershell` prints the completion script of a shell. `kubectl fairlead completion kubectl` prints the program with which kubectl\ncompletes `kubectl fairlead`.\n")
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), out.String()); diff != "" {
		t.Errorf("the page differs from the help (-page +help). Run: go test ./cmd/kubectl-fairlead -run Reference -update\n%s", diff)
	}
}

const exitCodeTable = `| exit code | meaning | what to do |
| --- | --- | --- |
| 0 | success | |
| 1 | failure | run kubectl fairlead doctor |
| 2 | wrong usage | run the command with --help |
| 3 | sign-in required | run the command in the last line of the message |
| 4 | refused by the server | read the message: it names the reason |
| 130 | cancelled with Ctrl-C | run the command again |
`

func writeSection(out *bytes.Buffer, command *cobra.Command) {
	text := command.Long
	if text == "" {
		text = command.Short + "."
	}
	fmt.Fprintf(out, "\n## %s\n\n%s\n", command.Name(), strings.TrimSpace(text))
	fmt.Fprintf(out, "\n```\nkubectl fairlead %s\n", command.Use)
	if flags := command.LocalNonPersistentFlags().FlagUsages(); flags != "" {
		out.WriteString("\n" + flags)
	}
	out.WriteString("```\n")
	if command.Example != "" {
		out.WriteString("\nExamples:\n\n```\n" + strings.ReplaceAll(command.Example, "  kubectl", "kubectl") + "\n```\n")
	}
}
