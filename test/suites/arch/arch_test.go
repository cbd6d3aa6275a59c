// Package arch_test checks the rules for the code: the direction of imports, documentation,
// tests, file sizes, plain words, and errors that say what to do. CONTRIBUTING.md lists them.
package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/fairlead-auth/fairlead/"

type pkg struct {
	ImportPath   string
	Dir          string
	Doc          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	Deps         []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,TestGoFiles,XTestGoFiles,Imports,Deps", "./...")
	cmd.Dir = "../../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// under reports whether an import path is in one of the folders.
func under(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == module+f || strings.HasPrefix(path, module+f+"/") })
}

// TestDependencyDirection checks direct and transitive imports between the top folders, and
// between the rooms of server/.
func TestDependencyDirection(t *testing.T) {
	t.Parallel()
	rules := []struct {
		from    []string // packages below these folders …
		not     []string // … must not depend on packages below these folders …
		modules []string // … nor on modules with these prefixes
	}{
		{from: []string{"internal"}, not: []string{"cmd", "server", "portal", "proxy", "connectors", "templates", "static", "migrations"}},
		{from: []string{"connectors"}, not: []string{"cmd", "server", "portal", "proxy", "templates", "static", "migrations"}, modules: []string{"github.com/labstack/echo", "gorm.io"}},
		{from: []string{"server"}, not: []string{"cmd", "portal", "proxy"}, modules: []string{"k8s.io"}},
		{from: []string{"server/base"}, not: []string{"server/policy", "server/signing", "server/signin", "server/fleet", "server/oidc", "server/admin"}},
		{from: []string{"server/policy"}, not: []string{"server/signing", "server/signin", "server/fleet", "server/oidc", "server/admin"}},
		{from: []string{"server/signing"}, not: []string{"server/policy", "server/signin", "server/fleet", "server/oidc", "server/admin"}},
		{from: []string{"server/signin"}, not: []string{"server/signing", "server/fleet", "server/oidc", "server/admin"}},
		{from: []string{"server/fleet"}, not: []string{"server/signing", "server/signin", "server/oidc", "server/admin"}},
		{from: []string{"server/oidc"}, not: []string{"server/fleet", "server/admin"}},
		{from: []string{"server/admin"}, not: []string{"server/oidc"}},
		{from: []string{"test/harness"}, not: []string{"test/fakes", "test/suites", "test/demo"}},
		{from: []string{"test/fakes"}, not: []string{"test/suites", "test/demo"}},
		{from: []string{"portal"}, not: []string{"cmd", "proxy"}, modules: []string{"k8s.io"}},
		{from: []string{"proxy"}, not: []string{"cmd", "server", "portal", "connectors", "templates", "static", "migrations"}, modules: []string{
			"gorm.io", "github.com/labstack/echo", "k8s.io/apiserver/pkg/server", "k8s.io/apiserver/plugin", "k8s.io/apiserver/pkg/endpoints/filters", "k8s.io/apiserver/pkg/authentication/token", "k8s.io/apiserver/pkg/cel",
		}},
		{from: []string{"templates", "static", "migrations"}, not: []string{"cmd", "server", "portal", "proxy", "connectors"}},
		{from: []string{"cmd/kubectl-fairlead"}, not: []string{"server", "portal", "proxy", "connectors"}, modules: []string{"gorm.io", "github.com/labstack/echo"}},
	}
	for _, p := range packages(t) {
		for _, rule := range rules {
			if !under(p.ImportPath, rule.from...) {
				continue
			}
			for _, dep := range p.Deps {
				if under(dep, rule.not...) {
					t.Errorf("%s must not depend on %s", p.ImportPath, dep)
				}
				for _, m := range rule.modules {
					if strings.HasPrefix(dep, m) {
						t.Errorf("%s must not depend on %s", p.ImportPath, dep)
					}
				}
			}
		}
	}
}

// TestDirectImports checks imports that only a few packages may have: gorm, database/sql, test
// helpers, and packages of the same kind.
func TestDirectImports(t *testing.T) {
	t.Parallel()
	endpoints := []string{
		"server/oidc/authorize", "server/signin/login", "server/oidc/consent", "server/oidc/token", "server/oidc/tokeninfo",
		"server/oidc/discovery", "server/oidc/logout", "server/oidc/device", "server/admin/adminapi",
	}
	for _, p := range packages(t) {
		for _, dep := range p.Imports {
			if under(p.ImportPath, endpoints...) && under(dep, endpoints...) {
				t.Errorf("endpoint %s imports endpoint %s: move the shared code to a package below both", p.ImportPath, dep)
			}
			if strings.HasPrefix(dep, "gorm.io") && !under(p.ImportPath, "server/base/store") {
				t.Errorf("%s imports %s: only server/base/store may use the database", p.ImportPath, dep)
			}
			if dep == "database/sql" && !under(p.ImportPath, "server/base/store", "migrations") {
				t.Errorf("%s imports database/sql: only server/base/store and migrations may", p.ImportPath)
			}
			if under(dep, "test", "server/base/store/storetest", "connectors/connectortest") && !under(p.ImportPath, "test", "server/base/store/storetest", "connectors/connectortest") {
				t.Errorf("%s imports %s, which only tests may use", p.ImportPath, dep)
			}
			if under(p.ImportPath, "connectors") && under(dep, "connectors") && !mayShare(p.ImportPath, dep) {
				t.Errorf("connector %s imports connector %s", p.ImportPath, dep)
			}
		}
	}
}

