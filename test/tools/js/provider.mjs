// Runs an independent OpenID provider for the tests of the connector. It signs every client in
// as jane, and prints its address when it listens.
import { OAuth2Server } from "oauth2-mock-server";

const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
await server.start(0, "127.0.0.1");
server.issuer.url = `http://127.0.0.1:${server.address().port}`;
const person = { sub: "42", preferred_username: "jane", name: "Jane Doe", email: "jane@example.test", email_verified: true, groups: ["platform"] };
server.service.on("beforeTokenSigning", (token) => Object.assign(token.payload, person));
server.service.on("beforeUserinfo", (answer) => { answer.body = person; });
console.log(server.issuer.url);
