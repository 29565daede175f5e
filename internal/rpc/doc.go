// Package rpc is the one way components serve and call each other. A server
// observes, identifies, authorises and validates every call before a handler
// runs; a client adds the caller's identity, a deadline and retries. Both
// behave the same in one process and across the network, and failures are
// *fault.Error on both sides.
package rpc
