package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// root is the repository, seen from this folder.
const root = "../../.."

// A sentence is one sentence of a comment, message, page or doc, and its place.
type sentence struct {
	file string // relative to the repository
	line int
	text string
}

// A paragraph is text without a break, such as a table cell, a list item or a string literal.
type paragraph struct {
	line int
	text string
}

// sentencesOf collects the sentences of comments, messages, page texts and docs.
func sentencesOf(t *testing.T) []sentence {
	t.Helper()
	var all []sentence
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			switch entry.Name() {
			case "node_modules", ".git", "bin", "testdata", "images":
				return fs.SkipDir
			}
			return nil
		}
		paragraphs, err := paragraphsOf(path)
		if err != nil {
			return err
		}
		file, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for _, p := range paragraphs {
			for _, text := range split(p.text) {
				all = append(all, sentence{file: filepath.ToSlash(file), line: p.line, text: text})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// paragraphsOf reads one file by the rules of its kind. Files of other kinds have no paragraphs.
func paragraphsOf(path string) ([]paragraph, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	switch ext := filepath.Ext(path); {
	case ext == ".go":
		return goParagraphs(path, text)
	case ext == ".md":
		return markdownParagraphs(string(text)), nil
	case ext == ".html":
		return templateParagraphs(string(text)), nil
	case ext == ".sql":
		return commentParagraphs(string(text), "--"), nil
	case ext == ".js" || ext == ".mjs":
		return commentParagraphs(string(text), "//"), nil
	case base == "de.yaml": // its keys are the texts of templates and Go, its values are German
		return nil, nil
	case base == "Makefile":
		help := regexp.MustCompile(`(?m)^[a-z-]+:.*?## `)
		return commentParagraphs(help.ReplaceAllString(string(text), "# - "), "#"), nil
	case ext == ".sh" || ext == ".yaml" || ext == ".yml" || ext == ".service":
		return commentParagraphs(string(text), "#"), nil
	}
	return nil, nil
}

// goParagraphs returns the comments of a Go file and, unless it is a test, its string literals of three words or more.
func goParagraphs(path string, text []byte) ([]paragraph, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var all []paragraph
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if strings.HasPrefix(comment.Text, "/*") {
				all = append(all, paragraph{line: set.Position(comment.Pos()).Line, text: strings.Trim(comment.Text, "/* \n")})
			}
		}
		first := set.Position(group.Pos()).Line
		var lines strings.Builder
		for _, comment := range group.List {
			if strings.HasPrefix(comment.Text, "// ") || comment.Text == "//" || strings.HasPrefix(comment.Text, "//\t") {
				lines.WriteString(comment.Text)
			}
			lines.WriteString("\n")
		}
		for _, p := range commentParagraphs(lines.String(), "//") {
			all = append(all, paragraph{line: first + p.line - 1, text: p.text})
		}
	}
	if strings.HasSuffix(path, "_test.go") {
		return all, nil
	}
	ast.Inspect(file, func(n ast.Node) bool {
		expr, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		message, literal := messageOf(expr)
		if literal && strings.Count(message, " ") >= 2 {
			all = append(all, paragraph{line: set.Position(expr.Pos()).Line, text: inlineCode.ReplaceAllString(message, "code")})
		}
		return !literal
	})
	return all, nil
}