// mayShare reports whether a connector may import another package of connectors.
func mayShare(connector, dep string) bool {
	shared := []string{"connectors", "connectors/claims", "connectors/codeflow", "connectors/dexadapter", "connectors/probe", "connectors/rest"}
	return under(connector, "connectors/all") || slices.Contains(shared, strings.TrimPrefix(dep, module)) ||
		connector == module+"connectors/linkedin" && dep == module+"connectors/oauth" // LinkedIn is OAuth 2.0 with fixed addresses
}

// untested lists the packages without tests of their own, each with the place that tests them.
func untested() []string {
	return []string{
		"connectors/dexadapter",                                                                                                                                                                                                                                                                             // tested by the contract of every connector that uses it
		"connectors/connectortest", "connectors/mock", "server/base/store/storetest", "internal/chart/charttest", "test/harness/relyingparty", "test/fakes/fakesaml", "test/harness/slapd", "test/harness/sambaad", "test/harness/postgres", "test/harness/realkube", "test/demo", "test/suites/attack/run", // test helpers
		"portal", "portal/admin", "portal/recovery", "portal/help", // tested in cmd/fairlead and test/suites/e2e
		"server/oidc/authorize", "server/oidc/tokenfile", "server/signin/setupcode", "server/signin/login", "server/oidc/consent", "server/oidc/tokeninfo", "server/oidc/discovery", "server/oidc/logout", "server/oidc/authcode", "server/base/sweep", // tested in server and test/suites/e2e
		"cmd/kubectl-fairlead/session", // tested in test/suites/e2e
	}
}

// TestPackageCommentsAndTests wants a package comment and a test for every package.
func TestPackageCommentsAndTests(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		tested := len(p.TestGoFiles)+len(p.XTestGoFiles) > 0
		excused := slices.Contains(untested(), strings.TrimPrefix(p.ImportPath, module))
		if !tested && !excused {
			t.Errorf("%s has no test", p.ImportPath)
		}
		if tested && excused {
			t.Errorf("%s has tests now: remove it from untested()", p.ImportPath)
		}
	}
}

// TestFileSizesAndComments limits the lines of a file, and wants a comment on every exported function.
func TestFileSizesAndComments(t *testing.T) {
	t.Parallel()
	const maxLines = 400
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if lines := bytes.Count(text, []byte("\n")); lines > maxLines && !under(p.ImportPath, "test") {
				t.Errorf("%s has %d lines, more than %d: split it by topic", file, lines, maxLines)
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range parsed.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Name.IsExported() && fn.Doc == nil && fn.Recv == nil {
					t.Errorf("%s: %s has no comment", file, fn.Name.Name)
				}
			}
		}
	}
}

// TestMigrationPairs checks that each migration exists for both databases, and has its own number.
func TestMigrationPairs(t *testing.T) {
	t.Parallel()
	list := func(folder string) []string {
		entries, err := os.ReadDir("../../../migrations/" + folder)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	files := list("sqlite")
	if postgres := list("postgres"); !slices.Equal(files, postgres) {
		t.Errorf("sqlite has %v, postgres has %v", files, postgres)
	}
	for i := 1; i < len(files); i++ {
		if files[i][:4] == files[i-1][:4] {
			t.Errorf("%s and %s have the same number: give the newer one the next number", files[i-1], files[i])
		}
	}
}

// TestDependenciesAreExplained wants the reason for each direct dependency in
// docs/adr/0003-dependencies.md.
func TestDependenciesAreExplained(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	explained, err := os.ReadFile("../../../docs/adr/0003-dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.Contains(fields[0], ".") || !strings.HasPrefix(fields[1], "v") || strings.Contains(line, "// indirect") {
			continue
		}
		if !bytes.Contains(explained, []byte("`"+fields[0]+"`")) {
			t.Errorf("%s is in go.mod and not in docs/adr/0003-dependencies.md: add it with its reason", fields[0])
		}
	}
}

// TestFaultsHaveTests checks that every test that the lists of faults name exists.
func TestFaultsHaveTests(t *testing.T) {
	t.Parallel()
	var list []byte
	for _, name := range []string{"0005-dex-faults.md", "0009-proxy-faults.md", "0011-usability-checks.md"} {
		text, err := os.ReadFile("../../../docs/adr/" + name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, text...)
	}
	exists := map[string]bool{}
	err := filepath.WalkDir("../../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			exists[string(match[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(string(list), -1) {
		if !exists[name] {
			t.Errorf("docs/adr names %s, which does not exist: was it renamed?", name)
		}
	}
}
