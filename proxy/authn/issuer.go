package authn

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// Issuer is a trusted token issuer besides the Fairlead server. Its tokens are mapped as an API server
// does with an AuthenticationConfiguration of apiserver.config.k8s.io/v1. The Fairlead server does not
// know its users.
type Issuer struct {
	URL       string
	Audiences []string
	Username  Claim
	// Groups is empty if the tokens have no groups.
	Groups Claim
	// UID is the claim with the user ID, or empty.
	UID string
	// Required maps claims to the strings that they must have.
	Required map[string]string
	Keys     *KeySet
}

// Claim is the claim with a name, and the prefix that is added to the name.
type Claim struct{ Name, Prefix string }

// algorithms returns the signature algorithms that an API server accepts.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512}
}

// rawClaims holds the claims of a token before they are decoded.
type rawClaims map[string]json.RawMessage

// stringValue returns a claim that is a string.
func (b rawClaims) stringValue(name string) (string, bool) {
	var text string
	raw, there := b[name]
	return text, there && json.Unmarshal(raw, &text) == nil && string(raw) != "null"
}

// stringList returns a claim that is a list of strings or one string.
func (b rawClaims) stringList(name string) ([]string, bool) {
	if one, ok := b.stringValue(name); ok {
		return []string{one}, true
	}
	var many []string
	return many, json.Unmarshal(b[name], &many) == nil
}

func (i *Issuer) verify(ctx context.Context, token string, now time.Time) (*Identity, *status.Error) {
	payload, refusal := i.Keys.verify(ctx, token, algorithms())
	if refusal != nil {
		return nil, refusal
	}
	var c claims
	var b rawClaims
	if json.Unmarshal(payload, &b) != nil || json.Unmarshal(payload, &c.validity) != nil {
		return nil, status.InvalidToken("its claims are not readable")
	}
	if iss, _ := b.stringValue("iss"); iss != i.URL {
		return nil, status.WrongIssuer()
	}
	if audiences, _ := b.stringList("aud"); !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(i.Audiences, a) }) {
		return nil, status.WrongAudience()
	}
	expires, refusal := c.checkTimes(now)
	if refusal != nil {
		return nil, refusal
	}
	for name, want := range i.Required {
		if got, ok := b.stringValue(name); !ok || got != want {
			return nil, status.InvalidClaim(fmt.Sprintf("the required claim %q is missing or has another value", name))
		}
	}
	id, refusal := i.identity(b)
	if refusal != nil {
		return nil, refusal
	}
	id.Expires = expires
	id.Issued, _ = parseNumericDate(c.IssuedAt)
	return id, nil
}

func (i *Issuer) identity(b rawClaims) (*Identity, *status.Error) {
	user, refusal := i.user(b)
	if refusal != nil {
		return nil, refusal
	}
	id := &Identity{User: user, Issuer: i.URL}
	if i.UID != "" {
		var ok bool
		if id.UID, ok = b.stringValue(i.UID); !ok || kubenames.Check(id.UID) != nil {
			return nil, status.InvalidClaim(fmt.Sprintf("the claim %q for the user ID is missing or not usable", i.UID))
		}
	}
	if id.Groups, refusal = i.groups(b); refusal != nil {
		return nil, refusal
	}
	if id.TokenID, _ = b.stringValue("jti"); id.TokenID != "" && kubenames.Check(id.TokenID) == nil {
		id.Extra = []Extra{{ExtraCredential, "JTI=" + id.TokenID}}
	}
	return id, nil
}

// user returns the user name. It refuses an e-mail address that the issuer has not verified.
func (i *Issuer) user(b rawClaims) (string, *status.Error) {
	user, ok := b.stringValue(i.Username.Name)
	if !ok {
		return "", status.InvalidClaim(fmt.Sprintf("the claim %q for the user name is missing or not a string", i.Username.Name))
	}
	if verified, there := b["email_verified"]; i.Username.Name == "email" && there && string(verified) != "true" {
		return "", status.EmailNotVerified()
	}
	name := i.Username.Prefix + user
	if user == "" {
		return "", status.InvalidName("its user name", kubenames.ErrEmpty)
	}
	if err := kubenames.Check(name); err != nil {
		return "", status.InvalidName("its user name", err)
	}
	return name, nil
}

func (i *Issuer) groups(b rawClaims) ([]string, *status.Error) {
	if _, there := b[i.Groups.Name]; !there || i.Groups.Name == "" {
		return nil, nil
	}
	said, ok := b.stringList(i.Groups.Name)
	if !ok {
		return nil, status.InvalidClaim(fmt.Sprintf("the claim %q is not a list of group names", i.Groups.Name))
	}
	var groups []string
	for _, g := range said {
		groups = append(groups, i.Groups.Prefix+g)
	}
	return groups, checkGroups(groups)
}
