package pages_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"

	"github.com/fairlead-auth/fairlead/internal/i18n"
	"github.com/fairlead-auth/fairlead/templates"
)

// spoken is the Go code whose messages people other than admins read: folders, and files.
var spoken = []string{
	"internal/i18n", "portal/account", "portal/clusters", "portal/downloads", "portal/help", "portal/page", "portal/workloads", "server/policy/access", "server/oidc/authorize", "server/policy/clients",
	"server/oidc/consent", "server/oidc/device", "server/base/flow", "server/signin/login", "server/oidc/logout", "server/oidc/authresponse", "server/oidc/tokenfile", "server/signin/setupcode", "server/signin/upstream/upstream.go", "server/signin/upstream/recheck.go",
	"server/base/web", "server/admin/invite.go", "server/base/store/store.go", "server/base/store/user.go", "server/base/store/signin.go", "server/signing/keys/keys.go",
}

// speakers are the functions that take a message, and where in their arguments it is.
var speakers = map[string]int{"i18n.T": 0, "T": 0, "errs.New": 1, "errs.Wrap": 2, "clientError": 0, "notFound": 0}

// fromElsewhere is what connectors call a name by themselves, the rules for passwords, which are
// for admins too, and lengths of time.
var fromElsewhere = []string{
	"User name or e-mail", "Use at least %d characters, such as a few unrelated words.", "Use at most 1024 characters.",
	"The password must not contain the name.", "Use more different characters.",
	"1 second", "%d seconds", "1 minute", "%d minutes", "1 hour", "%d hours", "1 day", "%d days",
}

// neutral are formats without a word.
var neutral = regexp.MustCompile(`^(%[sd]|[ ,:()])*$`)

// TestEveryTextIsTranslated finds what pages for people say, in templates and in Go: German
// has it all, and nothing else.
func TestEveryTextIsTranslated(t *testing.T) {
	t.Parallel()
	texts := map[string]string{}
	for _, text := range fromElsewhere {
		texts[text] = "elsewhere"
	}
	maps.Copy(texts, textsOfTemplates(t))
	for _, place := range spoken {
		files, err := filepath.Glob("../../../" + place + "/*.go")
		if info, errInfo := os.Stat("../../../" + place); errInfo != nil || err != nil {
			t.Fatal(errInfo, err)
		} else if !info.IsDir() {
			files = []string{"../../../" + place}
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				maps.Copy(texts, textsOfGo(t, file))
			}
		}
	}
	languages, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	german := languages.German.Texts()
	for _, text := range slices.Sorted(maps.Keys(texts)) {
		if !neutral.MatchString(text) && !slices.Contains(german, text) {
			t.Errorf("not in internal/i18n/de.yaml (%s): %q", texts[text], text)
		}
	}
	for _, text := range german {
		if _, used := texts[text]; !used {
			t.Errorf("nobody says this any more: %q", text)
		}
	}
}

func textsOfGo(t *testing.T, file string) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		at, speaks := speakers[nameOf(call.Fun)]
		if !speaks || at >= len(call.Args) {
			return true
		}
		switch arg := call.Args[at].(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(arg.Value)
			if err != nil {
				t.Fatal(err)
			}
			texts[text] = set.Position(arg.Pos()).String()
		case *ast.BinaryExpr:
			t.Errorf("%s: nobody can translate what is put together; use a format", set.Position(arg.Pos()))
		}
		return true
	})
	return texts
}

func nameOf(f ast.Expr) string {
	switch f := f.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if of, ok := f.X.(*ast.Ident); ok {
			return of.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// The rest of a template without these is words that are not translated.
var (
	actions   = regexp.MustCompile(`\{\{.*?\}\}`)
	tags      = regexp.MustCompile(`<[^>]*>`)
	code      = regexp.MustCompile(`(?s)<(?:code|kbd)>.*?</(?:code|kbd)>`)
	adminPart = regexp.MustCompile(`(?s)<nav class="side".*?</nav>`)
	words     = regexp.MustCompile(`[A-Za-z]{2,}`)
	attribute = regexp.MustCompile(`(?:aria-label|alt|title|placeholder|data-label)="[^"]*[A-Za-z]{2,}[^"]*"`)
)

// signs are the same in every language.
var signs = []string{"Fairlead", "UID", "SHA", "nbsp", `placeholder="BCDF-GHJK"`}

// checkWords complains of words in a template that are not said by t.
func checkWords(t *testing.T, file, body string) {
	t.Helper()
	for _, strip := range []*regexp.Regexp{actions, adminPart, code} {
		body = strip.ReplaceAllString(body, "")
	}
	found := append(attribute.FindAllString(body, -1), words.FindAllString(tags.ReplaceAllString(body, " "), -1)...)
	for _, word := range found {
		if !slices.Contains(signs, word) {
			t.Errorf("%s: %q is not said by t", file, word)
		}
	}
}

// textsOfTemplates collects what the templates of pages for people say, and complains of
// words that are not said by t.
func textsOfTemplates(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := fs.WalkDir(templates.Files(), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(file, "admin/") || file == "layout/form.html" {
			return err
		}
		body, err := fs.ReadFile(templates.Files(), file)
		if err != nil {
			return err
		}
		checkWords(t, file, string(body))
		trees := map[string]*parse.Tree{}
		tree := parse.New(file)
		tree.Mode = parse.SkipFuncCheck
		if _, err := tree.Parse(string(body), "", "", trees); err != nil {
			return err
		}
		for _, tree := range trees {
			walk(tree.Root, func(n parse.Node) {
				command, ok := n.(*parse.CommandNode)
				if !ok || len(command.Args) < 2 || command.Args[0].String() != "t" {
					return
				}
				literal, ok := command.Args[1].(*parse.StringNode)
				if !ok {
					t.Errorf("%s: t %s: only what is written in a template may hold marks; use say", file, command.Args[1])
					return
				}
				texts[literal.Text] = file
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// walk visits every node.
func walk(n parse.Node, visit func(parse.Node)) {
	if n == nil {
		return
	}
	visit(n)
	branch := func(b *parse.BranchNode) {
		walk(b.Pipe, visit)
		walk(b.List, visit)
		if b.ElseList != nil {
			walk(b.ElseList, visit)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, child := range n.Nodes {
			walk(child, visit)
		}
	case *parse.ActionNode:
		walk(n.Pipe, visit)
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			walk(command, visit)
		}
	case *parse.CommandNode:
		for _, arg := range n.Args {
			walk(arg, visit)
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			walk(n.Pipe, visit)
		}
	}
}
