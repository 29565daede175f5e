// Package gateway is the only door of the platform. Every request from outside
// passes one pipeline, in this order:
//
//	request id → client address → security headers, CORS → route → body limit
//	→ authentication → rate limit by user, or by address without a valid token
//	→ access rule → WAF → backend (a local handler, or a reverse proxy)
//
// What it guarantees to the components behind it: the identity they see was
// made here. A header X-Commerce-Identity from outside is always removed, a
// method of level SERVICE is never reachable, and the client address is taken
// right to left through the trusted proxies only.
//
// It owns no table. Rate limits live in Redis; when Redis is gone each gateway
// keeps its own count, so a flood is still bounded and nobody is locked out.
package gateway
