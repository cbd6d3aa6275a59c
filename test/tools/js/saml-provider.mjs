// Runs an independent SAML identity provider for the tests of the connector: the library with which Auth0 answers.
// Arguments: a file with its key and certificate, and the file of the service provider's metadata. It encrypts as
// soon as that file is there and has a certificate. It prints its address when it listens.
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import samlp from "samlp";

const [keyFile, metadataFile] = process.argv.slice(2);
const pem = fs.readFileSync(keyFile, "utf8");
const [key, cert] = pem.split(/(?=-----BEGIN CERTIFICATE)/);
const people = {
  jane: { id: "42", displayName: "Jane Doe", name: { givenName: "Jane", familyName: "Doe" }, emails: [{ value: "jane@example.test" }], login: "jane", groups: ["platform", "system:masters"] },
};

// encryption is what encrypts the assertion for the service provider.
function encryption() {
  const found = fs.existsSync(metadataFile) && /use="encryption"[^]*?<X509Certificate[^>]*>([^<]+)</.exec(fs.readFileSync(metadataFile, "utf8"));
  if (!found) return {};
  const encryptionCert = `-----BEGIN CERTIFICATE-----\n${found[1].replace(/\s/g, "").match(/.{1,64}/g).join("\n")}\n-----END CERTIFICATE-----\n`;
  const encryptionPublicKey = crypto.createPublicKey(encryptionCert).export({ type: "spki", format: "pem" });
  return { encryptionCert, encryptionPublicKey, encryptionAlgorithm: "http://www.w3.org/2009/xmlenc11#aes256-gcm" };
}

const escape = (text) => String(text ?? "").replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const page = (form) => `<!doctype html><title>Sign in</title><main><form method="post" action="/login">
<input type="hidden" name="SAMLRequest" value="${escape(form.SAMLRequest)}"><input type="hidden" name="RelayState" value="${escape(form.RelayState)}">
<label>User <input name="user"></label><button>Sign in to Auth0</button></form></main>`;

// The library expects Express.
function express(req, res, form) {
  Object.assign(req, { originalUrl: req.url, protocol: "http", query: {}, body: form, user: people[form.user] });
  res.set = (name, value) => res.setHeader(name, value);
  res.send = (body) => (typeof body === "number" ? res.writeHead(body).end() : res.end(body));
}

const server = http.createServer(async (req, res) => {
  let body = "";
  for await (const part of req) body += part;
  const form = Object.fromEntries(new URLSearchParams(body));
  express(req, res, form);
  const issuer = "urn:idp.example.test";
  if (req.url === "/metadata") return samlp.metadata({ issuer, cert, postEndpointPath: "/sso", redirectEndpointPath: "/sso" })(req, res);
  if (req.url === "/sso") return res.setHeader("Content-Type", "text/html").end(page(form));
  samlp.parseRequest(req, (err, asked) => {
    if (err || !asked) return res.writeHead(404).end(String(err));
    const acs = asked.assertionConsumerServiceURL;
    const nameIdentifierFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
    const fail = (fault) => res.writeHead(500).end(String(fault));
    if (!req.user) {
      const error = { code: "urn:oasis:names:tc:SAML:2.0:status:Requester", description: "There is no such user." };
      return samlp.sendError({ issuer, key, cert, error, signResponse: true, signatureAlgorithm: "rsa-sha256", digestAlgorithm: "sha256", destination: acs, inResponseTo: asked.id, RelayState: form.RelayState, getPostURL: (_, done) => done(null, acs) })(req, res, fail);
    }
    samlp.auth({ issuer, key, cert, recipient: acs, destination: acs, nameIdentifierFormat, ...encryption(), getPostURL: (_a, _b, _c, done) => done(null, acs) })(req, res, fail);
  });
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
