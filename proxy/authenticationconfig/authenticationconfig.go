// Package authenticationconfig reads additional trusted token issuers from an API server's
// AuthenticationConfiguration file (apiserver.config.k8s.io/v1). It supports claims and prefixes, but no
// CEL expressions. A file that the proxy cannot follow exactly is an error.
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

// Load reads a file. Own is the URL of the Fairlead server, which the file must not contain.
func Load(file, own string, now func() time.Time, logger *slog.Logger) (map[string]*authn.Issuer, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading the authentication configuration: %w", err)
	}
	issuers, err := Parse(text, own, now, logger)
	if err != nil {
		return nil, fmt.Errorf("reading the authentication configuration: %w", err)
	}
	return issuers, nil
}

// Parse parses the content of a file. Own is the URL of the Fairlead server.
func Parse(text []byte, own string, now func() time.Time, logger *slog.Logger) (map[string]*authn.Issuer, error) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	var file apiserver.AuthenticationConfiguration
	strict := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDecoder()
	if _, _, err := strict.Decode(text, nil, &file); err != nil {
		return nil, err
	}
	if file.Anonymous != nil {
		return nil, errors.New("anonymous: the proxy does not accept requests without a token. Remove it")
	}
	if len(file.JWT) == 0 {
		return nil, errors.New("jwt: is empty. Add an issuer")
	}
	issuers := map[string]*authn.Issuer{}
	for n, j := range file.JWT {
		issuer, err := newIssuer(&j, now, logger)
		if err == nil && (j.Issuer.URL == own || issuers[j.Issuer.URL] != nil) {
			err = errors.New("issuer.url: is already trusted. Remove this entry")
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
		return nil, errors.New("userValidationRules: the proxy does not support expressions. Remove them; the proxy refuses reserved names in any case")
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
			return nil, fmt.Errorf("claimValidationRules[%d]: the proxy does not support expressions. Use claim and requiredValue", i)
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
		return fmt.Errorf("issuer.url: must be an https URL, got %q", i.URL)
	}
	if i.DiscoveryURL != "" && !isAddress(i.DiscoveryURL) {
		return fmt.Errorf("issuer.discoveryURL: must be an https URL, got %q", i.DiscoveryURL)
	}
	if len(i.Audiences) == 0 {
		return errors.New("issuer.audiences: is empty. Add an audience")
	}
	if slices.Contains(i.Audiences, "") {
		return errors.New("issuer.audiences: has an empty entry. Remove it")
	}
	if len(i.Audiences) > 1 && i.AudienceMatchPolicy != apiserver.AudienceMatchPolicyMatchAny {
		return errors.New("issuer.audienceMatchPolicy: must be MatchAny for several audiences")
	}
	if i.EgressSelectorType != "" {
		return errors.New("issuer.egressSelectorType: the proxy does not support it. Remove it")
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
			return fmt.Errorf("claimMappings.%s.expression: the proxy does not support expressions. Use claim and prefix", name)
		case mapping.Claim == "" && name == "username":
			return errors.New("claimMappings.username.claim: is missing. Set the claim with the user name")
		case mapping.Claim != "" && mapping.Prefix == nil:
			return fmt.Errorf(`claimMappings.%s.prefix: is missing. Set it to "" for no prefix`, name)
		case mapping.Claim == "" && mapping.Prefix != nil:
			return fmt.Errorf("claimMappings.%s.claim: is missing. Set it, or remove the prefix", name)
		}
	}
	if m.UID.Expression != "" || len(m.Extra) > 0 {
		return errors.New("claimMappings: the proxy does not support uid.expression and extra, which are expressions. Remove them")
	}
	return nil
}

// timeout bounds a request to an issuer.
const timeout = 10 * time.Second

func clientFor(authority string) (*http.Client, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority != "" {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM([]byte(authority)) {
			return nil, errors.New("issuer.certificateAuthority: contains no PEM certificate")
		}
	}
	return &http.Client{Timeout: timeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSClientConfig: cfg}}, nil
}
