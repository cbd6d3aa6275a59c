package authorize

import (
	"encoding/json"
	"slices"

	"github.com/fairlead-auth/fairlead/server/base/oauth"
)

// claimsRequest is the claims parameter (OpenID Connect Core section 5.5).
type claimsRequest struct {
	UserInfo map[string]*claimRequest `json:"userinfo"`
	IDToken  map[string]*claimRequest `json:"id_token"`
}

// claimRequest is what the client says about one claim. Values may be of any JSON type.
type claimRequest struct {
	Essential bool              `json:"essential"`
	Value     json.RawMessage   `json:"value"`
	Values    []json.RawMessage `json:"values"`
}

// text returns the requested value if it is a string.
func (c *claimRequest) text() string {
	var text string
	if json.Unmarshal(c.Value, &text) != nil {
		return ""
	}
	return text
}

// scopeOfClaim maps each claim to the scope that returns it.
func scopeOfClaim(claim string) string {
	switch claim {
	case "name", "preferred_username":
		return oauth.ScopeProfile
	case "email", "email_verified":
		return oauth.ScopeEmail
	case "groups":
		return oauth.ScopeGroups
	}
	return ""
}

// checkClaims reads the claims parameter. It maps each claim to its scope, so that the user consents to one list.
// It ignores unknown claims unless they are essential.
func checkClaims(p *request, params oauth.Params) error {
	text := params["claims"]
	if text == "" {
		return nil
	}
	malformed := oauth.Errorf(oauth.InvalidRequest, "The claims parameter is not valid JSON, or is longer than %d bytes. Send a valid, shorter one.", maxClaimsBytes)
	var asked claimsRequest
	if len(text) > maxClaimsBytes || json.Unmarshal([]byte(text), &asked) != nil {
		return malformed
	}
	req := p.flow.Request
	for _, claims := range []map[string]*claimRequest{asked.UserInfo, asked.IDToken} {
		for name := range claims {
			if scope := scopeOfClaim(name); scope != "" && !slices.Contains(req.Scopes, scope) {
				req.Scopes = append(req.Scopes, scope)
			}
		}
	}
	if acr := asked.IDToken["acr"]; acr != nil && acr.Essential {
		return oauth.Errorf(oauth.UnmetAuthenticationRequirements, "This server does not report acr values. Remove the essential acr claim.")
	}
	if sub := asked.IDToken["sub"]; sub != nil {
		req.HintedUserID = sub.text()
	}
	return nil
}
