package status_test

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead-auth/fairlead/proxy/status"
)

var update = flag.Bool("update", false, "write docs/reference/proxy-refusals.md")

// catalogue holds an example of every refusal, by the name of its constructor.
func catalogue() map[string]*status.Error {
	now := time.Date(2026, 11, 23, 15, 4, 0, 0, time.UTC)
	cause := errors.New("connection refused")
	return map[string]*status.Error{
		"NoToken":                  status.NoToken(),
		"MultipleTokens":           status.MultipleTokens(),
		"InvalidToken":             status.InvalidToken("its claims are not readable"),
		"WrongIssuer":              status.WrongIssuer(),
		"WrongAudience":            status.WrongAudience(),
		"TokenExpired":             status.TokenExpired(now.Add(-3*time.Minute), now),
		"TokenNotYetValid":         status.TokenNotYetValid(now.Add(time.Hour), now),
		"InvalidName":              status.InvalidName("its user name", errors.New(`begins with "system:", which Kubernetes reserves`)),
		"InvalidClaim":             status.InvalidClaim(`the required claim "team" is missing or has another value`),
		"EmailNotVerified":         status.EmailNotVerified(),
		"TooManyGroups":            status.TooManyGroups(600, 512),
		"KeysUnavailable":          status.KeysUnavailable(),
		"TokenReviewUnavailable":   status.TokenReviewUnavailable(cause),
		"TokenReviewNotPermitted":  status.TokenReviewNotPermitted(),
		"TooManyTokenReviews":      status.TooManyTokenReviews(),
		"RevokedDevice":            status.RevokedDevice(),
		"RevokedSignIn":            status.RevokedSignIn(),
		"RevokedUser":              status.RevokedUser(),
		"NoAccess":                 status.NoAccess(),
		"StreamExpired":            status.StreamExpired(),
		"FeedStale":                status.FeedStale(now),
		"ProxyStopping":            status.ProxyStopping(),
		"RecordingUnavailable":     status.RecordingUnavailable(cause),
		"RecordingRequired":        status.RecordingRequired(),
		"TooManyStreams":           status.TooManyStreams(1000),
		"AuditUnavailable":         status.AuditUnavailable(cause),
		"ImpersonationUnsupported": status.ImpersonationUnsupported(),
		"InvalidImpersonation":     status.InvalidImpersonation("it names more than one UID to act as"),
		"ImpersonationNotSetUp":    status.ImpersonationNotSetUp(),
		"AccessReviewUnavailable":  status.AccessReviewUnavailable(cause),
		"ImpersonationDenied":      status.ImpersonationDenied(metav1.Status{Message: `users "bob" is forbidden: …`}),
		"AmbiguousHeader":          status.AmbiguousHeader("X_Remote_User"),
		"HeadersTooLarge":          status.HeadersTooLarge(64 << 10),
		"RequestCancelled":         status.RequestCancelled(cause),
		"APIServerUnreachable":     status.APIServerUnreachable(cause),
		"ProxyCredentialRejected":  status.ProxyCredentialRejected(),
		"UnsupportedUpgrade":       status.UnsupportedUpgrade(),
		"UpgradeMismatch":          status.UpgradeMismatch(),
		"UpgradeFailed":            status.UpgradeFailed(cause),
	}
}

// TestEveryRefusalHasThreeParts checks that each refusal says what happened, why, and what to do
// next, in a form that reads well as one message.
func TestEveryRefusalHasThreeParts(t *testing.T) {
	t.Parallel()
	verbs := []string{"Ask", "Check", "Close", "Open", "Remove", "Run", "Send", "Try", "Use", "Verify"}
	code := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for name, e := range catalogue() {
		if !code.MatchString(e.Code) || e.HTTPStatus < 400 || e.Reason == "" {
			t.Errorf("%s: code %q, HTTP status %d, reason %q", name, e.Code, e.HTTPStatus, e.Reason)
		}
		if e.Verbatim != nil {
			continue // the API server's own message
		}
		for part, text := range map[string]string{"what": e.What, "why": e.Why, "next": e.Next} {
			if text == "" || text != strings.TrimSpace(text) || strings.HasSuffix(text, ".") {
				t.Errorf("%s: %s is %q", name, part, text)
			}
		}
		if verb, _, _ := strings.Cut(e.Next, " "); !slices.Contains(verbs, verb) {
			t.Errorf("%s: the next step %q does not begin with an imperative verb", name, e.Next)
		}
		if want := "fairlead-proxy: " + e.What + ": " + e.Why + ". " + e.Next + "."; e.Message() != want || e.KubernetesStatus().Message != want {
			t.Errorf("%s: message %q, want %q", name, e.Message(), want)
		}
		if words := strings.Fields(e.What + " " + e.Why); len(words) > 25 {
			t.Errorf("%s: the first sentence has %d words", name, len(words))
		}
	}
}

// TestStreamEndingRefusalsAreShort checks that a message fits into the 123 bytes that a WebSocket
// close frame has for it (RFC 6455 section 5.5).
func TestStreamEndingRefusalsAreShort(t *testing.T) {
	t.Parallel()
	list := catalogue()
	for _, name := range []string{"RevokedDevice", "RevokedSignIn", "RevokedUser", "NoAccess", "StreamExpired", "FeedStale", "ProxyStopping", "RecordingUnavailable"} {
		if n := len(list[name].Message()); n > 123 {
			t.Errorf("%s: %d bytes: %s", name, n, list[name].Message())
		}
	}
}

// TestCatalogueIsComplete compares the examples with the constructors in catalogue.go, and checks
// that no other package builds a refusal of its own.
func TestCatalogueIsComplete(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "catalogue.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var constructors []string
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.IsExported() {
			constructors = append(constructors, f.Name.Name)
		}
	}
	slices.Sort(constructors)
	if diff := cmp.Diff(constructors, slices.Sorted(maps.Keys(catalogue()))); diff != "" {
		t.Errorf("(-catalogue.go +examples):\n%s", diff)
	}
	literal := regexp.MustCompile(`[^*]status\.Error\{`) // but not a slice or map of pointers
	err = filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if literal.Match(text) {
			t.Errorf("%s builds a refusal that is not in the catalogue", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestReference compares docs/reference/proxy-refusals.md with the catalogue.
func TestReference(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`# Refusals of the proxy

kubectl prints these messages when fairlead-proxy does not forward a request, or ends a stream. The code is the ` + "`reason`" + ` in the
[audit log](../audit-events.md) and in the metric ` + "`fairlead_proxy_refusals_total`" + `. This page is generated from
` + "`proxy/status/catalogue.go`" + `: run ` + "`go test ./proxy/status -update`" + `.

| code | HTTP status | message, as an example |
| --- | --- | --- |
`)
	list := catalogue()
	for _, name := range slices.SortedFunc(maps.Keys(list), func(a, b string) int {
		return strings.Compare(list[a].Code+a, list[b].Code+b)
	}) {
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", list[name].Code, list[name].HTTPStatus, strings.TrimPrefix(list[name].Message(), "fairlead-proxy: "))
	}
	const page = "../../docs/reference/proxy-refusals.md"
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(b.String(), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("(-catalogue +page):\n%s", diff)
	}
}
