// Package discovery serves the provider metadata (OpenID Connect Discovery, RFC
// 8414) and the JSON Web Key Set. Both come from memory, so they stay available
// while the database is down.
package discovery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-jose/go-jose/v4"
	"github.com/labstack/echo/v4"

	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/oidc/authresponse"
	"github.com/fairlead-auth/fairlead/server/oidc/clientauth"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

// KeysPath is the path of the key set, below the issuer.
const KeysPath = "/keys"

// OAuthMetadataPath is the path of the same document for OAuth 2.0 clients (RFC 8414 section 3).
const OAuthMetadataPath = "/.well-known/oauth-authorization-server"

// Endpoints are the URLs of the endpoints. The metadata leaves out empty ones.
type Endpoints struct {
	Authorization, Token, UserInfo, Revocation, Introspection, DeviceAuthorization, EndSession string
}

// Config is the content of the documents.
type Config struct {
	// Issuer is the issuer identifier.
	Issuer string
	// Endpoints are the URLs of the mounted endpoints.
	Endpoints Endpoints
	// Grants are the supported grant types.
	Grants []string
	// Keys returns the key set.
	Keys *keys.Manager
}

// Handler serves both documents.
type Handler struct {
	keys     *keys.Manager
	metadata []byte
	etag     string
}

// metadata is the document of OpenID Connect Discovery section 3 and RFC 8414 section 2.
type metadata struct {
	Issuer                string   `json:"issuer"`
	Authorization         string   `json:"authorization_endpoint"`
	Token                 string   `json:"token_endpoint"`
	UserInfo              string   `json:"userinfo_endpoint,omitempty"`
	Revocation            string   `json:"revocation_endpoint,omitempty"`
	Introspection         string   `json:"introspection_endpoint,omitempty"`
	DeviceAuthorization   string   `json:"device_authorization_endpoint,omitempty"`
	EndSession            string   `json:"end_session_endpoint,omitempty"`
	JWKS                  string   `json:"jwks_uri"`
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	Algorithms            []string `json:"id_token_signing_alg_values_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgorithms   []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	Claims                []string `json:"claims_supported"`
	PKCE                  []string `json:"code_challenge_methods_supported"`
	Prompts               []string `json:"prompt_values_supported"`
	IssInResponse         bool     `json:"authorization_response_iss_parameter_supported"`
	ClaimsParameter       bool     `json:"claims_parameter_supported"`
	RequestParameter      bool     `json:"request_parameter_supported"`
	RequestURIParameter   bool     `json:"request_uri_parameter_supported"`
	RequireRequestURIRegs bool     `json:"require_request_uri_registration"`
	BackChannelLogout     bool     `json:"backchannel_logout_supported"`
	BackChannelSession    bool     `json:"backchannel_logout_session_supported"`
	Locales               []string `json:"ui_locales_supported"`
}

// New builds the metadata once.
func New(cfg Config) (*Handler, error) {
	body, err := json.Marshal(metadata{
		Issuer: cfg.Issuer, Authorization: cfg.Endpoints.Authorization, Token: cfg.Endpoints.Token,
		UserInfo: cfg.Endpoints.UserInfo, Revocation: cfg.Endpoints.Revocation, EndSession: cfg.Endpoints.EndSession,
		Introspection: cfg.Endpoints.Introspection, DeviceAuthorization: cfg.Endpoints.DeviceAuthorization, JWKS: cfg.Issuer + KeysPath,
		Scopes: oauth.Scopes(), ResponseTypes: []string{"code"}, ResponseModes: authresponse.Modes(),
		GrantTypes: cfg.Grants, SubjectTypes: []string{"public"}, Algorithms: algorithmNames(keys.Algorithms()),
		TokenAuth: clientauth.Methods(true), TokenAuthAlgorithms: algorithmNames(clientauth.Algorithms()),
		RevocationAuth: clientauth.Methods(true), IntrospectionAuth: clientauth.Methods(false),
		Claims: []string{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "jti", "azp", "nonce", "amr", "sid", "device_id",
			"name", "preferred_username", "email", "email_verified", "groups",
		},
		PKCE: []string{"S256"}, Prompts: []string{"none", "login", "consent", "select_account"}, IssInResponse: true,
		ClaimsParameter: true, BackChannelLogout: true, BackChannelSession: true, Locales: []string{"en"},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding metadata: %w", err)
	}
	return &Handler{keys: cfg.Keys, metadata: body, etag: `"` + secret.Hash(string(body))[:16] + `"`}, nil
}

func algorithmNames(algorithms []jose.SignatureAlgorithm) []string {
	list := make([]string, len(algorithms))
	for i, alg := range algorithms {
		list[i] = string(alg)
	}
	return list
}

// Mount adds the routes.
func (h *Handler) Mount(g *echo.Group) {
	g.GET("/.well-known/openid-configuration", h.configuration)
	g.HEAD("/.well-known/openid-configuration", h.configuration)
	g.GET(OAuthMetadataPath, h.configuration)
	g.HEAD(OAuthMetadataPath, h.configuration)
	g.GET(KeysPath, h.keySet)
	g.HEAD(KeysPath, h.keySet)
}

func (h *Handler) configuration(c echo.Context) error {
	return h.writeCacheable(c, h.metadata, h.etag)
}

func (h *Handler) keySet(c echo.Context) error {
	body, etag := h.keys.KeySet()
	if !h.keys.Ready() {
		oauth.FromError(keys.ErrNotReady).Write(c.Response())
		return nil
	}
	return h.writeCacheable(c, body, etag)
}

func (h *Handler) writeCacheable(c echo.Context, body []byte, etag string) error {
	header := c.Response().Header()
	header.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(h.keys.CacheAge().Seconds())))
	header.Set("ETag", etag)
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if c.Request().Header.Get("If-None-Match") == etag {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, "application/json", body)
}
