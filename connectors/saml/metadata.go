package saml

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	samllib "github.com/crewjam/saml"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/connectors/probe"
	"github.com/fairlead-auth/fairlead/internal/errs"
)

var _ connectors.Describer = (*Config)(nil)

// Describe returns the SP metadata: our address, our entity id and the certificate to encrypt for.
func (c *Config) Describe(env connectors.Env) (contentType string, document []byte, err error) {
	sp, err := c.serviceProvider(env)
	if err != nil {
		return "", nil, err
	}
	document, err = xml.MarshalIndent(sp.Metadata(), "", "  ")
	if err != nil {
		return "", nil, fmt.Errorf("encoding metadata: %w", err)
	}
	return "application/samlmetadata+xml", document, nil
}

// maxMetadata is how many bytes the metadata of a provider may have. Those of AD FS have 80 KB.
const maxMetadata = 1 << 20

// fillFromMetadata reads the settings from the identity provider's metadata: its address or its text.
func fillFromMetadata(ctx context.Context, env connectors.Env, text string, _ map[string]any) (map[string]any, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(strings.TrimPrefix(text, "\ufeff"), "<") {
		fetched, err := fetchMetadata(ctx, env, text)
		if err != nil {
			return nil, err
		}
		text = fetched
	}
	entity, err := readMetadata(strings.TrimPrefix(text, "\ufeff"))
	if err != nil {
		return nil, err
	}
	return settingsOf(entity)
}

func fetchMetadata(ctx context.Context, env connectors.Env, address string) (string, error) {
	if address == "" || connectors.Address("", address, "") != nil {
		return "", errs.New(errs.Invalid, "This is neither metadata nor an https address. Paste the metadata from its first < on, or its address.")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("making request: %w", err)
	}
	res, err := probe.Client(env, "").Do(req)
	if err != nil {
		cause, remedy := probe.Explain(err)
		text := cause + " " + remedy
		return "", errs.Wrap(errs.Unavailable, err, text)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxMetadata+1))
	err = errors.Join(err, res.Body.Close())
	if err != nil || res.StatusCode != http.StatusOK {
		return "", errs.Wrap(errs.Unavailable, errors.Join(err, fmt.Errorf("status %s", res.Status)), "The address answered with %s instead of metadata. Check the address.", res.Status)
	}
	return string(raw), nil
}

// readMetadata returns the only identity provider of the metadata.
func readMetadata(text string) (*samllib.EntityDescriptor, error) {
	unreadable := func(err error) error {
		return errs.Wrap(errs.Invalid, err, "The text is not SAML metadata. Paste all of the provider’s metadata, or its address.")
	}
	if len(text) > maxMetadata || bytes.Contains(bytes.ToUpper([]byte(text)), []byte("<!DOCTYPE")) {
		return nil, unreadable(errors.New("it is too long or has a document type"))
	}
	var entities samllib.EntitiesDescriptor
	var entity samllib.EntityDescriptor
	if xml.Unmarshal([]byte(text), &entities) == nil {
		providers := slices.DeleteFunc(entities.EntityDescriptors, func(e samllib.EntityDescriptor) bool { return len(e.IDPSSODescriptors) == 0 })
		if len(providers) != 1 {
			return nil, errs.New(errs.Invalid, "The metadata describes %d identity providers, not one. Paste only the EntityDescriptor of yours.", len(providers))
		}
		return &providers[0], nil
	}
	if err := xml.Unmarshal([]byte(text), &entity); err != nil {
		return nil, unreadable(err)
	}
	if len(entity.IDPSSODescriptors) == 0 {
		return nil, errs.New(errs.Invalid, "The metadata describes no identity provider. Paste the provider’s metadata, not that of an application.")
	}
	return &entity, nil
}

// settingsOf returns the settings that metadata holds.
func settingsOf(entity *samllib.EntityDescriptor) (map[string]any, error) {
	idp := entity.IDPSSODescriptors[0]
	i := slices.IndexFunc(idp.SingleSignOnServices, func(e samllib.Endpoint) bool { return e.Binding == samllib.HTTPPostBinding })
	if i < 0 {
		return nil, errs.New(errs.Invalid, "The provider offers no sign-on address with the HTTP POST binding. Switch that binding on at the provider.")
	}
	var certificates strings.Builder
	for _, descriptor := range idp.KeyDescriptors {
		for _, c := range descriptor.KeyInfo.X509Data.X509Certificates {
			raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(c.Data), ""))
			if descriptor.Use == "encryption" || err != nil {
				continue
			}
			if text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})); !strings.Contains(certificates.String(), text) {
				certificates.WriteString(text)
			}
		}
	}
	if found, err := readCertificates(certificates.String()); err != nil || len(found) == 0 {
		return nil, errs.New(errs.Invalid, "The metadata holds no signing certificate that can be read. Paste the provider’s certificate into the form.")
	}
	return map[string]any{"ssoURL": idp.SingleSignOnServices[i].Location, "ssoIssuer": entity.EntityID, "certificates": certificates.String(), "nameIDFormat": offeredFormat(idp.NameIDFormats)}, nil
}

// offeredFormat returns the setting for the NameID formats that the provider offers; nil is the default.
func offeredFormat(formats []samllib.NameIDFormat) any {
	for _, f := range []samllib.NameIDFormat{samllib.PersistentNameIDFormat, samllib.EmailAddressNameIDFormat, samllib.UnspecifiedNameIDFormat} {
		if !slices.Contains(formats, f) {
			continue
		}
		if f == samllib.PersistentNameIDFormat {
			return nil
		}
		return string(f[strings.LastIndexByte(string(f), ':')+1:])
	}
	return nil
}
