// Command authenticator checks a token with the very code of kube-apiserver: it
// reads the token from standard input and prints who it is for.
package main

import (
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
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
	"k8s.io/utils/ptr"
)

func main() {
	issuer := flag.String("issuer", "", "issuer")
	audience := flag.String("audience", "", "audience")
	ca := flag.String("ca", "", "file with the issuer's authority")
	flag.Parse()
	if err := run(*issuer, *audience, *ca); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(issuer, audience, ca string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
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
