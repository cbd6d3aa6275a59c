package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
)

// checkResult is the result of one check of the command doctor.
type checkResult struct {
	name   string
	ok     bool
	result string
	// advice is what to do if the check failed.
	advice string
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor [SERVER]", Short: "Check this computer, the server and your sign-in for problems", Args: optionalServer, SuggestFor: []string{"check", "diagnose", "debug"},
		Long: "Check for problems: this plugin, kubectl and its allow list of plugins, your\nkubeconfig, the server, the clocks, and your sign-in.\n\n" +
			"It changes nothing. The exit code is 1 if a check failed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			out, errs := output(cmd), messages(cmd)
			progress := errs.Progress("Checking")
			failed, total := 0, 0
			show := func(results ...checkResult) {
				progress.Around(func() {
					for _, r := range results {
						total++
						if !r.ok {
							failed++
						}
						r.print(out)
					}
				})
			}
			show(checkPlugin(), checkKubectl(cmd.Context()), checkAllowList())
			if c, err := a.loginClient(cmd, args); err != nil {
				show(checkResult{name: "sign-in", result: firstLine(sentence(err.Error())), advice: lastLine(err.Error())})
			} else {
				show(checkKubeconfigs(c)...)
				show(checkServer(cmd.Context(), c)...)
			}
			progress.Stop()
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if failed > 0 {
				fmt.Fprintln(errs, errs.Bad(fmt.Sprintf("%d of %d checks failed.", failed, total)))
				return codeError{exitFailed}
			}
			fmt.Fprintln(errs, errs.Good(fmt.Sprintf("All %d checks passed.", total)))
			return nil
		},
	}
}

func (r checkResult) print(out *terminal.Output) {
	mark := out.Good("ok  ")
	if !r.ok {
		mark = out.Bad("FAIL")
	}
	fmt.Fprintf(out, "%s %-11s %s\n", mark, r.name, terminal.Clean(r.result))
	if !r.ok && r.advice != "" {
		for line := range strings.Lines(terminal.Clean(r.advice)) {
			fmt.Fprintf(out, "                 %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
}
