package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fairlead-auth/fairlead/internal/suggest"
)

func didYouMean(closest string) string {
	if closest == "" {
		return ""
	}
	return " Did you mean " + closest + "?"
}

func errUsage(cmd *cobra.Command, text string) error {
	return usageError{fmt.Errorf("%s\nRun: %s --help", text, cmd.CommandPath())}
}

// unknownCommand refuses arguments of the root command: they are misspelled commands.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	closest := ""
	if names := root.SuggestionsFor(args[0]); len(names) > 0 {
		closest = names[0]
	}
	return errUsage(root, fmt.Sprintf("There is no command %q.%s", args[0], didYouMean(closest)))
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return errUsage(cmd, fmt.Sprintf("%q takes no argument, but got %q.", cmd.CommandPath(), args[0]))
	}
	return nil
}

// optionalServer accepts one argument: the URL of a server.
func optionalServer(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return errUsage(cmd, fmt.Sprintf("%q takes one argument, the URL of a server, but got %d.", cmd.CommandPath(), len(args)))
	}
	return nil
}

// wrapFlags wraps the descriptions of flags in the help at the width of the terminal.
func wrapFlags(root *cobra.Command) {
	usages := func(flags *pflag.FlagSet) string {
		return strings.TrimRight(flags.FlagUsagesWrapped(output(root).Width()), " \n")
	}
	cobra.AddTemplateFunc("wrappedFlagUsages", usages)
	template := root.UsageTemplate()
	for _, flags := range []string{".LocalFlags", ".InheritedFlags"} {
		template = strings.ReplaceAll(template, "{{"+flags+".FlagUsages | trimTrailingWhitespaces}}", "{{wrappedFlagUsages "+flags+"}}")
	}
	root.SetUsageTemplate(template)
}

// flagError explains a wrong flag, and suggests the flag that the user may have meant.
func flagError(cmd *cobra.Command, err error) error {
	missing, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return errUsage(cmd, sentence(err.Error()))
	}
	var names []string
	collect := func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	}
	cmd.Flags().VisitAll(collect)
	cmd.InheritedFlags().VisitAll(collect)
	dashes, closest := "-", ""
	if name := missing.GetSpecifiedName(); missing.GetSpecifiedShortnames() == "" {
		dashes = "--"
		if closest = suggest.Closest(name, names); closest != "" {
			closest = "--" + closest
		}
	}
	return errUsage(cmd, fmt.Sprintf("%q has no flag %s%s.%s", cmd.CommandPath(), dashes, missing.GetSpecifiedName(), didYouMean(closest)))
}
