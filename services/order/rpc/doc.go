// Package rpc serves the order component's contract: identity and message in,
// one call of the domain, message out.
package rpc
