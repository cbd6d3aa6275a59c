package authn_test

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// foreign is a second issuer that the verifier trusts, and its tokens.
type foreign struct {
	*bundle
	other *bundle
}

func withForeign(t *testing.T) *foreign {
	t.Helper()
	f := &foreign{bundle: setup(t), other: setup(t)}
	now := func() time.Time { return f.now }
	f.verifier.TrustedIssuers = map[string]*authn.Issuer{f.other.issuer.URL: {
		URL: f.other.issuer.URL, Audiences: []string{"kubernetes", "k8s"}, UID: "sub", Required: map[string]string{"tier": "gold"},
		Username: authn.Claim{Name: "email", Prefix: "ci:"}, Groups: authn.Claim{Name: "roles", Prefix: "ci:"},
		Keys: authn.NewKeySet(f.other.issuer.URL, http.DefaultClient, now, slog.New(slog.DiscardHandler)),
	}}
	return f
}

// token is a good one of the other issuer, with changes; a nil value removes a claim.
func (f *foreign) token(t *testing.T, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": f.other.issuer.URL, "aud": "kubernetes", "sub": "42", "email": "bot@example.test", "roles": []string{"deploy"}, "tier": "gold",
		"exp": f.now.Add(10 * time.Minute).Unix(), "iat": f.now.Unix(), "jti": "j", "preferred_username": "local:jane", "groups": []string{"admins"}, "sid": "sid_1", "device_id": "dev_1",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return sign(t, jose.ES256, f.other.ec, "e1", claims)
}

func TestAnotherIssuersToken(t *testing.T) {
	t.Parallel()
	f := withForeign(t)
	want := &authn.Identity{
		User: "ci:bot@example.test", UID: "42", Groups: []string{"ci:deploy"}, TokenID: "j", Issuer: f.other.issuer.URL, Issued: f.now.Local(), Expires: f.now.Add(10 * time.Minute).Local(),
		Extra: []authn.Extra{{Key: "authentication.kubernetes.io/credential-id", Value: "JTI=j"}},
	}
	for name, changes := range map[string]map[string]any{
		"as it is": nil, "a list of audiences": {"aud": []string{"elsewhere", "k8s"}}, "verified": {"email_verified": true}, "one group": {"roles": "deploy"},
	} {
		got, refusal := f.verifier.Verify(t.Context(), f.token(t, changes))
		if diff := cmp.Diff(want, got); refusal != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, refusal, diff)
		}
	}
	if got, refusal := f.verifier.Verify(t.Context(), f.token(t, map[string]any{"roles": nil, "jti": nil})); refusal != nil || len(got.Groups)+len(got.Extra) != 0 {
		t.Errorf("without groups: %v %+v", refusal, got)
	}
	if known := f.verifier.RecentUsers(); len(known) != 0 {
		t.Errorf("the sign-in server would be asked about %v", known)
	}
}

func TestAnotherIssuersTokenIsRefused(t *testing.T) {
	t.Parallel()
	f := withForeign(t)
	many := make([]string, authn.MaxGroups+1)
	for i := range many {
		many[i] = "g"
	}
	for want, list := range map[string][]map[string]any{
		"wrong_audience":      {{"aud": "k8s-a"}, {"aud": []string{}}, {"aud": nil}, {"aud": 5}},
		"token_expired":       {{"exp": f.now.Unix()}},
		"token_not_yet_valid": {{"nbf": f.now.Add(time.Hour).Unix()}},
		"invalid_claim":       {{"tier": "silver"}, {"tier": nil}, {"tier": []string{"gold"}}, {"email": nil}, {"email": 5}, {"sub": nil}, {"sub": ""}, {"roles": 5}, {"roles": []any{"a", 1}}, {"roles": map[string]any{"a": 1}}},
		"email_not_verified":  {{"email_verified": false}, {"email_verified": "true"}, {"email_verified": "yes"}},
		"invalid_name":        {{"email": ""}, {"email": "a\nb"}, {"email": "x "}, {"roles": []string{"a\nb"}}},
		"too_many_groups":     {{"roles": many}},
		"invalid_token":       {{"exp": nil}, {"exp": "tomorrow"}},
	} {
		for _, changes := range list {
			if got, refusal := f.verifier.Verify(t.Context(), f.token(t, changes)); refusal == nil || refusal.Code != want {
				t.Errorf("%v: %v %+v, want %s", changes, refusal, got, want)
			}
		}
	}
	// A prefix that is empty does not let anybody be the system.
	f.verifier.TrustedIssuers[f.other.issuer.URL].Username.Prefix, f.verifier.TrustedIssuers[f.other.issuer.URL].Groups.Prefix = "", ""
	for _, changes := range []map[string]any{{"email": "system:admin"}, {"roles": []string{"system:masters"}}, {"roles": "system:masters"}} {
		if _, refusal := f.verifier.Verify(t.Context(), f.token(t, changes)); refusal == nil || refusal.Code != "invalid_name" {
			t.Errorf("%v: %v", changes, refusal)
		}
	}
}

