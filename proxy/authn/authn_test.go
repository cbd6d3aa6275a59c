package authn_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/status"
	"github.com/fairlead-auth/fairlead/test/harness/jws"
)

// issuer is a provider's two documents, with a counter.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetches int
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.fetches++
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: i.keys})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) add(id string, alg jose.SignatureAlgorithm, public any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, jose.JSONWebKey{Key: public, KeyID: id, Algorithm: string(alg), Use: "sig"})
}

type bundle struct {
	issuer   *issuer
	verifier *authn.Verifier
	now      time.Time
	rsa      *rsa.PrivateKey
	ec       *ecdsa.PrivateKey
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{issuer: newIssuer(t), now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	var err error
	if b.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if b.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	b.issuer.add("r1", jose.RS256, b.rsa.Public())
	b.issuer.add("e1", jose.ES256, b.ec.Public())
	now := func() time.Time { return b.now }
	b.verifier = &authn.Verifier{
		Issuer: b.issuer.URL, Audience: "k8s-a", Now: now,
		Keys: authn.NewKeySet(b.issuer.URL, http.DefaultClient, now, slog.New(slog.DiscardHandler)),
	}
	return b
}

func (b *bundle) claims() map[string]any {
	return map[string]any{
		"iss": b.issuer.URL, "aud": "k8s-a", "sub": "usr_1", "preferred_username": "corp:jane", "groups": []string{"corp:dev"},
		"exp": b.now.Add(10 * time.Minute).Unix(), "iat": b.now.Unix(), "jti": "jti_1", "sid": "sid_1", "device_id": "dev_1",
	}
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	return jws.Sign(t, alg, key, kid, claims)
}

func TestGoodTokens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := &authn.Identity{
		User: "corp:jane", UID: "usr_1", Groups: []string{"corp:dev"}, TokenID: "jti_1", SignIn: "sid_1", Device: "dev_1", Issued: b.now.Local(), Expires: b.now.Add(10 * time.Minute).Local(),
		Extra: []authn.Extra{{"fairlead.dev/sid", "sid_1"}, {"fairlead.dev/device", "dev_1"}, {"authentication.kubernetes.io/credential-id", "JTI=jti_1"}},
	}
	list := b.claims()
	list["aud"] = []string{"k8s-a"}
	for name, token := range map[string]string{
		"RS256":       sign(t, jose.RS256, b.rsa, "r1", b.claims()),
		"ES256":       sign(t, jose.ES256, b.ec, "e1", b.claims()),
		"list of one": sign(t, jose.ES256, b.ec, "e1", list),
	} {
		for range 2 { // the second from the cache
			got, refusal := b.verifier.Verify(t.Context(), token)
			if refusal != nil {
				t.Fatalf("%s: %v", name, refusal)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(b.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	with := func(key string, value any) string {
		c := b.claims()
		if value == nil {
			delete(c, key)
		} else {
			c[key] = value
		}
		return sign(t, jose.RS256, b.rsa, "r1", c)
	}
	good := with("x", 1)
	parts := strings.Split(good, ".")
	many := make([]string, authn.MaxGroups+1)
	for i := range many {
		many[i] = "corp:g"
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"r1"}`))
	// It is known: what only begins like it must not pass for it.
	if _, refusal := b.verifier.Verify(t.Context(), good); refusal != nil {
		t.Fatal(refusal)
	}
	for name, c := range map[string]struct{ token, want string }{
		"empty":                    {"", "invalid_token"},
		"garbage":                  {"x", "invalid_token"},
		"alg none":                 {none + "." + parts[1] + ".", "invalid_token"},
		"HMAC with the public key": {sign(t, jose.HS256, der, "r1", b.claims()), "invalid_token"},
		"other key":                {sign(t, jose.RS256, other, "r1", b.claims()), "invalid_token"},
		"unknown key":              {sign(t, jose.RS256, other, "r9", b.claims()), "invalid_token"},
		"algorithm of another key": {sign(t, jose.RS256, b.rsa, "e1", b.claims()), "invalid_token"},
		"no key id":                {sign(t, jose.RS256, b.rsa, "", b.claims()), "invalid_token"},
		"signature cut":            {good[:len(good)-10], "invalid_token"},
		"trailing dot":             {good + ".", "invalid_token"},
		"padding":                  {good + "=", "invalid_token"},
		"too long":                 {good + strings.Repeat("a", authn.MaxTokenBytes), "invalid_token"},
		"another payload":          {parts[0] + "." + strings.Split(with("x", 2), ".")[1] + "." + parts[2], "invalid_token"},
		"another signature":        {parts[0] + "." + parts[1] + "." + strings.Split(with("x", 2), ".")[2], "invalid_token"},
		"ten thousand dots":        {strings.Repeat(".", 10_000), "invalid_token"},
		"encrypted, a bomb":        {encrypted(t, b), "invalid_token"},
		"other issuer":             {with("iss", "https://evil.test"), "wrong_issuer"},
		"issuer with slash":        {with("iss", b.issuer.URL+"/"), "wrong_issuer"},
		"other audience":           {with("aud", "k8s-b"), "wrong_audience"},
		"two audiences":            {with("aud", []string{"k8s-a", "k8s-b"}), "wrong_audience"},
		"no audience":              {with("aud", nil), "wrong_audience"},
		"empty audience":           {with("aud", []string{}), "wrong_audience"},
		"audience in other case":   {with("aud", "K8S-A"), "wrong_audience"},
		"expired":                  {with("exp", b.now.Unix()), "token_expired"},
		"no expiry":                {with("exp", nil), "invalid_token"},
		"expiry is text":           {with("exp", "soon"), "invalid_token"},
		"far future":               {with("exp", 1e300), "invalid_token"},
		"not yet valid":            {with("nbf", b.now.Add(time.Minute).Unix()), "token_not_yet_valid"},
		"reserved user":            {with("preferred_username", "system:admin"), "invalid_name"},
		"service account":          {with("preferred_username", "system:serviceaccount:kube-system:x"), "invalid_name"},
		"reserved in other case":   {with("preferred_username", "System:admin"), "invalid_name"},
		"no user":                  {with("preferred_username", nil), "invalid_name"},
		"empty user":               {with("preferred_username", ""), "invalid_name"},
		"blank edge":               {with("preferred_username", " admin"), "invalid_name"},
		"tab":                      {with("preferred_username", "admin\t"), "invalid_name"},
		"line break":               {with("preferred_username", "a\r\nImpersonate-Group: system:masters"), "invalid_name"},
		"null":                     {with("preferred_username", "a\x00b"), "invalid_name"},
		"reserved group":           {with("groups", []string{"corp:dev", "system:masters"}), "invalid_name"},
		"empty group":              {with("groups", []string{""}), "invalid_name"},
		"too many groups":          {with("groups", many), "too_many_groups"},
		"groups are text":          {with("groups", "system:masters"), "invalid_token"},
		"no subject":               {with("sub", nil), "invalid_name"},
	} {
		for range 2 { // a refusal must not be remembered as an answer
			id, refusal := b.verifier.Verify(t.Context(), c.token)
			if refusal == nil || refusal.Code != c.want {
				t.Errorf("%s: identity %+v, refusal %v, want %s", name, id, refusal, c.want)
			}
		}
	}
}

func TestTheCacheEndsWithTheToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token := sign(t, jose.RS256, b.rsa, "r1", b.claims())
	if _, refusal := b.verifier.Verify(t.Context(), token); refusal != nil {
		t.Fatal(refusal)
	}
	b.now = b.now.Add(10 * time.Minute)
	if _, refusal := b.verifier.Verify(t.Context(), token); refusal == nil || refusal.Code != "token_expired" {
		t.Errorf("refusal %v, want expired", refusal)
	}
}

func TestKeyRotationAndOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, refusal := b.verifier.Verify(t.Context(), sign(t, jose.RS256, b.rsa, "r1", b.claims())); refusal != nil {
		t.Fatal(refusal)
	}
	fresh, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b.issuer.add("r2", jose.RS256, fresh.Public())
	b.now = b.now.Add(time.Minute)
	if _, refusal := b.verifier.Verify(t.Context(), sign(t, jose.RS256, fresh, "r2", b.claims())); refusal != nil {
		t.Errorf("new key: %v", refusal)
	}
	b.issuer.Close()
	b.now = b.now.Add(time.Minute)
	if _, refusal := b.verifier.Verify(t.Context(), sign(t, jose.RS256, fresh, "r2", b.claims())); refusal != nil {
		t.Errorf("issuer away: %v", refusal)
	}
}

// TestEverybodyWaitsForTheNewKey sends many tokens that are signed with a new key, as after an emergency rotation.
// The verifier asks the issuer once, and refuses none of the tokens meanwhile.
func TestEverybodyWaitsForTheNewKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, refusal := b.verifier.Verify(t.Context(), sign(t, jose.RS256, b.rsa, "r1", b.claims())); refusal != nil {
		t.Fatal(refusal)
	}
	fresh, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b.issuer.add("r2", jose.RS256, fresh.Public())
	before := b.issuer.fetches
	b.now = b.now.Add(time.Minute)
	b.issuer.mu.Lock() // The issuer takes its time.
	refusals := make(chan *status.Error, 40)
	for i := range cap(refusals) {
		claims := b.claims()
		claims["jti"] = strconv.Itoa(i)
		token := sign(t, jose.RS256, fresh, "r2", claims)
		go func() {
			_, refusal := b.verifier.Verify(t.Context(), token)
			refusals <- refusal
		}()
	}
	select {
	case refusal := <-refusals:
		t.Errorf("answered before the issuer did: %v", refusal)
		refusals <- refusal
	case <-time.After(100 * time.Millisecond):
	}
	b.issuer.mu.Unlock()
	for range cap(refusals) {
		if refusal := <-refusals; refusal != nil {
			t.Errorf("refused: %v", refusal)
		}
	}
	if got := b.issuer.fetches - before; got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

func TestMadeUpTokensCauseOneFetch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if _, refusal := b.verifier.Verify(t.Context(), sign(t, jose.RS256, b.rsa, "r1", b.claims())); refusal != nil {
		t.Fatal(refusal)
	}
	before := b.issuer.fetches
	b.now = b.now.Add(time.Minute)
	bad := sign(t, jose.RS256, other, "made-up", b.claims())
	for range 40 {
		if _, refusal := b.verifier.Verify(t.Context(), bad); refusal == nil {
			t.Fatal("accepted")
		}
	}
	if got := b.issuer.fetches - before; got > 1 {
		t.Errorf("%d fetches, at most 1", got)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	protocol := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte("tok"))
	for name, c := range map[string]struct {
		header http.Header
		want   string
	}{
		"bearer":              {http.Header{"Authorization": {"Bearer tok"}}, "tok"},
		"lower case":          {http.Header{"Authorization": {"bearer  tok "}}, "tok"},
		"protocol":            {http.Header{"Sec-Websocket-Protocol": {"v5.channel.k8s.io, " + protocol}}, "tok"},
		"nothing":             {http.Header{}, ""},
		"basic":               {http.Header{"Authorization": {"Basic tok"}}, ""},
		"no token":            {http.Header{"Authorization": {"Bearer "}}, ""},
		"two headers":         {http.Header{"Authorization": {"Bearer tok", "Bearer other"}}, ""},
		"header and protocol": {http.Header{"Authorization": {"Bearer tok"}, "Sec-Websocket-Protocol": {protocol}}, ""},
		"two protocols":       {http.Header{"Sec-Websocket-Protocol": {protocol + "," + protocol}}, ""},
		"bad base64":          {http.Header{"Sec-Websocket-Protocol": {"base64url.bearer.authorization.k8s.io.!!"}}, ""},
		"empty protocol":      {http.Header{"Sec-Websocket-Protocol": {"base64url.bearer.authorization.k8s.io."}}, ""},
	} {
		got, refusal := authn.Token(c.header)
		if got != c.want || (refusal == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, got, refusal)
		}
	}
}

func FuzzVerify(f *testing.F) {
	now := time.Now()
	clock := func() time.Time { return now }
	v := &authn.Verifier{
		Issuer: "https://x", Audience: "a", Now: clock,
		Keys: authn.NewKeySet("http://127.0.0.1:1", http.DefaultClient, clock, slog.New(slog.DiscardHandler)),
	}
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if id, refusal := v.Verify(t.Context(), token); refusal == nil {
			t.Errorf("accepted %q as %+v", token, id)
		}
	})
}

// TestANewAudience: tokens for the old one end at once, also those that were seen before.
func TestANewAudience(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := sign(t, jose.ES256, b.ec, "e1", b.claims())
	if _, refusal := b.verifier.Verify(t.Context(), old); refusal != nil {
		t.Fatal(refusal)
	}
	b.verifier.SetAudience("k8s-b")
	if _, refusal := b.verifier.Verify(t.Context(), old); refusal == nil || refusal.Code != "wrong_audience" {
		t.Errorf("the old audience: %v", refusal)
	}
	fresh := b.claims()
	fresh["aud"] = "k8s-b"
	if _, refusal := b.verifier.Verify(t.Context(), sign(t, jose.ES256, b.ec, "e1", fresh)); refusal != nil {
		t.Errorf("the new audience: %v", refusal)
	}
}

// encrypted returns a token that must be decompressed to a hundred times its size before it can be verified
// (CVE-2024-28180).
func encrypted(t *testing.T, b *bundle) string {
	t.Helper()
	encrypter, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.RSA_OAEP, Key: &b.rsa.PublicKey, KeyID: "r1"}, &jose.EncrypterOptions{Compression: jose.DEFLATE})
	if err != nil {
		t.Fatal(err)
	}
	object, err := encrypter.Encrypt(bytes.Repeat([]byte("a"), 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
