// Package authorize is the authorization endpoint: it reads a request, checks
// it, and decides the next step. The steps that a person sees are in
// server/signin/login and server/oidc/consent; they never call one another but come back
// here, and this is where the decision is made again:
//
//	GET /authorize ──► checked? ──no──► error page, or error to the client
//	      │
//	      ▼
//	   signed in, freshly enough? ──no──► /login ──► back to /authorize/continue
//	      │
//	      ▼
//	   a cluster that the person may use? ──no──► access_denied to the client
//	      │
//	      ▼
//	   a public client? ──yes──► /confirm ──► code, or access_denied
//	      │
//	      ▼
//	    code to the client
//
// Nothing is stored on the way: the request travels sealed (server/base/flow).
package authorize
