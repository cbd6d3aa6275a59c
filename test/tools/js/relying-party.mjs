// Runs a relying party on openid-client. It prints the authorization URL, reads the URL that the
// browser was redirected to, and prints the result. Usage: node relying-party.mjs ISSUER CLIENT_ID CLIENT_SECRET REDIRECT_URI
import * as client from "openid-client";
import { createInterface } from "node:readline";

const [issuer, id, secret, redirectUri] = process.argv.slice(2);
const config = await client.discovery(new URL(issuer), id, secret);
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
const url = client.buildAuthorizationUrl(config, {
  redirect_uri: redirectUri,
  scope: "openid profile email groups offline_access",
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
});
console.log(url.href);
for await (const line of createInterface({ input: process.stdin })) {
  const tokens = await client.authorizationCodeGrant(config, new URL(line), {
    pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true,
  });
  const claims = tokens.claims();
  const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token);
  await client.tokenRevocation(config, refreshed.refresh_token);
  let afterRevocation = "accepted";
  try {
    await client.refreshTokenGrant(config, refreshed.refresh_token);
  } catch (error) {
    afterRevocation = error.error;
  }
  console.log(JSON.stringify({ sub: claims.sub, email: info.email, groups: info.groups, refreshed: refreshed.claims().sub, afterRevocation }));
  process.exit(0);
}