// TestIssuersDoNotVouchForEachOther: a token counts by the keys of whom it names.
func TestIssuersDoNotVouchForEachOther(t *testing.T) {
	t.Parallel()
	f := withForeign(t)
	mine := f.claims()
	for name, token := range map[string]string{
		"the other signs as the server":  sign(t, jose.ES256, f.other.ec, "e1", mine),
		"the server signs as the other":  sign(t, jose.ES256, f.ec, "e1", map[string]any{"iss": f.other.issuer.URL, "aud": "kubernetes", "email": "x@example.test", "tier": "gold", "sub": "1", "exp": f.now.Add(time.Hour).Unix()}),
		"somebody whom nobody knows":     sign(t, jose.ES256, f.other.ec, "e1", map[string]any{"iss": "https://nobody.test", "aud": "kubernetes", "exp": f.now.Add(time.Hour).Unix()}),
		"a key that was used otherwise":  sign(t, jose.RS512, f.other.rsa, "r1", map[string]any{"iss": f.other.issuer.URL, "aud": "kubernetes", "exp": f.now.Add(time.Hour).Unix()}),
		"two issuers by letters in case": sign(t, jose.ES256, f.other.ec, "e1", map[string]any{"iss": f.other.issuer.URL, "ISS": f.issuer.URL, "aud": "kubernetes", "exp": f.now.Add(time.Hour).Unix()}),
	} {
		if got, refusal := f.verifier.Verify(t.Context(), token); refusal == nil {
			t.Errorf("%s: taken as %+v", name, got)
		}
	}
}

// TestTokenReviewIsAskedForUnknownIssuers: the verifier asks the API server's TokenReview only about tokens of
// issuers that it does not know.
func TestTokenReviewIsAskedForUnknownIssuers(t *testing.T) {
	t.Parallel()
	f := withForeign(t)
	asked := 0
	f.verifier.ReviewToken = func(context.Context, string) (*authn.Identity, *status.Error) {
		asked++
		return &authn.Identity{User: "system:serviceaccount:a:b", ServiceAccount: true}, nil
	}
	late := f.claims()
	late["exp"] = f.now.Add(-time.Hour).Unix()
	for _, token := range []string{sign(t, jose.ES256, f.ec, "e1", late), sign(t, jose.ES256, f.other.ec, "e1", f.claims()), f.token(t, map[string]any{"aud": "x"}), "opaque", "a.b.c", ""} {
		if _, refusal := f.verifier.Verify(t.Context(), token); refusal == nil {
			t.Errorf("%.20s… was taken", token)
		}
	}
	if asked != 0 {
		t.Errorf("asked %d times about tokens that were refused", asked)
	}
	stranger := sign(t, jose.ES256, f.other.ec, "e1", map[string]any{"iss": "https://kubernetes.default.svc", "exp": f.now.Add(time.Hour).Unix()})
	if id, refusal := f.verifier.Verify(t.Context(), stranger); refusal != nil || !id.ServiceAccount || asked != 1 {
		t.Errorf("%v %+v, asked %d times", refusal, id, asked)
	}
}
