// Runs a relying party on oauth4webapi, which validates every response strictly. It prints the
// authorization URL, reads the URL that the browser was redirected to, and prints the result.
// Usage: node oauth4webapi.mjs ISSUER CLIENT_ID CLIENT_SECRET REDIRECT_URI
import * as oauth from "oauth4webapi";
import { createInterface } from "node:readline";

const [issuer, id, secret, redirectUri] = process.argv.slice(2);
const issuerUrl = new URL(issuer);
const as = await oauth.processDiscoveryResponse(issuerUrl, await oauth.discoveryRequest(issuerUrl));
const client = { client_id: id };
const auth = oauth.ClientSecretBasic(secret);
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const url = new URL(as.authorization_endpoint);
url.search = new URLSearchParams({
  client_id: id, redirect_uri: redirectUri, response_type: "code", scope: "openid email offline_access", state, nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
});
console.log(url.href);
for await (const line of createInterface({ input: process.stdin })) {
  const params = oauth.validateAuthResponse(as, client, new URL(line), state);
  const granted = await oauth.processAuthorizationCodeResponse(
    as, client, await oauth.authorizationCodeGrantRequest(as, client, auth, params, redirectUri, verifier),
    { expectedNonce: nonce, requireIdToken: true },
  );
  const claims = oauth.getValidatedIdTokenClaims(granted);
  const info = await oauth.processUserInfoResponse(as, client, claims.sub, await oauth.userInfoRequest(as, client, granted.access_token));
  const active = await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, granted.access_token));
  const refreshed = await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, auth, granted.refresh_token));
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, refreshed.refresh_token));
  const dead = await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, refreshed.access_token));
  console.log(JSON.stringify({
    sub: claims.sub, email: info.email, refreshed: oauth.getValidatedIdTokenClaims(refreshed).sub, active: active.active, dead: dead.active,
  }));
  process.exit(0);
}