// messageOf renders a string literal, or literals that are joined by + or formatted by Sprintf, with
// samples for everything else. It reports false for an expression without an interpreted literal.
func messageOf(expr ast.Expr) (string, bool) {
	switch e := expr.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING || strings.HasPrefix(e.Value, "`") {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return sampled(text), err == nil
	case *ast.ParenExpr:
		return messageOf(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, isLeft := messageOf(e.X)
		right, isRight := messageOf(e.Y)
		if !isLeft {
			left = "sample"
		}
		if !isRight {
			right = "sample"
		}
		return left + right, isLeft || isRight
	case *ast.CallExpr:
		if nameOf(e.Fun) == "fmt.Sprintf" && len(e.Args) > 0 {
			return messageOf(e.Args[0])
		}
	}
	return "", false
}

// sampled fills a format with sample arguments.
func sampled(format string) string {
	numbers := regexp.MustCompile(`%(\[\d+\])?[-+#0 ]*\d*(\.\d+)?[dfxX]`)
	words := regexp.MustCompile(`%(\[\d+\])?[-+#0 ]*\d*(\.\d+)?[a-zA-Z]`)
	return strings.ReplaceAll(words.ReplaceAllString(numbers.ReplaceAllString(format, "3"), "sample"), "%%", "%")
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

var (
	listItem   = regexp.MustCompile(`^(\s*)([-*+]|\d+[.)])\s+`)
	inlineCode = regexp.MustCompile("`[^`]*`|“[^”]*”")
	link       = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	anyTag     = regexp.MustCompile(`<[^>]*>`)
)

// commentParagraphs returns the comments that stand on lines of their own, or behind code in Go. Indented
// lines of a comment are code.
func commentParagraphs(text, marker string) []paragraph {
	var all []paragraph
	open := false
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		rest, isComment := strings.CutPrefix(line, marker)
		item := listItem.MatchString(rest)
		if !isComment || strings.TrimSpace(rest) == "" || strings.HasPrefix(rest, "!") ||
			!item && (strings.HasPrefix(rest, "\t") || strings.HasPrefix(rest, "   ")) {
			open = false
			continue
		}
		rest = inlineCode.ReplaceAllString(strings.TrimSpace(listItem.ReplaceAllString(rest, "")), "code")
		if open && !item {
			all[len(all)-1].text += " " + rest
			continue
		}
		all, open = append(all, paragraph{line: number, text: rest}), true
	}
	return all
}

// markdownParagraphs returns headings, paragraphs, list items and table cells, without code.
func markdownParagraphs(text string) []paragraph {
	var all []paragraph
	open, fenced := false, false
	number := 0
	for line := range strings.Lines(text) {
		number++
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "```") {
			fenced, open = !fenced, false
			continue
		}
		if fenced || trimmed == "" || strings.HasPrefix(trimmed, "|--") || strings.HasPrefix(trimmed, "| --") || strings.HasPrefix(trimmed, "|:-") {
			open = false
			continue
		}
		plain := anyTag.ReplaceAllString(link.ReplaceAllString(inlineCode.ReplaceAllString(trimmed, "code"), "$1"), "")
		switch {
		case strings.HasPrefix(trimmed, "|"):
			for cell := range strings.SplitSeq(strings.Trim(plain, "|"), "|") {
				all = append(all, paragraph{line: number, text: strings.TrimSpace(cell)})
			}
			open = false
		case strings.HasPrefix(trimmed, "#"):
			all, open = append(all, paragraph{line: number, text: strings.TrimLeft(plain, "# ")}), false
		case strings.Contains(plain, " · "):
			for part := range strings.SplitSeq(plain, " · ") {
				all = append(all, paragraph{line: number, text: part})
			}
			open = false
		case listItem.MatchString(trimmed) || !open:
			all, open = append(all, paragraph{line: number, text: listItem.ReplaceAllString(strings.TrimPrefix(plain, "> "), "")}), true
		default:
			all[len(all)-1].text += " " + strings.TrimPrefix(plain, "> ")
		}
	}
	return all
}

// Parts of a template.
var (
	translated  = regexp.MustCompile(`\{\{-?\s*t "((?:[^"\\]|\\.)*)".*?\}\}`)
	control     = regexp.MustCompile(`\{\{-?\s*(if|else|end|range|with|define|template|block|break)\b.*?\}\}`)
	otherAction = regexp.MustCompile(`\{\{.*?\}\}`)
	shown       = regexp.MustCompile(`(?:aria-label|alt|title|placeholder|data-label)="([^"]*)"`)
	code        = regexp.MustCompile(`<code[^>]*>.*?</code>`)
	phrasing    = regexp.MustCompile(`</?(a|abbr|b|code|em|kbd|span|strong|time)\b[^>]*>`)
)

// templateParagraphs returns the texts of a template and of the attributes that people see or hear.
func templateParagraphs(text string) []paragraph {
	var all []paragraph
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = translated.ReplaceAllString(strings.TrimSpace(line), "$1")
		line = otherAction.ReplaceAllString(control.ReplaceAllString(line, "<p>"), "sample")
		parts := []string{}
		for _, match := range shown.FindAllStringSubmatch(line, -1) {
			parts = append(parts, match[1])
		}
		line = phrasing.ReplaceAllString(code.ReplaceAllString(line, "code"), "")
		parts = append(parts, anyTag.Split(line, -1)...)
		for _, part := range parts {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, paragraph{line: number, text: inlineCode.ReplaceAllString(part, "code")})
			}
		}
	}
	return all
}

// ends are the ends of sentences.
var ends = regexp.MustCompile(`[.!?]["”’)*_]*(\s+|$)`)

// split cuts a paragraph into its sentences.
func split(text string) []string {
	var all []string
	start := 0
	for _, at := range ends.FindAllStringIndex(text, -1) {
		before := text[start:at[0]]
		last := before[strings.LastIndexAny(before, " (")+1:]
		next := strings.TrimLeft(text[at[1]:], "\"“‘(*_")
		abbreviated := last == "e.g" || last == "i.e" || last == "etc" || last == "vs" || last == "cf" || last == "No"
		if abbreviated || next != "" && next[0] >= 'a' && next[0] <= 'z' && !strings.HasPrefix(next, "kubectl") && !strings.HasPrefix(next, "code") {
			continue
		}
		all = append(all, strings.TrimSpace(text[start:at[1]]))
		start = at[1]
	}
	if rest := strings.TrimSpace(text[start:]); rest != "" {
		all = append(all, rest)
	}
	return all
}
