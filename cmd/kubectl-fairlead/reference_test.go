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

var rewrite = flag.Bool("update", false, "write docs/reference/kubectl-fairlead.md")

// TestReference holds the page about the commands equal to their --help.
func TestReference(t *testing.T) {
	t.Parallel()
	const file = "../../docs/reference/kubectl-fairlead.md"
	var out bytes.Buffer
	root := newCommand()
	out.WriteString("# kubectl fairlead\n\nMade from the program's own help. What each flag of all commands means stands first.\n\n" + root.Long + "\n\n```\n" + root.PersistentFlags().FlagUsages() + "```\n")
	for _, command := range root.Commands() {
		if command.Hidden || command.Name() == "help" || command.Name() == "completion" {
			continue
		}
		section(&out, command)
	}
	out.WriteString("\n## completion\n\n`kubectl fairlead completion bash|zsh|fish|powershell` prints a script for a shell, `completion kubectl` the program that lets kubectl itself complete.\n")
	if *rewrite {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(out.String(), string(got)); diff != "" {
		t.Errorf("go test ./cmd/kubectl-fairlead -run Reference -update\n%s", diff)
	}
}

func section(out *bytes.Buffer, command *cobra.Command) {
	fmt.Fprintf(out, "\n## %s\n\n%s\n", command.Name(), strings.TrimSpace(orShort(command)))
	fmt.Fprintf(out, "\n```\nkubectl fairlead %s\n", command.Use)
	if flags := command.LocalNonPersistentFlags().FlagUsages(); flags != "" {
		out.WriteString("\n" + flags)
	}
	out.WriteString("```\n")
	if command.Example != "" {
		out.WriteString("\nFor example:\n\n```\n" + strings.ReplaceAll(command.Example, "  kubectl", "kubectl") + "\n```\n")
	}
}

func orShort(command *cobra.Command) string {
	if command.Long != "" {
		return command.Long
	}
	return command.Short + "."
}
