package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/names"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/clients"
	"github.com/fairlead-auth/fairlead/server/oauth"
	"github.com/fairlead-auth/fairlead/server/store"
)

func (c *config) clientRows(set store.Settings) []store.Client {
	var rows []store.Client
	seen := ids{c: c, seen: map[string]bool{clients.Plugin: true}}
	for _, cluster := range set.Clusters {
		seen.seen[cluster.Audience] = true
	}
	for i, e := range c.Clients {
		path := fmt.Sprintf("clients[%d]", i)
		seen.check(path+".id", e.ID)
		row := store.Client{
			ID: e.ID, Name: orElse(e.Name, e.ID), Public: e.Public, PKCEOptional: e.PKCEOptional, RedirectURIs: e.RedirectURIs, PostLogoutURIs: e.PostLogout,
			Algorithm: e.Algorithm, FirstParty: e.FirstParty, LogoutURI: e.LogoutURI, GroupNames: e.Groups, Origin: c.origin(path),
		}
		row.Grants = c.grants(path, e.Grants)
		row.KeySet = c.keySet(path+".keys", &c.Clients[i].Keys)
		for j := range e.Secrets {
			at := fmt.Sprintf("%s.secrets[%d]", path, j)
			if !isReference(e.Secrets[j].Reveal()) {
				c.doc.Add(at, "a secret must not be in this file: name it with env:NAME or file:PATH")
			}
			c.resolve(at, &e.Secrets[j])
			row.SecretHashes = append(row.SecretHashes, secret.Hash(e.Secrets[j].Reveal()))
		}
		c.checkClient(path, &row)
		rows = append(rows, row)
	}
	return rows
}

func (c *config) checkClient(path string, row *store.Client) {
	c.checkAlgorithm(path+".algorithm", row.Algorithm)
	switch {
	case row.Public && (len(row.SecretHashes) > 0 || row.KeySet != ""):
		c.doc.Add(path+".secrets", "a public client has no secret or key: remove it, or public")
	case row.Public && row.PKCEOptional:
		c.doc.Add(path+".pkceOptional", "a public client always needs PKCE")
	case !row.Public && len(row.SecretHashes) == 0 && row.KeySet == "":
		c.doc.Add(path+".secrets", "is missing: a client that is not public needs a secret or keys")
	case row.Public && slices.Contains(row.Grants, oauth.GrantClientCredentials):
		c.doc.Add(path+".grants", "a public client can't act for itself: anybody could")
	}
	c.checkGroups(path, row.GroupNames)
	c.checkURIs(path, row)
}

func (c *config) checkGroups(path string, groups []string) {
	for i, group := range groups {
		if err := names.Check(group); err != nil {
			c.doc.Add(fmt.Sprintf("%s.groups[%d]", path, i), "%v", err)
		}
	}
}

func (c *config) checkURIs(path string, row *store.Client) {
	if len(row.RedirectURIs) == 0 && slices.Contains(row.Grants, oauth.GrantAuthorizationCode) {
		c.doc.Add(path+".redirectURIs", "is missing: where answers may go")
	}
	for key, uris := range map[string][]string{"redirectURIs": row.RedirectURIs, "postLogoutRedirectURIs": row.PostLogoutURIs} {
		for i, uri := range uris {
			if message := redirectFault(uri); message != "" {
				c.doc.Add(fmt.Sprintf("%s.%s[%d]", path, key, i), "%s", message)
			}
		}
	}
	if row.LogoutURI == "" {
		return
	}
	if u, err := url.Parse(row.LogoutURI); err != nil || redirectFault(row.LogoutURI) != "" || u.Scheme != "https" && u.Scheme != "http" {
		c.doc.Add(path+".backchannelLogoutURI", "want https, or http on loopback")
	}
}

