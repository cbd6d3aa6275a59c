// Command authenticator checks tokens with the very code of kube-apiserver: it
// reads a token from standard input and prints who it is for; or, with -lines, one
// token after another, each answered by one line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/apis/apiserver"
	auth "k8s.io/apiserver/pkg/authentication/authenticator"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
	"k8s.io/utils/ptr"
)

func main() {
	issuer := flag.String("issuer", "", "issuer")
	audience := flag.String("audience", "", "audience")
	ca := flag.String("ca", "", "file with the issuer's authority")
	lines := flag.Bool("lines", false, "check one token a line, until the input ends")
	flag.Parse()
	if err := run(*issuer, *audience, *ca, *lines); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(issuer, audience, ca string, lines bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	if lines {
		ctx, cancel = context.WithCancel(context.Background())
	}
	defer cancel()
	provider, err := dynamiccertificates.NewDynamicCAContentFromFile("ca", ca)
	if err != nil {
		return err
	}
	authenticator, err := oidc.New(ctx, oidc.Options{
		JWTAuthenticator: apiserver.JWTAuthenticator{
			Issuer: apiserver.Issuer{URL: issuer, Audiences: []string{audience}},
			ClaimMappings: apiserver.ClaimMappings{
				Username: apiserver.PrefixedClaimOrExpression{Claim: "preferred_username", Prefix: ptr.To("")},
				Groups:   apiserver.PrefixedClaimOrExpression{Claim: "groups", Prefix: ptr.To("")},
				UID:      apiserver.ClaimOrExpression{Claim: "sub"},
			},
		},
		Compiler: authenticationcel.NewDefaultCompiler(), CAContentProvider: provider, SupportedSigningAlgs: []string{"RS256", "ES256"},
	})
	if err != nil {
		return err
	}
	if err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(context.Context) (bool, error) {
		return authenticator.HealthCheck() == nil, nil
	}); err != nil {
		return fmt.Errorf("the authenticator does not get ready: %w", authenticator.HealthCheck())
	}
	if lines {
		return each(ctx, authenticator)
	}
	token, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	response, ok, err := authenticator.AuthenticateToken(ctx, strings.TrimSpace(string(token)))
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("the token is not for this authenticator")
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"user": response.User.GetName(), "uid": response.User.GetUID(), "groups": response.User.GetGroups(),
	})
}

// each answers every line of the input: "ok" and the user, or "no" and why.
func each(ctx context.Context, authenticator interface {
	AuthenticateToken(context.Context, string) (*auth.Response, bool, error)
},
) error {
	fmt.Println("ready")
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	for input.Scan() {
		response, ok, err := authenticator.AuthenticateToken(ctx, input.Text())
		if err != nil || !ok {
			fmt.Printf("no %v %v\n", ok, strings.ReplaceAll(fmt.Sprint(err), "\n", " "))
			continue
		}
		fmt.Println("ok", response.User.GetName())
	}
	return input.Err()
}
