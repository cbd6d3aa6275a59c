package saml

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/beevik/etree"
	samllib "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/fairlead-auth/fairlead/connectors"
)

// connector signs users in with the HTTP POST binding.
type connector struct {
	settings *Config
	sp       samllib.ServiceProvider
	env      connectors.Env
}

var (
	_ connectors.Poster    = (*connector)(nil)
	_ connectors.Refresher = (*connector)(nil)
)

// serviceProvider returns the library's settings. It leaves out what belongs to one
// response: the clock and the memory of used assertions.
func (c *Config) serviceProvider(env connectors.Env) (samllib.ServiceProvider, error) {
	certificates, err := readCertificates(c.Certificates)
	if err != nil {
		return samllib.ServiceProvider{}, fmt.Errorf("reading certificates: %w", err)
	}
	acs, err := url.Parse(env.CallbackURL)
	if err != nil {
		return samllib.ServiceProvider{}, fmt.Errorf("reading callback address: %w", err)
	}
	var signing []samllib.KeyDescriptor
	for _, certificate := range certificates {
		data := samllib.X509Data{X509Certificates: []samllib.X509Certificate{{Data: base64.StdEncoding.EncodeToString(certificate.Raw)}}}
		signing = append(signing, samllib.KeyDescriptor{Use: "signing", KeyInfo: samllib.KeyInfo{X509Data: data}})
	}
	var idp samllib.IDPSSODescriptor
	idp.KeyDescriptors = signing
	sp := samllib.ServiceProvider{
		EntityID: c.entityID(env), AcsURL: *acs, IDPMetadata: &samllib.EntityDescriptor{EntityID: c.SSOIssuer, IDPSSODescriptors: []samllib.IDPSSODescriptor{idp}},
		AuthnNameIDFormat: c.nameIDFormat(), RejectSHA1Signatures: !c.AllowSHA1, RejectUnknownConditions: true,
		MetadataOmitValidUntil: true, AssertionConsumerServiceBindings: []string{samllib.HTTPPostBinding},
	}
	pair, err := readKeyPair(c.KeyPair)
	if err != nil {
		return samllib.ServiceProvider{}, fmt.Errorf("reading key pair: %w", err)
	}
	if pair != nil {
		sp.EncryptionKey, sp.EncryptionCertificate, sp.DecryptionKeys = pair.keys[0], pair.certificate, pair.keys[1:]
	}
	return sp, nil
}

// nameIDFormat is the format that the request asks for.
func (c *Config) nameIDFormat() samllib.NameIDFormat {
	switch c.NameIDFormat {
	case "emailAddress", "X509SubjectName":
		return samllib.NameIDFormat("urn:oasis:names:tc:SAML:1.1:nameid-format:" + c.NameIDFormat)
	case "unspecified":
		return samllib.UnspecifiedNameIDFormat
	}
	if c.NameIDFormat == "" && c.IDAttr != "" {
		return samllib.UnspecifiedNameIDFormat
	}
	return samllib.PersistentNameIDFormat
}

// AuthForm implements connectors.Poster. It keeps the id of the request, which the
// response must name.
func (c *connector) AuthForm(context.Context) (connectors.PostForm, error) {
	sp := c.sp
	sp.Clock = dsig.NewFakeClockAt(c.env.Now())
	request, err := sp.MakeAuthenticationRequest(c.settings.SSOURL, samllib.HTTPPostBinding, samllib.HTTPPostBinding)
	if err != nil {
		return connectors.PostForm{}, fmt.Errorf("making request: %w", err)
	}
	doc := etree.NewDocument()
	doc.SetRoot(request.Element())
	raw, err := doc.WriteToBytes()
	if err != nil {
		return connectors.PostForm{}, fmt.Errorf("encoding request: %w", err)
	}
	return connectors.PostForm{Action: c.settings.SSOURL, Fields: map[string]string{"SAMLRequest": base64.StdEncoding.EncodeToString(raw)}, Kept: []byte(request.ID)}, nil
}

// maxResponse is how many bytes of XML a response may have.
const maxResponse = 256 << 10

// Answer implements connectors.Poster.
func (c *connector) Answer(ctx context.Context, kept []byte, posted url.Values) (connectors.Identity, error) {
	raw, err := decodeResponse(posted.Get("SAMLResponse"))
	if err != nil {
		return connectors.Identity{}, refused(err, "The provider's response is not readable.", "Sign in again. If it happens to everyone, compare the provider's settings with the connector's.")
	}
	sp := c.sp
	sp.Clock = dsig.NewFakeClockAt(c.env.Now())
	memory := &usedOnce{ctx: ctx, once: c.env.Once}
	sp.ReplayCache = memory
	assertion, err := sp.ParseXMLResponse(raw, []string{string(kept)}, sp.AcsURL)
	if memory.err != nil {
		return connectors.Identity{}, memory.err
	}
	if err != nil {
		return connectors.Identity{}, c.classify(raw, err)
	}
	connectors.Report(ctx, reported(assertion))
	return c.settings.identity(assertion)
}

// decodeResponse decodes base64 and refuses what no provider sends: a document type,
// which could declare entities, and very long documents.
func decodeResponse(text string) ([]byte, error) {
	if base64.StdEncoding.DecodedLen(len(text)) > maxResponse {
		return nil, fmt.Errorf("it has more than %d bytes", maxResponse)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("decoding base64: %w", err)
	}
	if bytes.Contains(bytes.ToUpper(raw), []byte("<!DOCTYPE")) {
		return nil, errors.New("it has a document type declaration")
	}
	return raw, nil
}

// Refresh implements connectors.Refresher: SAML has no way to ask about a user again.
func (c *connector) Refresh(context.Context, connectors.Identity) (connectors.Identity, error) {
	return connectors.Identity{}, connectors.Unconfirmed()
}

// usedOnce lets the library use each assertion once, on all replicas.
type usedOnce struct {
	ctx  context.Context //nolint:containedctx // it lives for one call; the library's interface has no context
	once func(ctx context.Context, key string, until time.Time) (bool, error)
	// err is set if the memory could not be asked, which is no fault of the response.
	err error
}

// Consume implements samllib.AssertionReplayCache.
func (u *usedOnce) Consume(assertion string, until time.Time) error {
	if u.once == nil {
		return nil
	}
	first, err := u.once(u.ctx, "assertion "+assertion, until)
	if err != nil {
		u.err = fmt.Errorf("remembering the assertion: %w", err)
		return u.err
	}
	if !first {
		return samllib.ErrAssertionReplayed
	}
	return nil
}
