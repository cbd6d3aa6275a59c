package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// messageAt is the place of the message among the arguments of a function that makes an error for people.
var messageAt = map[string]int{"errs.New": 1, "errs.Wrap": 2}

// errorsNotYetRewritten are the folders whose errors do not yet say what to do. A folder counts without the
// folders in it. Take an entry off when its errors do; never add one.
var errorsNotYetRewritten = []string{}

// imperatives start the sentence that says what to do next.
var imperatives = []string{
	"Add", "Allow", "Ask", "Change", "Check", "Choose", "Close", "Confirm", "Connect", "Contact", "Copy", "Correct", "Create", "Delete", "Disable", "Download", "Enable", "End", "Enrol", "Enter",
	"Find", "Fix", "Give", "Go", "Import", "Install", "Leave", "Let", "List", "Look", "Make", "Move", "Name", "Open", "Paste", "Pick", "Read", "Reload", "Remove", "Rename", "Repeat",
	"Replace", "Request", "Restart", "Restore", "Return", "Rotate", "Run", "Save", "Scan", "Search", "See", "Select", "Send", "Set", "Shorten", "Show", "Sign", "Start", "Stop",
	"Switch", "Tell", "Test", "Try", "Turn", "Type", "Unlock", "Update", "Upload", "Use", "Verify", "Wait", "Write",
}

// condition is a clause that may stand before the imperative.
var condition = regexp.MustCompile(`^(If|To|When|On|In|Then) [^,]*, `)

// saysWhatToDo reports whether a message says what happened, and ends with what to do next.
func saysWhatToDo(message string) bool {
	sentences := split(message)
	if len(sentences) < 2 {
		return false
	}
	last := sentences[len(sentences)-1]
	if before := condition.FindString(last); before != "" {
		last = strings.ToUpper(last[len(before):len(before)+1]) + last[len(before)+1:]
	}
	verb, _, _ := strings.Cut(last, " ")
	return slices.Contains(imperatives, strings.TrimRight(verb, ".,:"))
}

// TestErrorsSayWhatToDo reads the message of each error that a person can see. It wants at least two sentences:
// what happened and why, then what to do.
func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	left := map[string]bool{}
	checked := 0
	for _, folder := range []string{"portal", "server", "connectors"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, nil, 0)
			if err != nil {
				return err
			}
			for pos, message := range errorMessages(parsed) {
				checked++
				if saysWhatToDo(message) {
					continue
				}
				in := path.Dir(filepath.ToSlash(name))
				if left[in] = true; !slices.Contains(errorsNotYetRewritten, in) {
					t.Errorf("%s:%d: say what happened, why, and what to do (a last sentence that starts with a verb such as Ask or Run): %q", name, set.Position(pos).Line, message)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if checked < 100 {
		t.Errorf("found %d messages: does errs.New have another name now?", checked)
	}
	for _, folder := range errorsNotYetRewritten {
		if !left[folder] {
			t.Logf("the errors of %s say what to do: take it off errorsNotYetRewritten", folder)
		}
	}
}

// errorMessages returns the messages of a file with samples for their arguments. A message without any
// literal comes from a function that is checked where its text stands.
func errorMessages(file *ast.File) map[token.Pos]string {
	found := map[token.Pos]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		at, makes := messageAt[nameOf(call.Fun)]
		if !makes || at >= len(call.Args) {
			return true
		}
		if message, literal := messageOf(call.Args[at]); literal {
			found[call.Args[at].Pos()] = message
		}
		return true
	})
	return found
}

func TestSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]bool{
		"prod-eu refused the token: it expired 3 minutes ago. Run `kubectl fairlead login`.": true,
		"There is no cluster prod-eu. Check the spelling.":                                   true,
		"This link has been used. To get another one, ask the admin who sent it.":            true,
		"There is no cluster prod-eu.":                                                       false,
		"This picture is not there any more. It has been removed.":                           false,
		"Sign in as an admin.": false,
	} {
		if got := saysWhatToDo(message); got != want {
			t.Errorf("%q: %v", message, got)
		}
	}
}
