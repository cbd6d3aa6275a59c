package saml

import (
	samllib "github.com/crewjam/saml"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// CountCertificates returns how many certificates a text holds.
func CountCertificates(text string) (int, error) {
	list, err := readCertificates(text)
	return len(list), err
}

// CountKeys returns how many private keys a text holds.
func CountKeys(text string) (int, error) {
	pair, err := readKeyPair(secret.NewValue(text))
	if pair == nil {
		return 0, err
	}
	return len(pair.keys), err
}

// Identity reads an assertion whose signature was verified before.
func (c *Config) Identity(a *samllib.Assertion) (connectors.Identity, error) { return c.identity(a) }
