// Package rpc serves the auth component's contract: each method converts,
// calls the domain once and converts back.
package rpc