// grants returns the names of grants as the protocol has them. Two of those are
// long; the file may say them short.
func (c *config) grants(path string, given []string) store.Strings {
	if len(given) == 0 {
		return store.Strings{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	}
	known := map[string]string{
		"authorization_code": oauth.GrantAuthorizationCode, "refresh_token": oauth.GrantRefreshToken,
		"client_credentials": oauth.GrantClientCredentials, "device_code": oauth.GrantDeviceCode, "token_exchange": oauth.GrantTokenExchange,
	}
	var list store.Strings
	for i, grant := range given {
		if known[grant] == "" {
			c.doc.Add(fmt.Sprintf("%s.grants[%d]", path, i), "want one of %s, got %q", strings.Join(sortedKeys(known), ", "), grant)
		}
		list = append(list, known[grant])
	}
	return list
}

// keySet resolves a reference to a JWKS and returns it with its public keys.
func (c *config) keySet(path string, ref *reference) string {
	if ref.Empty() {
		return ""
	}
	c.resolve(path, ref)
	if ref.Empty() {
		return "" // that is a fault already
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(ref.Reveal()), &set); err != nil || len(set.Keys) == 0 {
		c.doc.Add(path, "is no JSON Web Key Set such as {\"keys\": [...]}")
		return ""
	}
	for i := range set.Keys {
		if !set.Keys[i].IsPublic() || !set.Keys[i].Valid() {
			c.doc.Add(path, "key %d is not a valid public key: leave private and secret keys where they are", i)
			return ""
		}
	}
	return ref.Reveal()
}

func redirectFault(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "" || u.Fragment != "" || u.User != nil || strings.ContainsAny(uri, " *\\"):
		return fmt.Sprintf("want a full address without fragment or wildcard, got %q", uri)
	case u.Scheme == "https" && u.Host != "":
		return ""
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return ""
	case strings.Contains(u.Scheme, "."):
		return "" // a private-use scheme (RFC 8252 section 7.1)
	}
	return "want https, http on loopback, or a private-use scheme with a dot in it"
}

func (c *config) issuerRows() []store.TrustedIssuer {
	var rows []store.TrustedIssuer
	seen, urls := ids{c: c}, map[string]bool{}
	for i := range c.TrustedIssuers {
		e := &c.TrustedIssuers[i]
		path := fmt.Sprintf("trustedIssuers[%d]", i)
		seen.check(path+".id", e.ID)
		u, err := url.Parse(e.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
			c.doc.Add(path+".url", "want the https address that its tokens name as iss, got %q", e.URL)
		}
		if urls[e.URL] || e.URL == c.URL {
			c.doc.Add(path+".url", "%q is there twice, or is this server itself", e.URL)
		}
		urls[e.URL] = true
		if e.Audience == "" {
			c.doc.Add(path+".audience", "is missing: tokens that were made for others must not be good here; %s is a good choice", c.URL)
		}
		c.resolve(path+".ca", &e.CA)
		c.checkPEM(path+".ca", e.CA)
		rows = append(rows, store.TrustedIssuer{
			ID: e.ID, URL: e.URL, Audience: e.Audience, KeySet: c.keySet(path+".keys", &e.Keys), CA: e.CA.Reveal(), Origin: c.origin(path),
		})
	}
	return rows
}

func (c *config) machineRows() []store.MachineRule {
	var rows []store.MachineRule
	seen := ids{c: c}
	for i, e := range c.Machines {
		path := fmt.Sprintf("machines[%d]", i)
		seen.check(path+".id", e.ID)
		if !slices.ContainsFunc(c.TrustedIssuers, func(row issuerEntry) bool { return row.ID == e.Issuer }) {
			c.doc.Add(path+".issuer", "there is no trusted issuer %q", e.Issuer)
		}
		if len(e.Claims) == 0 {
			c.doc.Add(path+".claims", "is missing: without claims everybody on that platform would be this machine")
		}
		for name, values := range e.Claims {
			if len(values) == 0 || slices.Contains(values, "") || slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "*") }) {
				c.doc.Add(path+".claims."+name, "want a list of exact values; there are no wildcards")
			}
		}
		c.checkGroups(path, e.Groups)
		rows = append(rows, store.MachineRule{
			ID: e.ID, Position: i, Description: orElse(e.Description, e.ID), IssuerID: e.Issuer, Claims: e.Claims, GroupNames: e.Groups,
			Origin: c.origin(path),
		})
	}
	return rows
}
