package main

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/serverclient"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/session"
	"github.com/fairlead-auth/fairlead/cmd/kubectl-fairlead/terminal"
)

// Exit codes. Scripts rely on them.
const (
	exitFailed         = 1
	exitUsage          = 2
	exitSignInRequired = 3
	exitRefused        = 4
	exitCancelled      = 130
	exitTerminated     = 143
)

// usageError means that the command line is wrong.
type usageError struct{ error }

// codeError ends the program with an exit code and no message, because the command has already
// shown one.
type codeError struct{ code int }

func (codeError) Error() string { return "" }

// stoppedError says what a signal has stopped, in a sentence for the user.
type stoppedError struct{ error }

func exitCode(err error) int {
	if c, ok := errors.AsType[codeError](err); ok {
		return c.code
	}
	if _, ok := errors.AsType[stoppedError](err); ok {
		return exitCancelled
	}
	if _, ok := errors.AsType[*session.SignInRequiredError](err); ok {
		return exitSignInRequired
	}
	if _, ok := errors.AsType[*serverclient.RefusedError](err); ok {
		return exitRefused
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// errorText formats an error for the user: what happened, why, and what to do.
func errorText(err error) string {
	text := sentence(terminal.Clean(err.Error()))
	if text == "" {
		return ""
	}
	if unreachable, ok := errors.AsType[*serverclient.UnreachableError](err); ok {
		if strings.Contains(text, "certificate") {
			return text + "\n" + adviceCertificate(unreachable.Server)
		}
		return text + "\nCheck the address, your network and your proxy settings.\nRun: kubectl fairlead doctor " + unreachable.Server
	}
	if exitCode(err) == exitFailed && !strings.Contains(text, ". ") && !strings.Contains(text, "\n") {
		return text + "\nRun: kubectl fairlead doctor"
	}
	return text
}

// adviceCertificate is what to do about a certificate of an unknown authority.
func adviceCertificate(server string) string {
	return "If a private certificate authority has signed the server's certificate, trust it.\nRun: kubectl fairlead login " + server + " --certificate-authority FILE"
}

// sentence begins a text with a capital letter, and ends a text of one line with a full stop.
// It leaves URLs, paths and commands as they are.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	word, _, _ := strings.Cut(text, " ")
	if unicode.IsLower(first) && !strings.ContainsAny(word, "/.:-") {
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	end, _ := utf8.DecodeLastRuneInString(text)
	ended := !unicode.IsLetter(end) && !unicode.IsDigit(end) && !strings.ContainsRune(`")`, end)
	if ended || strings.Contains(text, "\n") || strings.Contains(lastWord(text), "/") {
		return text
	}
	return text + "."
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

func lastWord(line string) string { return line[strings.LastIndexByte(line, ' ')+1:] }
