// Package trust reads which issuers a cluster trusts besides the sign-in server, from the
// file that an API server takes (AuthenticationConfiguration of apiserver.config.k8s.io/v1).
// Expressions are not possible here; what can't be done as the file says stops the start.
package authenticationconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"

	"github.com/fairlead-auth/fairlead/proxy/authn"
)

// Read reads a file. Own is the address of the sign-in server, which can't be in it.
func Load(file, own string, now func() time.Time, logger *slog.Logger) (map[string]*authn.Issuer, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading authentication configuration: %w", err)
	}
	issuers, err := Parse(text, own, now, logger)
	if err != nil {
		return nil, fmt.Errorf("reading authentication configuration: %w", err)
	}
	return issuers, nil
}

// Parse reads the text of a file.
func Parse(text []byte, own string, now func() time.Time, logger *slog.Logger) (map[string]*authn.Issuer, error) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	var file apiserver.AuthenticationConfiguration
	strict := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDecoder()
	if _, _, err := strict.Decode(text, nil, &file); err != nil {
		return nil, err
	}
	if file.Anonymous != nil {
		return nil, errors.New("anonymous: the proxy lets nobody in without a token; remove it")
	}
	if len(file.JWT) == 0 {
		return nil, errors.New("jwt: names no issuer")
	}
	issuers := map[string]*authn.Issuer{}
	for n, j := range file.JWT {
		issuer, err := newIssuer(&j, now, logger)
		if err == nil && (j.Issuer.URL == own || issuers[j.Issuer.URL] != nil) {
			err = errors.New("issuer.url: is trusted already")
		}
		if err != nil {
			return nil, fmt.Errorf("jwt[%d].%w", n, err)
		}
		issuers[issuer.URL] = issuer
	}
	return issuers, nil
}

func newIssuer(j *apiserver.JWTAuthenticator, now func() time.Time, logger *slog.Logger) (*authn.Issuer, error) {
	if err := errors.Join(checkIssuer(&j.Issuer), checkMappings(&j.ClaimMappings)); err != nil {
		return nil, err
	}
	if len(j.UserValidationRules) > 0 {
		return nil, errors.New("userValidationRules: are expressions, which are not possible here; reserved names are refused in any case")
	}
	m := j.ClaimMappings
	issuer := &authn.Issuer{
		URL: j.Issuer.URL, Audiences: j.Issuer.Audiences, UID: m.UID.Claim, Required: map[string]string{},
		Username: authn.Claim{Name: m.Username.Claim, Prefix: *m.Username.Prefix},
	}
	if m.Groups.Claim != "" {
		issuer.Groups = authn.Claim{Name: m.Groups.Claim, Prefix: *m.Groups.Prefix}
	}
	for i, rule := range j.ClaimValidationRules {
		if rule.Claim == "" || rule.Expression != "" || rule.Message != "" {
			return nil, fmt.Errorf("claimValidationRules[%d]: want claim and requiredValue; expressions are not possible here", i)
		}
		issuer.Required[rule.Claim] = rule.RequiredValue
	}
	client, err := clientFor(j.Issuer.CertificateAuthority)
	if err != nil {
		return nil, err
	}
	issuer.Keys = authn.NewKeySet(j.Issuer.URL, client, now, logger)
	issuer.Keys.DiscoveryURL = j.Issuer.DiscoveryURL
	return issuer, nil
}

func checkIssuer(i *apiserver.Issuer) error {
	if !isAddress(i.URL) {
		return fmt.Errorf("issuer.url: want an address with https, got %q", i.URL)
	}
	if i.DiscoveryURL != "" && !isAddress(i.DiscoveryURL) {
		return fmt.Errorf("issuer.discoveryURL: want an address with https, got %q", i.DiscoveryURL)
	}
	if len(i.Audiences) == 0 {
		return errors.New("issuer.audiences: names none")
	}
	if slices.Contains(i.Audiences, "") {
		return errors.New("issuer.audiences: one is empty")
	}
	if len(i.Audiences) > 1 && i.AudienceMatchPolicy != apiserver.AudienceMatchPolicyMatchAny {
		return errors.New("issuer.audienceMatchPolicy: want MatchAny for several audiences")
	}
	if i.EgressSelectorType != "" {
		return errors.New("issuer.egressSelectorType: is not possible here")
	}
	return nil
}

func isAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

func checkMappings(m *apiserver.ClaimMappings) error {
	for name, mapping := range map[string]apiserver.PrefixedClaimOrExpression{"username": m.Username, "groups": m.Groups} {
		switch {
		case mapping.Expression != "":
			return fmt.Errorf("claimMappings.%s.expression: expressions are not possible here: use claim and prefix", name)
		case mapping.Claim == "" && name == "username":
			return errors.New("claimMappings.username.claim: is missing")
		case mapping.Claim != "" && mapping.Prefix == nil:
			return fmt.Errorf(`claimMappings.%s.prefix: is missing; "" is none`, name)
		case mapping.Claim == "" && mapping.Prefix != nil:
			return fmt.Errorf("claimMappings.%s.claim: is missing", name)
		}
	}
	if m.UID.Expression != "" || len(m.Extra) > 0 {
		return errors.New("claimMappings: uid.expression and extra are expressions, which are not possible here")
	}
	return nil
}

// timeout bounds what an issuer is asked.
const timeout = 10 * time.Second

func clientFor(authority string) (*http.Client, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority != "" {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM([]byte(authority)) {
			return nil, errors.New("issuer.certificateAuthority: holds no certificate in PEM form")
		}
	}
	return &http.Client{Timeout: timeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSClientConfig: cfg}}, nil
}
