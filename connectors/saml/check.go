package saml

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
)

// Check implements connectors.Checker.
func (c *Config) Check(ctx context.Context, env connectors.Env) []connectors.Finding {
	run := &probe.Run{Env: env}
	run.Site(ctx, c.SSOURL, "")
	certificates, err := readCertificates(c.Certificates)
	if err != nil {
		run.Step(ctx, "Look at a signing certificate", func(context.Context) (string, error) {
			return "", &probe.FaultError{Cause: "No certificate can be read.", Remedy: "Paste the provider's signing certificate."}
		})
	}
	for _, certificate := range certificates {
		run.Step(ctx, "Look at a signing certificate", func(context.Context) (string, error) { return lookAt(certificate, env.Now()) })
	}
	run.Warn("Ask again later", "SAML knows no way to ask again about a person.", "A removed group is noticed at the next sign-in: keep sessions short.")
	return run.Findings()
}

func lookAt(certificate *x509.Certificate, now time.Time) (string, error) {
	if now.After(certificate.NotAfter) {
		return "", &probe.FaultError{Cause: "The certificate ended on " + certificate.NotAfter.Format("2 Jan 2006") + ".", Remedy: "Copy the new one from the identity provider."}
	}
	return fmt.Sprintf("%s, good until %s", certificate.Subject.CommonName, certificate.NotAfter.Format("2 Jan 2006")), nil
}
