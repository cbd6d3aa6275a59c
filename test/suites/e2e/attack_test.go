package e2e_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/test/suites/attack"
)

// TestTheShippedProxyIsAttacked sends the whole suite through the program as it is shipped,
// with everything switched on that lets more people in.
func TestTheShippedProxyIsAttacked(t *testing.T) {
	t.Parallel()
	s := prepare(t, needParts(t))
	issuer, behind := startSecondIssuer(t), &attack.Upstream{}
	upstream := httptest.NewTLSServer(behind)
	t.Cleanup(upstream.Close)
	certificate := func(server *httptest.Server) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	}
	address, health := freeAddress(t), freeAddress(t)
	kubeconfig := writeFile(t, s.dir+"/upstream.kubeconfig", fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q, certificate-authority: %s}}]\nusers: [{name: u, user: {token: proxy-credential}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
		upstream.URL, writeFile(t, s.dir+"/upstream.crt", certificate(upstream))))
	second := startSecondIssuer(t)
	file := writeFile(t, s.dir+"/attacked.yaml", fmt.Sprintf("listen: %s\ntls: {certificate: %[2]s/tls.crt, key: %[2]s/tls.key}\naudience: k8s-a\nissuer: {url: %q, ca: %s}\nupstream: {kubeconfig: %s}\nhealth: {listen: %s}\n"+
		"authentication: {file: %s, serviceAccountTokens: true}\naudit: {file: {path: %[2]s/attacked.log}, onFailure: refuse}\ntrustedProxies: [127.0.0.0/8]\nsendClientAddress: false\n",
		address, s.dir, issuer.URL, writeFile(t, s.dir+"/issuer.crt", certificate(issuer.Server)), kubeconfig, health, writeFile(t, s.dir+"/second.yaml", second.authentication())))
	start(t, s.bin+"/fairlead-proxy", nil, "serve", "--config", file)
	eventually(t, "the proxy", 20*time.Second, func() bool {
		resp, err := http.Get("http://" + health + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	suite := attack.Suite{Address: address, Upstream: behind, Token: signES256(t, issuer.key, map[string]any{
		"iss": issuer.URL, "aud": "k8s-a", "sub": "usr_1", "preferred_username": "corp:jane", "groups": []string{"corp:dev"}, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
	})}
	result, err := suite.Run()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range result.Findings {
		t.Error(f)
	}
	if result.Attacks < 500 || result.Arrived == 0 {
		t.Errorf("%+v", result)
	}
	t.Logf("%d attacks, %d arrived, as who sent them", result.Attacks, result.Arrived)
}
