package settings

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fairlead-auth/fairlead/internal/jwks"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/server/base/oauth"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/clients"
)

func (r *Reader) clientRows(set store.Settings) []store.Client {
	var rows []store.Client
	seen := ids{r: r, seen: map[string]bool{clients.PluginID: true}}
	for _, cluster := range set.Clusters {
		seen.seen[cluster.Audience] = true
	}
	for i, e := range r.in.Clients {
		path := fmt.Sprintf("clients[%d]", i)
		seen.check(path+".id", e.ID)
		row := store.Client{
			ID: e.ID, Name: orElse(e.Name, e.ID), Public: e.Public, PKCEOptional: e.PKCEOptional, RedirectURIs: e.RedirectURIs, PostLogoutURIs: e.PostLogout,
			Algorithm: e.Algorithm, FirstParty: e.FirstParty, LogoutURI: e.LogoutURI, GroupNames: e.Groups, Origin: r.Origin(path),
		}
		row.Grants = r.grants(path, e.Grants)
		row.KeySet = r.keySet(path+".keys", e.Keys)
		row.SecretHashes = append(row.SecretHashes, e.SecretHashes...)
		row.SecretNotes = r.secretNotes(path, e.SecretNotes)
		for j := range e.Secrets {
			at := fmt.Sprintf("%s.secrets[%d]", path, j)
			r.refuseInClear(at, e.Secrets[j].Reveal())
			row.SecretHashes = append(row.SecretHashes, secret.Hash(r.resolve(at, e.Secrets[j].Reveal())))
		}
		r.checkClient(path, &row)
		rows = append(rows, row)
	}
	return rows
}

// maxLabel is the largest length of a secret's label, in characters.
const maxLabel = 60

func (r *Reader) secretNotes(path string, given []SecretNote) store.SecretNotes {
	var notes store.SecretNotes
	for i, n := range given {
		at := fmt.Sprintf("%s.secretNotes[%d]", path, i)
		if n.Hash == "" {
			r.Doc.Add(at+".hash", "is required: enter the first characters of the hash of the secret")
		}
		if utf8.RuneCountInString(n.Label) > maxLabel || strings.ContainsFunc(n.Label, unicode.IsControl) {
			r.Doc.Add(at+".label", "must have at most %d characters in one line", maxLabel)
		}
		for key, date := range map[string]string{"made": n.Made, "ends": n.Ends} {
			if _, err := time.Parse(time.DateOnly, date); date != "" && err != nil {
				r.Doc.Add(at+"."+key, "must be a date such as 2027-05-31, not %q", date)
			}
		}
		notes = append(notes, store.SecretNote(n))
	}
	return notes
}

func (r *Reader) checkClient(path string, row *store.Client) {
	r.checkAlgorithm(path+".algorithm", row.Algorithm)
	switch {
	case row.Public && (len(row.SecretHashes) > 0 || row.KeySet != ""):
		r.Doc.Add(path+".secrets", "must be empty for a public client. Remove the secrets and keys, or make the client confidential")
	case row.Public && row.PKCEOptional:
		r.Doc.Add(path+".pkceOptional", "must be off for a public client: it always needs PKCE")
	case !row.Public && len(row.SecretHashes) == 0 && row.KeySet == "":
		r.Doc.Add(path+".secrets", "are required: a confidential client needs a secret or public keys")
	case row.Public && slices.Contains(row.Grants, oauth.GrantClientCredentials):
		r.Doc.Add(path+".grants", "must not include client_credentials for a public client: it has no secret to prove its identity with")
	}
	r.checkGroups(path, row.GroupNames)
	r.checkURIs(path, row)
}

func (r *Reader) checkGroups(path string, groups []string) {
	for i, group := range groups {
		if err := kubenames.Check(group); err != nil {
			r.Doc.Add(fmt.Sprintf("%s.groups[%d]", path, i), "%v", err)
		}
	}
}

func (r *Reader) checkURIs(path string, row *store.Client) {
	if len(row.RedirectURIs) == 0 && slices.Contains(row.Grants, oauth.GrantAuthorizationCode) {
		r.Doc.Add(path+".redirectURIs", "are required: enter the addresses that Fairlead may send the browser back to")
	}
	for key, uris := range map[string][]string{"redirectURIs": row.RedirectURIs, "postLogoutRedirectURIs": row.PostLogoutURIs} {
		for i, uri := range uris {
			if message := redirectFault(uri); message != "" {
				r.Doc.Add(fmt.Sprintf("%s.%s[%d]", path, key, i), "%s", message)
			}
		}
	}
	if row.LogoutURI == "" {
		return
	}
	if u, err := url.Parse(row.LogoutURI); err != nil || redirectFault(row.LogoutURI) != "" || u.Scheme != "https" && u.Scheme != "http" {
		r.Doc.Add(path+".backchannelLogoutURI", "must be an https URL, or http on a loopback address")
	}
}

// grants returns the grant types of the protocol. The configuration may use short names for two of them.
func (r *Reader) grants(path string, given []string) store.Strings {
	if len(given) == 0 {
		return store.Strings{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}
	}
	known := grantWords()
	var list store.Strings
	for i, grant := range given {
		if known[grant] == "" {
			r.Doc.Add(fmt.Sprintf("%s.grants[%d]", path, i), "must be one of %s, not %q", strings.Join(sortedKeys(known), ", "), grant)
		}
		list = append(list, known[grant])
	}
	return list
}

// keySet resolves a reference to a JWKS and returns it with its public keys.
func (r *Reader) keySet(path, text string) string {
	if text == "" {
		return ""
	}
	if text = r.resolve(path, text); text == "" {
		return "" // the reference has reported the fault already
	}
	secret, err := jwks.HasSecret([]byte(text))
	switch _, _, unusable := jwks.Parse([]byte(text)); {
	case err != nil:
		r.Doc.Add(path, "must be a JSON Web Key Set such as {\"keys\": [...]}")
		return ""
	case secret:
		r.Doc.Add(path, "must hold public keys only: a key is private or secret. Replace that key, because it has been copied")
		return ""
	case unusable != nil:
		r.Doc.Add(path, "must hold at least one public key for signatures (RSA, EC or Ed25519)")
		return ""
	}
	return text
}

func redirectFault(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "" || u.Fragment != "" || u.User != nil || strings.ContainsAny(uri, " *\\"):
		return fmt.Sprintf("must be a full URL without fragment or wildcard, not %q", uri)
	case u.Scheme == "https" && u.Host != "":
		return ""
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return ""
	case strings.Contains(u.Scheme, "."):
		return "" // a private-use scheme (RFC 8252 section 7.1)
	}
	return "must be an https URL, http on a loopback address, or a private-use scheme with a dot in it"
}
